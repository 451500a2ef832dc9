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
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pyfunc.processes.message_pipe import MessagePipe
from pyfunc.processes.parent_death import die_with_parent
from pyfunc.processes.wire_errors import write_error
from pyfunc.processes.wire_values import ValueReader, ValueWriter

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["main"]

Request = Mapping[str, Any]

_LOOK_EVERY = 1.0


def main(arguments: list[str]) -> int:
    """Serve one parent.

    ``arguments`` are three descriptors, the parent's process id, and 1 if this process is to die
    with the thread that started it.
    """
    readable, writable, lifeline, parent, dies_with_parent = map(int, arguments)
    if dies_with_parent:
        die_with_parent()
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
        self._loaded: PyFuncModel | None = None
        self._streams: dict[int, Iterator[object]] = {}
        self._numbers = itertools.count()
        self._actions: dict[str, Callable[[Request, ValueReader], object]] = {
            "load": self._load,
            "predict": self._predict,
            "score": self._score,
            "predict_sample": self._predict_sample,
            "open_stream": self._open_stream,
            "next_part": self._next_part,
            "close_stream": self._close_stream,
        }

    def answer(
        self, request: Request, reader: ValueReader, writer: ValueWriter
    ) -> dict[str, object]:
        """Return the answer to a request: ``{"value": tree}`` or ``{"error": tree}``."""
        try:
            action = self._actions[request["do"]]
            return {"value": writer.write(action(request, reader))}
        except BaseException as error:  # whatever the model raises goes to the caller
            writer.buffers.clear()
            return {"error": write_error(writer, error)}

    @property
    def _model(self) -> PyFuncModel:
        assert self._loaded is not None, "the first request is to load it"
        return self._loaded

    def _load(self, request: Request, reader: ValueReader) -> None:
        from pyfunc.loading.entry import load_model

        self._loaded = load_model(
            request["path"], suppress_warnings=True, **reader.read(request["options"])
        )

    def _predict(self, request: Request, reader: ValueReader) -> object:
        return self._model.predict(*_input(request, reader))

    def _score(self, request: Request, reader: ValueReader) -> object:
        from pyfunc.loading.registry import find_scoring

        names = ("table", "result", "params", "zone")
        return find_scoring().score_table(self._model, *(reader.read(request[n]) for n in names))

    def _predict_sample(self, request: Request, reader: ValueReader) -> object:
        sample, debug = reader.read(request["sample"]), reader.read(request["debug"])
        return self._model.predict_sample(sample, debug=debug)

    def _open_stream(self, request: Request, reader: ValueReader) -> int:
        number = next(self._numbers)
        self._streams[number] = iter(self._model.predict_stream(*_input(request, reader)))
        return number

    def _next_part(self, request: Request, _: ValueReader) -> list[object]:
        """Return the next part in a list, an empty list at the end."""
        try:
            return [next(self._streams[request["stream"]])]
        except StopIteration:
            del self._streams[request["stream"]]
            return []

    def _close_stream(self, request: Request, _: ValueReader) -> None:
        stream = self._streams.pop(request["stream"], None)
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _input(request: Request, reader: ValueReader) -> tuple[Any, Any]:
    return reader.read(request["data"]), reader.read(request["params"])
