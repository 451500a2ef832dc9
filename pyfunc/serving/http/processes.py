"""The worker processes of a server: started, replaced when they die, and ended together.

Each runs a module as a program, on the sockets of this process, and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import IO

from pyfunc import errors
from pyfunc.errors import PyfuncError

__all__ = ["Supervisor", "end_with_starter", "ending_signals", "message_of", "read_line"]

_CODE = "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
_GRACE = 5.0  # seconds beyond those for draining
_LOOK = 0.1
_LONGEST_PAUSE = 30.0
_logger = logging.getLogger("uvicorn.error")


@contextlib.contextmanager
def ending_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set, in place of what they do otherwise."""
    ending = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_line(descriptor: int) -> bytes:
    """Return the first line, and read no byte behind it.

    Not through ``sys.stdin``, which a thread that waits for its end would hold while the
    interpreter ends.

    Raises:
        EOFError: it ended before a line did.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(descriptor, 1)
        if not part:
            raise EOFError("standard input ended before its first line did")
        line += part
    return line


def end_with_starter(drain_timeout: float) -> None:
    """End this process once standard input does: whoever started it is gone."""

    def follow() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(drain_timeout + _GRACE)
        os._exit(1)  # what is served does not let the process end

    threading.Thread(target=follow, name="lifeline", daemon=True).start()


def message_of(error: BaseException) -> dict[str, object]:
    """Return what a process says of the error that keeps it from serving."""
    if isinstance(error, PyfuncError):
        kind = type(error).__name__
        return {"error": str(error), "kind": kind, "code": error.error_code}
    return {"error": f"{type(error).__name__}: {error}"}


def _error_of(answer: Mapping[str, object]) -> PyfuncError:
    kind = getattr(errors, str(answer.get("kind")), PyfuncError)
    error: PyfuncError = kind.__new__(kind)
    PyfuncError.__init__(error, str(answer["error"]), str(answer.get("code", "INTERNAL_ERROR")))
    return error


class Supervisor:
    """Keeps a number of workers at work.

    Args:
        module: what they run.
        tasks: what each is told on its standard input, a line of JSON.
        descriptors: of what they inherit: the sockets, and what else they write to.
        arguments: what their command gets.
        drain_timeout: seconds that they have to end.
    """

    def __init__(
        self,
        module: str,
        tasks: Sequence[str],
        descriptors: Sequence[int],
        arguments: Sequence[str],
        *,
        drain_timeout: float,
    ) -> None:
        self._module = module
        self._tasks = tasks
        self._descriptors = descriptors
        self._arguments = arguments
        self._drain_timeout = drain_timeout
        self._workers: list[_Worker] = []

    def run(self, ending: threading.Event, when_serving: Callable[[], object]) -> None:
        """Watch over the workers until ``ending`` is set.

        The first one has to have loaded what is served before there are others, so that what
        cannot be loaded is tried once; and all have to before any answers.

        Args:
            ending: is set by a signal.
            when_serving: is called once all may answer.

        Raises:
            PyfuncError: what kept a worker from loading what is served.
        """
        try:
            for number in range(len(self._tasks)):
                self._workers.append(self._start(number))
                if len(self._workers) == 1:
                    self._await_start(self._workers[0], ending)
            for worker in self._workers:
                self._await_start(worker, ending)
            for worker in self._workers:
                worker.let_serve()
            if not ending.is_set():
                when_serving()
            while not ending.wait(_LOOK):
                self._replace_dead(ending)
        finally:
            self._end_all()

    def _start(self, number: int) -> _Worker:
        return _Worker(self._module, self._tasks[number], self._descriptors, self._arguments)

    def _await_start(self, worker: _Worker, ending: threading.Event) -> None:
        while not worker.has_answered.wait(_LOOK):
            if ending.is_set():
                return
        if "error" in worker.answer and not ending.is_set():
            raise _error_of(worker.answer)

    def _replace_dead(self, ending: threading.Event) -> None:
        for number, worker in enumerate(self._workers):
            status = worker.process.poll()
            if status is None:
                worker.note_alive()
                continue
            _logger.warning("worker %d ended with status %d; it is replaced", number, status)
            if not ending.wait(worker.pause):
                worker.close()
                self._workers[number] = self._start(number)
                self._workers[number].let_serve()
                self._workers[number].pause = min(_LONGEST_PAUSE, worker.pause * 2 + _LOOK)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._drain_timeout + _GRACE
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()


class _Worker:
    """A process that serves on sockets of this one."""

    def __init__(
        self, module: str, task: str, descriptors: Sequence[int], arguments: Sequence[str]
    ) -> None:
        code = f"{_CODE}runpy.run_module({module!r}, run_name='__main__')"
        self.pause = 0.0
        self.answer: dict[str, object] = {}
        self.has_answered = threading.Event()
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, json.dumps(sys.path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C is for this process, which ends the workers
        )
        self._reader = threading.Thread(target=self._read_answer, daemon=True)
        self._reader.start()
        self._tell(task)

    def let_serve(self) -> None:
        """Let the worker answer requests as soon as it can."""
        self._tell("")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            stdin = self._pipe(self.process.stdin)
            stdin.write(line.encode("utf-8") + b"\n")
            stdin.flush()

    def note_alive(self) -> None:
        """Replace a worker at once that dies after it has lived for long."""
        if time.monotonic() - self._started > _LONGEST_PAUSE:
            self.pause = 0.0

    def _read_answer(self) -> None:
        line = self._pipe(self.process.stdout).readline()
        if line:
            self.answer = json.loads(line)
        else:
            self.answer = {"error": f"a worker ended with status {self.process.wait()}"}
        self.has_answered.set()

    def close(self) -> None:
        """Close the pipes of a worker that has ended."""
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            self._pipe(pipe).close()

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe
