"""What runs on the event loop: brief work that computes, and of it no more than its share."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyfunc.errors import PyfuncError
from pyfunc.serving.http import brief
from pyfunc.serving.http.brief import (
    BRIEF,
    LONG,
    LONGEST_PAUSE,
    MOST_BYTES,
    PAUSE,
    SHARE,
    TRIALS,
    BriefWork,
    Turn,
)
from pyfunc.serving.http.deadlines import Deadlines
from pyfunc.serving.http.messages import Reply, Request
from pyfunc.serving.http.pool import WorkPool


class Clock:
    """A clock that work moves on, in place of the machine's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.worked = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked

    def work(self, seconds: float, waited: float = 0.0) -> None:
        self.now += seconds + waited
        self.worked += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(brief, "time", found)  # so that no test depends on how fast it runs
    return found


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool(1, 10)
    yield made
    made.close()


def request_of(body: bytes) -> Request:
    return Request([], body, {})


def work_of(pool: WorkPool, answer: Callable[[bytes], Any]) -> BriefWork[bytes]:
    """Return work of all requests but those whose body is ``other``."""
    return BriefWork(
        lambda request: None if request.body == b"other" else request.body,
        lambda body: answer(body) or Reply(body),
        lambda request: Reply(b"careful"),
        pool=pool,
        turn=Turn(),
    )


def tries(work: BriefWork[bytes], body: bytes = b"x") -> Reply | None:
    """Return what the work does in a turn of an event loop of its own; None is nothing."""

    async def attempt() -> Reply | None:
        return done_here(work, body)

    return asyncio.run(attempt())


def done_here(work: BriefWork[bytes], body: bytes = b"x") -> Reply | None:
    found = work.begin(request_of(body))
    return found if isinstance(found, Reply) else None


def prove(work: BriefWork[bytes], body: bytes = b"x") -> None:
    for _ in range(TRIALS):
        work(request_of(body))


def test_nothing_runs_on_the_loop_before_it_was_brief_on_threads(
    pool: WorkPool, clock: Clock
) -> None:
    work = work_of(pool, lambda _: clock.work(BRIEF / 2))
    for _ in range(TRIALS):
        assert tries(work) is None
        assert work(request_of(b"x")).body == b"x"
    assert tries(work) == Reply(b"x")


def test_other_requests_prove_nothing_and_stay_on_threads(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda _: clock.work(BRIEF / 2))
    for _ in range(TRIALS * 2):
        assert work(request_of(b"other")).body == b"careful"
    assert tries(work) is None
    prove(work)
    assert tries(work, b"other") is None


def test_what_was_read_on_the_loop_is_not_read_again(pool: WorkPool, clock: Clock) -> None:
    read: list[bytes] = []

    def note(request: Request) -> bytes | None:
        read.append(request.body)
        return None if request.body == b"other" else request.body

    work = BriefWork(note, Reply, lambda _: Reply(b"careful"), pool=pool, turn=Turn())
    prove(work)
    for body, answer in ((b"other", b"careful"), (b"xxxx", b"xxxx")):
        read.clear()

        async def begin(body: bytes = body) -> Reply | Callable[[Request], Reply]:
            return work.begin(request_of(body))

        found = asyncio.run(begin())
        assert not isinstance(found, Reply)
        assert found(request_of(body)).body == answer
        assert read == [body]


def test_each_power_of_two_in_length_is_proven_by_itself(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda body: clock.work(BRIEF * 2 if len(body) >= 8 else 0.0))
    prove(work, b"xx")
    assert tries(work, b"xxx") == Reply(b"xxx")
    assert tries(work, b"x") is None
    assert tries(work, b"xxxx") is None
    prove(work, b"xxxx")
    prove(work, b"xxxxxxxx")
    assert tries(work, b"xxxx") == Reply(b"xxxx")
    assert tries(work, b"xxxxxxxx") is None


def test_long_bodies_are_not_read_on_the_loop(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda _: None)
    for body in (b"x" * MOST_BYTES, b"x" * (MOST_BYTES + 1)):
        prove(work, body)
        assert tries(work, body) == (Reply(body) if len(body) == MOST_BYTES else None)


def test_reading_has_its_part_of_the_share(pool: WorkPool, clock: Clock) -> None:
    def read(request: Request) -> bytes | None:
        clock.work(SHARE / 4)
        return None if request.body == b"other" else request.body

    work = BriefWork(read, Reply, lambda _: Reply(b"careful"), pool=pool, turn=Turn())
    prove(work)

    async def turn() -> int:
        read = 0
        while work.begin(request_of(b"other")) is not work:
            read += 1
        return read

    assert asyncio.run(turn()) == 4


@pytest.mark.parametrize(
    ("worked", "waited"),
    [
        pytest.param(BRIEF * 2, 0.0, id="it-computes-for-long"),
        pytest.param(0.0, LONG * 2, id="it-waits-for-long"),
    ],
)
def test_work_that_is_not_brief_on_threads_never_runs_on_the_loop(
    pool: WorkPool, clock: Clock, worked: float, waited: float
) -> None:
    work = work_of(pool, lambda _: clock.work(worked, waited))
    for _ in range(TRIALS * 4):
        work(request_of(b"x"))
        assert tries(work) is None


