"""A function served on this machine, by a process that ends with this one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

from pyfunc.errors import PyfuncError
from pyfunc.functions.names import SERVER_MODULE
from pyfunc.functions.plans import ServerPlan

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FunctionServer", "Service", "start_server"]

_GRACE = 10.0  # seconds beyond those for draining
_TAIL = 20  # lines of the log that an error shows


class Service(TypedDict):
    """Where a function is served, as the status of a run has it."""

    url: str
    ports: list[int]
    type: str


def start_server(
    plan: ServerPlan,
    log: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    python: str | None = None,
    environment: Mapping[str, str] | None = None,
    start_timeout: float = 120.0,
    when_started: Callable[[int], object] | None = None,
) -> FunctionServer:
    """Return a server that answers requests by ``plan``.

    It ends with :meth:`FunctionServer.stop`, with this process, however that ends, and when the
    returned object is gone.

    Args:
        plan: what is served, and how.
        log: the file to which everything is written that the server and the function write;
            what is there stays.
        source: a directory from which modules are imported first.
        python: the interpreter; by default this one, with the import path of this process.
        environment: variables of the server beside those of this process.
        start_timeout: seconds in which the init function has to be done.
        when_started: is given the id of the process, before that is ready.

    Raises:
        InvalidArgumentError: the plan holds what JSON cannot.
        PyfuncError: the server does not start; the end of its log is shown.
    """
    text = plan.to_json()
    path = [] if source is None else [str(Path(source).absolute())]
    path += [entry or "." for entry in sys.path] if python is None else []
    own = {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",  # the log is read meanwhile
    }
    variables = {**os.environ, **(environment or {}), **own}
    with Path(log).open("ab") as written:
        process = subprocess.Popen(
            [python or sys.executable, "-m", SERVER_MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            env=variables,
            start_new_session=True,  # Ctrl-C is for this process
            pass_fds=() if plan.alive is None else (plan.alive,),
        )
    server = FunctionServer(process, plan, Path(log))
    try:
        if when_started is not None:
            when_started(server.pid)
        server.wait_until_ready(text, start_timeout)
    except BaseException:
        server.stop(timeout=0.0)
        raise
    return server


class FunctionServer:
    """A server in a process of its own; made by :func:`start_server`.

    Attributes:
        log: the file of its log.
        port: the port that it listens on.
    """

    def __init__(self, process: subprocess.Popen[bytes], plan: ServerPlan, log: Path) -> None:
        self.log = log
        self.port = plan.port
        self._process = process
        self._host = plan.host
        self._scheme = "https://" if plan.settings.get("certfile") else ""  # upstream has none
        self._drain_timeout = plan.drain_timeout
        self._end = weakref.finalize(self, _end, process, plan.drain_timeout + _GRACE)

    @property
    def pid(self) -> int:
        """The process that ends the server when it gets SIGTERM."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def service(self) -> Service:
        """Where the function is served."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        url = f"{self._scheme}{host}:{self.port}"
        return {"url": url, "ports": [self.port], "type": "Local"}

    def stop(self, *, timeout: float | None = None) -> None:
        """End the server; requests that it has are answered first.

        Args:
            timeout: seconds until it is killed; by default those for draining, and some more.
        """
        if self._end.detach() is not None:
            allowed = self._drain_timeout + _GRACE if timeout is None else timeout
            _end(self._process, allowed)

    def wait(self) -> int:
        """Return the exit status of the process once it is gone."""
        return self._process.wait()

    def wait_until_ready(self, plan: str, timeout: float) -> None:
        """Send the plan and return once requests are answered.

        Raises:
            PyfuncError: the server ended, said why it does not start, or the time is up.
        """
        with contextlib.suppress(BrokenPipeError):
            _stdin_of(self._process).write(plan.encode() + b"\n")
            _stdin_of(self._process).flush()
        answer = self._first_answer(timeout)
        if "port" not in answer:
            raise PyfuncError(f"the function is not served: {answer['error']}{self._tail()}")
        self.port = int(str(answer["port"]))

    def _first_answer(self, timeout: float) -> dict[str, object]:
        lines: list[bytes] = []
        stdout = self._process.stdout
        assert stdout is not None
        reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
        reader.start()
        reader.join(timeout)
        if not lines:
            return {"error": f"it is not ready after {timeout:g} seconds"}
        if not lines[0]:
            return {"error": f"its process ended with status {self._process.wait(_GRACE)}"}
        answer: dict[str, object] = json.loads(lines[0])
        return answer

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        shown = "".join(f"\n  {line}" for line in lines)
        return f"\nthe end of {self.log}:{shown}" if lines else ""

    def __enter__(self) -> FunctionServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _stdin_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _end(process: subprocess.Popen[bytes], timeout: float) -> None:
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Only now: at the end of its standard input a server takes its starter for gone.
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
