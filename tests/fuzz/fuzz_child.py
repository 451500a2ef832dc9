"""A child process that runs the targets; it is started anew when an input ends it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

__all__ = ["FuzzChild"]


class FuzzChild:
    """Runs inputs one after the other; used in a ``with`` statement."""

    def __init__(self) -> None:
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("fuzz_targets.py"))]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    def outcome(self, target: str, data: bytes) -> str:
        """Return what became of an input: a result, an error of ours, or a find."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{target} {data.hex()}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if answer:
            return answer
        self._end()
        status = self._process.returncode
        self._process = self._start()
        return f"find the process ended with status {status}"

    def _end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what it did not read any more
                    stream.close()
        self._process.wait()

    def __enter__(self) -> FuzzChild:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
