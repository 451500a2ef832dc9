"""The child process of an isolated model: loads it and answers requests until the parent ends.

Started by :mod:`pyfunc.isolated` with the interpreter of the model's own environment.
"""

from __future__ import annotations

import io
import itertools
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pyfunc.processes.message_pipe import MessagePipe
from pyfunc.processes.wire_errors import write_error
from pyfunc.processes.wire_values import ValueReader, ValueWriter

__all__ = ["main"]

_LOOK_EVERY = 1.0


def main(arguments: list[str]) -> int:
    """Serve one parent; ``arguments`` are three descriptors and the parent's process id."""
    readable, writable, lifeline, parent = map(int, arguments)
    thread = threading.Thread(target=_end_with_parent, args=(lifeline, parent), daemon=True)
    thread.start()
    # What a model prints must not get between the messages; it goes to standard error.
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    pipe = MessagePipe(readable, writable)
    worker = _Worker()
    while True:
        try:
            header, buffers = pipe.receive()
        except EOFError:
            return 0
        writer = ValueWriter()
        answer = worker.answer(header, ValueReader(buffers), writer)
        try:
            pipe.send(answer, writer.buffers)
        except OSError:
            return 0


def _end_with_parent(lifeline: int, parent: int) -> None:
    """End this process when the parent is gone, whatever the model is doing.

    The parent holds the other end of ``lifeline``. Should a process that it forked hold it
    too, the changed parent id tells.
    """
    while os.getppid() == parent:
        ready, _, _ = select.select([lifeline], [], [], _LOOK_EVERY)
        if ready:
            break
    os._exit(1)


class _Worker:
    def __init__(self) -> None:
        self._model: Any = None
        self._streams: dict[int, Iterator[Any]] = {}
        self._numbers = itertools.count()

    def answer(
        self, request: dict[str, Any], reader: ValueReader, writer: ValueWriter
    ) -> dict[str, Any]:
        """Return the answer to a request: ``{"value": tree}`` or ``{"error": tree}``."""
        try:
            method = getattr(self, f"_do_{request['do']}")
            return {"value": writer.write(method(reader, request))}
        except BaseException as error:  # whatever the model raises goes to the caller
            writer.buffers.clear()
            return {"error": write_error(writer, error)}

    def _do_load(self, reader: ValueReader, request: dict[str, Any]) -> None:
        from pyfunc.loading.entry import load_model

        self._model = load_model(
            request["path"], suppress_warnings=True, **reader.read(request["options"])
        )

    def _do_predict(self, reader: ValueReader, request: dict[str, Any]) -> Any:
        return self._model.predict(*self._input(reader, request))

    def _do_predict_sample(self, reader: ValueReader, request: dict[str, Any]) -> Any:
        sample, debug = reader.read(request["sample"]), reader.read(request["debug"])
        return self._model.predict_sample(sample, debug=debug)

    def _do_open_stream(self, reader: ValueReader, request: dict[str, Any]) -> int:
        number = next(self._numbers)
        self._streams[number] = iter(self._model.predict_stream(*self._input(reader, request)))
        return number

    def _do_next_part(self, _: ValueReader, request: dict[str, Any]) -> list[Any]:
        """Return the next part in a list, an empty list at the end."""
        try:
            return [next(self._streams[request["stream"]])]
        except StopIteration:
            del self._streams[request["stream"]]
            return []

    def _do_close_stream(self, _: ValueReader, request: dict[str, Any]) -> None:
        stream = self._streams.pop(request["stream"], None)
        close = getattr(stream, "close", None)
        if close is not None:
            close()

    @staticmethod
    def _input(reader: ValueReader, request: dict[str, Any]) -> tuple[Any, Any]:
        return reader.read(request["data"]), reader.read(request["params"])