def test_one_that_was_not_brief_begins_the_proof_anew(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda body: clock.work(BRIEF * 2 if body == b"l" else 0.0))
    for _ in range(TRIALS - 1):
        work(request_of(b"x"))
    work(request_of(b"l"))
    for _ in range(TRIALS):
        assert tries(work) is None
        work(request_of(b"x"))
    assert tries(work) == Reply(b"x")


def test_work_that_fails_on_a_thread_proves_nothing(pool: WorkPool, clock: Clock) -> None:
    def fail(body: bytes) -> None:
        raise PyfuncError("no")

    work = work_of(pool, fail)
    for _ in range(TRIALS):
        with pytest.raises(PyfuncError, match="no"):
            work(request_of(b"x"))
    assert tries(work) is None


def test_one_that_takes_long_on_the_loop_keeps_it_off_for_a_while(
    pool: WorkPool, clock: Clock
) -> None:
    work = work_of(pool, lambda body: clock.work(0.0, LONG * 2 if body == b"l" else 0.0))
    prove(work)
    assert tries(work, b"l") == Reply(b"l")
    prove(work)
    assert tries(work) is None
    clock.now += PAUSE
    assert tries(work) == Reply(b"x")


def test_the_pause_grows_while_it_goes_on_to_take_long(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda body: clock.work(0.0, LONG * 2 if body == b"l" else 0.0))

    def pause_after_one_that_takes_long() -> float:
        prove(work)
        assert tries(work, b"l") == Reply(b"l")
        closed = clock.now
        prove(work)
        while tries(work) is None:
            clock.now += PAUSE
        return round((clock.now - closed) / PAUSE)

    pauses = [pause_after_one_that_takes_long() for _ in range(8)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.now += LONGEST_PAUSE
    assert pause_after_one_that_takes_long() == 1


def test_the_first_pause_is_brief_however_little_the_clock_says(
    pool: WorkPool, clock: Clock
) -> None:
    clock.now = 0.5  # of a machine that has just started
    work = work_of(pool, lambda body: clock.work(0.0, LONG * 2 if body == b"l" else 0.0))
    prove(work)
    assert tries(work, b"l") == Reply(b"l")
    prove(work)
    clock.now += PAUSE
    assert tries(work) == Reply(b"x")


def test_what_fails_on_the_loop_after_long_keeps_it_off_too(pool: WorkPool, clock: Clock) -> None:
    def answer(body: bytes) -> None:
        if body == b"b":
            clock.work(LONG * 2)
            raise PyfuncError("no")

    work = work_of(pool, answer)
    prove(work)
    with pytest.raises(PyfuncError, match="no"):
        tries(work, b"b")
    prove(work)
    assert tries(work) is None


def test_work_that_is_no_longer_brief_as_a_rule_goes_back_to_threads(
    pool: WorkPool, clock: Clock
) -> None:
    work = work_of(pool, lambda _: clock.work(0.0, BRIEF * 2))
    prove(work)
    on_loop = 0
    while tries(work) is not None:
        on_loop += 1
    assert 1 < on_loop < 30
    prove(work)
    assert tries(work) == Reply(b"x")


def test_one_turn_of_the_loop_has_a_share_for_it(pool: WorkPool, clock: Clock) -> None:
    part = SHARE / 20  # brief enough
    work = work_of(pool, lambda _: clock.work(0.0, part))

    async def turn() -> int:
        done = 0
        while done_here(work) is not None:
            done += 1
        return done

    async def scenario() -> tuple[int, int]:
        first = await turn()
        assert done_here(work) is None
        await asyncio.sleep(0)  # the loop has looked who else asks
        await asyncio.sleep(0)
        return first, await turn()

    prove(work)
    first, second = asyncio.run(scenario())
    assert first == second
    assert 19 <= first <= 21


def test_work_of_a_busy_pool_does_not_pass_what_waits(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda _: None)
    prove(work)
    opened = threading.Event()

    async def scenario() -> None:
        held = asyncio.create_task(pool.run(lambda _: opened.wait(60), None, timeout=60))
        while not pool.busy:
            await asyncio.sleep(0.001)
        assert done_here(work) is None  # the model may not be safe for threads
        opened.set()
        await held
        while not pool.has_room:
            await asyncio.sleep(0.001)
        assert done_here(work) == Reply(b"x")

    asyncio.run(scenario())


def test_a_closed_pool_takes_no_work_on_the_loop_either(pool: WorkPool, clock: Clock) -> None:
    work = work_of(pool, lambda _: None)
    prove(work)
    pool.close()
    assert tries(work) is None


def test_deadlines_end_in_order_and_only_what_still_waits() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        deadlines, over = Deadlines(0.01), asyncio.Event()
        for name in ("first", "second", "third"):
            deadlines.add(name, functools.partial(ended.append, name))
        deadlines.remove("second")
        deadlines.remove("unknown")
        deadlines.add("last", over.set)
        await asyncio.wait_for(over.wait(), 60)

    asyncio.run(scenario())
    assert ended == ["first", "third"]


def test_deadlines_begin_anew_once_nothing_waits_and_on_another_loop() -> None:
    deadlines = Deadlines(0.01)
    forgotten: list[int] = []

    async def scenario() -> None:
        for _ in range(2):
            over = asyncio.Event()
            deadlines.add(object(), over.set)
            await asyncio.wait_for(over.wait(), 60)
        deadlines.add(object(), lambda: forgotten.append(1))

    asyncio.run(scenario())
    asyncio.run(scenario())
    assert forgotten == []
