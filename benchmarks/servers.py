"""Servers as processes of their own: started, asked, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from benchmarks import process_tree
from benchmarks.load import Request, load
from benchmarks.peers import ROOT
from benchmarks.results import Effort, Failure, Figure, least_figure

__all__ = ["Running", "Target", "compare", "free_port", "started"]

START = 120.0  # seconds to the first answer
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Running:
    """A server that has answered once, after ``start``: its process and its port."""

    name: str
    pid: int
    port: int
    start: Figure


@dataclass(frozen=True)
class Target:
    """What one server is asked."""

    server: Running
    request: Request


@contextmanager
def started(
    name: str, command: Callable[[int], list[str]], is_answer: Callable[[int], bool]
) -> Iterator[Running]:
    """Yield a server that has answered; it is ended, with the processes that it has made.

    Raises:
        RuntimeError: it ends or does not answer in time; the text has the end of what it printed.
    """
    port = free_port()
    words = command(port)
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=_environment(words[0]),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while not _answers(port, is_answer):
                if process.poll() is not None or time.perf_counter() - begin > START:
                    log.seek(0)
                    said = log.read()[-1500:].decode(errors="replace")
                    raise RuntimeError(f"{name} did not start: {said}")
                time.sleep(0.01)
            wall = time.perf_counter() - begin
            start = Figure(process_tree.cpu_seconds(process.pid), wall)
            yield Running(name, process.pid, port, start)
        finally:
            _end(process)


def _environment(python: str) -> dict[str, str]:
    """Return ours, with the commands of the server's environment first."""
    environment = {**os.environ, "PATH": f"{os.path.dirname(python)}:{os.environ['PATH']}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _answers(port: int, is_answer: Callable[[int], bool]) -> bool:
    try:
        return is_answer(port)
    except (OSError, RuntimeError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    below = process_tree.find_processes(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    for pid in below:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def compare(
    targets: Mapping[Key, Target], clients: int, effort: Effort
) -> tuple[dict[Key, Figure], list[Failure]]:
    """Return the least of each target's rounds; they are asked by turns, after a round to warm up.

    A round takes ten times as long as one of calls in this process, and there are half as many.
    A target that fails is asked no more, and is among the failures.
    """
    failures: list[Failure] = []
    found: dict[Key, list[Figure]] = {name: [] for name in targets}
    for number in range(max(1, effort.rounds // 2) + 1):
        for name in list(found):
            one = _round(targets[name], clients, effort.seconds * (10 if number else 5))
            if isinstance(one, Failure):
                failures.append(one)
                del found[name]
            elif number:  # the first one warms up
                found[name].append(one)
    return {name: least_figure(rounds) for name, rounds in found.items()}, failures


def _wait_until_idle(pid: int) -> None:
    """Wait while the server does what it was asked last, so that it disturbs nobody else."""
    before, until = -1.0, time.perf_counter() + START
    while process_tree.cpu_seconds(pid) > before + 0.002 and time.perf_counter() < until:
        before = process_tree.cpu_seconds(pid)
        time.sleep(0.02)


def _round(target: Target, clients: int, seconds: float) -> Figure | Failure:
    before = process_tree.cpu_seconds(target.server.pid)
    if seconds > START:
        return Failure(target.server.name, f"fewer than {clients} answers in {START:.0f} s")
    try:
        done = load(target.server.port, target.request, clients, seconds)
    except (OSError, RuntimeError) as error:
        return Failure(
            f"{target.server.name}, {target.request.path}, {clients} at once", str(error)
        )
    cpu = process_tree.cpu_seconds(target.server.pid) - before
    _wait_until_idle(target.server.pid)
    if done.count < clients:  # too few to tell
        return _round(target, clients, seconds * 4)
    return Figure(cpu / done.count, done.seconds / done.count, done.count, done.p99)
