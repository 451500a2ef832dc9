"""The standard streams of ``pyfunc predict``, and signals while it writes a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from pyfunc.distributed.batch.files import check_source, check_target

if TYPE_CHECKING:
    from pyfunc.distributed.batch.tables import FileFormat

__all__ = ["own_stdout", "reading", "writing"]

_IN_MEMORY = 16 << 20


@contextlib.contextmanager
def own_stdout() -> Iterator[BinaryIO]:
    """Give standard output for the block alone: what a model prints goes to standard error."""
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # something in its place that is no file of the system
        buffer = sys.stdout.buffer
        with contextlib.redirect_stdout(sys.stderr):
            yield buffer
        return
    ours = os.dup(descriptor)
    try:
        os.dup2(sys.stderr.fileno(), descriptor)
        with os.fdopen(os.dup(ours), "wb") as target, contextlib.redirect_stdout(sys.stderr):
            yield target
    finally:
        os.dup2(ours, descriptor)
        os.close(ours)


@contextlib.contextmanager
def reading(path: str | None) -> Iterator[str | BinaryIO]:
    """Give ``path``, where a file or pipe is, or standard input.

    Raises:
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file.
    """
    if path is None:
        if sys.stdin.isatty():
            print("pyfunc: reading standard input; Ctrl-D ends it", file=sys.stderr)
        yield sys.stdin.buffer
        return
    check_source(path)
    yield path


@contextlib.contextmanager
def writing(path: str | None, kind: FileFormat, stdout: BinaryIO) -> Iterator[str | BinaryIO]:
    """Give ``path``, where a file can be put, or standard output.

    Standard output gets rows as they come, but a JSON document only when it is complete.

    Raises:
        SaveConflictError: there is a folder at ``path``.
        SaveError: there is no folder to put it in.
    """
    if path is None:
        if kind != "json":
            yield stdout
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            yield spool  # type: ignore[misc]
            spool.seek(0)
            shutil.copyfileobj(spool, stdout)
        return
    check_target(path)
    with _ended_like_interrupted():
        yield path


@contextlib.contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that nothing half written is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
