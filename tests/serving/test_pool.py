"""The threads of a server: who works on what, and what a busy one does to the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.pool import WorkPool


@contextmanager
def pool_of(threads: int, max_queue: int = 100) -> Iterator[WorkPool]:
    pool = WorkPool(threads, max_queue)
    yield pool
    pool.close()


def start(pool: WorkPool, call: Any, item: Any = None) -> asyncio.Task[Any]:
    work: Coroutine[Any, Any, Any] = pool.run(call, item, timeout=60)
    return asyncio.create_task(work)


def test_a_closed_pool_takes_no_work() -> None:
    pool = WorkPool(1, 1)
    pool.close()
    with pytest.raises(PyfuncError, match="shutting down"):
        asyncio.run(pool.run(str, 5, timeout=1))


def test_work_whose_client_is_gone_is_not_begun() -> None:
    pool = WorkPool(1, 10)
    opened, calls = threading.Event(), list[int]()

    async def scenario() -> None:
        first = asyncio.create_task(pool.run(lambda _: opened.wait(60), None, timeout=60))
        while not pool.busy:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(pool.run(calls.append, 2, timeout=60))
        while not pool.waiting:
            await asyncio.sleep(0.001)
        second.cancel()
        await asyncio.wait([second])
        opened.set()
        await first
        await pool.run(calls.append, 3, timeout=60)

    asyncio.run(scenario())
    pool.close()
    assert calls == [3]


def test_a_result_for_a_loop_that_has_ended_is_dropped() -> None:
    pool = WorkPool(1, 10)
    begun, opened, done = threading.Event(), threading.Event(), threading.Event()

    def work(_: Any) -> None:
        begun.set()
        opened.wait(60)
        threading.Timer(0.2, done.set).start()

    async def leave() -> None:
        task = asyncio.create_task(pool.run(work, None, timeout=60))
        while not begun.is_set():  # given to a thread is not begun: that could still be dropped
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(leave())
    opened.set()
    assert done.wait(10)
    assert asyncio.run(pool.run(str, 5, timeout=60)) == "5"
    pool.close()


def test_the_loop_is_woken_once_for_all_that_is_done_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done, woken = threading.Event(), list[object]()

    def work(number: int) -> int:
        if number == 19:
            done.set()
        return number

    async def scenario() -> list[int]:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(callback: Any, *args: Any) -> Any:
            woken.append(callback)
            return wake(callback, *args)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)  # nothing else says it
        tasks = [start(pool, work, number) for number in range(20)]
        await asyncio.sleep(0)
        done.wait(60)  # the loop does nothing while all are worked on
        return [await task for task in tasks]

    with pool_of(1) as pool:
        assert asyncio.run(scenario()) == list(range(20))
    assert 1 <= len(woken) <= 3  # the first may be fetched before, and the last is done after


def test_requests_one_by_one_stay_on_one_thread() -> None:
    async def scenario(pool: WorkPool) -> set[str]:
        def own_name(_: Any) -> str:
            return threading.current_thread().name

        return {await pool.run(own_name, None, timeout=60) for _ in range(50)}

    with pool_of(4) as pool:
        assert len(asyncio.run(scenario(pool))) == 1


def test_work_that_takes_long_does_not_hold_up_the_next() -> None:
    opened = threading.Event()

    async def scenario(pool: WorkPool) -> list[Any]:
        first = start(pool, lambda _: opened.wait(9))
        second = start(pool, lambda _: opened.set())  # without it the first never ends
        return list(await asyncio.gather(first, second))

    with pool_of(2) as pool:
        assert asyncio.run(scenario(pool)) == [True, None]


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_all_threads_work_when_there_is_enough_to_do(threads: int) -> None:
    together = threading.Barrier(threads, timeout=9)  # opens once all of them wait at it

    async def scenario(pool: WorkPool) -> None:
        await asyncio.gather(*(start(pool, lambda _: together.wait()) for _ in range(threads)))

    with pool_of(threads) as pool:
        asyncio.run(scenario(pool))
        assert not together.broken


def test_work_that_is_usually_long_has_all_threads() -> None:
    idle, lock = threading.Event(), threading.Lock()  # the event is never set
    now, most = 0, 0

    def work(_: Any) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        idle.wait(0.01)
        with lock:
            now -= 1

    async def scenario(pool: WorkPool) -> None:
        await asyncio.gather(*(start(pool, work) for _ in range(80)))

    with pool_of(4) as pool:
        asyncio.run(scenario(pool))
    assert most == 4


def test_a_thread_that_becomes_long_while_others_wait_is_noticed() -> None:
    opened = threading.Event()

    async def scenario(pool: WorkPool) -> None:
        brief = [start(pool, lambda _: None) for _ in range(20)]
        long = start(pool, lambda _: opened.wait(9))
        after = [start(pool, lambda _: opened.set()) for _ in range(3)]
        await asyncio.gather(*brief, long, *after)
        assert long.result() is True

    with pool_of(2) as pool:
        asyncio.run(scenario(pool))


def test_a_full_queue_wakes_a_thread_before_it_refuses() -> None:
    opened = threading.Event()

    async def scenario(pool: WorkPool) -> list[Any]:
        tasks = [start(pool, lambda _: opened.wait(9)) for _ in range(4)]
        await asyncio.sleep(0)
        assert pool.waiting + pool.busy == 4
        refused = start(pool, str, 5)
        with pytest.raises(PyfuncError, match="too many requests wait"):
            await refused
        opened.set()
        return await asyncio.gather(*tasks)

    with pool_of(2, max_queue=2) as pool:
        assert asyncio.run(scenario(pool)) == [True] * 4


@settings(max_examples=30, deadline=None)
@given(
    threads=st.integers(1, 4),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.0001, 0.004]), min_size=1, max_size=40),
)
def test_all_work_is_done_once_and_begun_in_order(threads: int, pauses: list[float]) -> None:
    begun: list[int] = []
    idle = threading.Event()  # never set: waiting for it is a pause

    def work(item: tuple[int, float]) -> int:
        begun.append(item[0])
        if item[1]:
            idle.wait(item[1])
        return item[0]

    async def scenario(pool: WorkPool) -> list[int]:
        return list(await asyncio.gather(*(start(pool, work, item) for item in enumerate(pauses))))

    with pool_of(threads) as pool:
        assert asyncio.run(scenario(pool)) == list(range(len(pauses)))
    assert sorted(begun) == list(range(len(pauses)))
    if threads == 1:
        assert begun == sorted(begun)
