"""Whatever a child process answers is a value, its error, or one error of ours."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import pyfunc
from pyfunc.errors import PyfuncError
from pyfunc.loading import isolated
from pyfunc.processes.message_pipe import MAX_CONTENT, MAX_HEADER, MessagePipe
from pyfunc.processes.wire_errors import read_error
from pyfunc.processes.wire_values import ValueReader, ValueWriter

# Answers "load" as the real worker does, and then with what stands in the file of its argument.
CHILD = """
import os, pathlib, sys
from pyfunc.processes.message_pipe import MessagePipe
readable, writable = map(int, sys.argv[1:3])
pipe = MessagePipe(readable, writable)
pipe.receive()
pipe.send({"value": None})
pipe.receive()
content = pathlib.Path(%r).read_bytes()
while content:
    content = content[os.write(writable, content):]
"""


def framed(header: Any, *buffers: bytes, sizes: Any = None, total: int | None = None) -> bytes:
    """Return a message of any header; lengths are right unless others are given."""
    sizes = [len(buffer) for buffer in buffers] if sizes is None else sizes
    text = json.dumps([header, sizes]).encode()
    content = b"".join(buffers)
    return struct.pack("<QQ", len(text), len(content) if total is None else total) + text + content


def value(tree: Any, *buffers: bytes) -> bytes:
    return framed({"value": tree}, *buffers)


I8 = np.arange(3, dtype="i8").tobytes()
WILD = np.array([0, 1 << 40, -5], dtype="i8").tobytes()
POINTERS = np.array([0, 2, 3], dtype="i8").tobytes()


def sparse_tree(indices: int, pointers: int) -> list[Any]:
    arrays = [["array", "<i8", [3], n] for n in (0, indices, pointers)]
    return ["sparse", "csr", True, [2, 4], arrays]


def error_tree(**changed: Any) -> dict[str, Any]:
    tree = {
        "module": "builtins", "name": "ValueError", "text": "x", "args": [], "state": {},
        "traceback": "",
    }  # fmt: skip
    return {**tree, **changed}


MALFORMED: dict[str, bytes] = {
    "no-json": struct.pack("<QQ", 4, 0) + b"{{{{",
    "not-utf-8": struct.pack("<QQ", 2, 0) + b"\xff\xfe",
    "deep-json": struct.pack("<QQ", 200_000, 0) + b"[" * 200_000,
    "deep-tree": value([]).replace(b"[]}, []", b"[" * 900 + b"]" * 900 + b"}, []").replace(
        struct.pack("<Q", len(value([])) - 16), struct.pack("<Q", len(value([])) - 16 + 1798)
    ),
    "large-header": struct.pack("<QQ", MAX_HEADER + 1, 0),
    "large-content": framed({"value": None}, total=MAX_CONTENT + 1),
    "sizes-of-less": framed({"value": None}, b"abcd", sizes=[1]),
    "sizes-of-more": framed({"value": None}, b"abcd", sizes=[5]),
    "negative-size": framed({"value": None}, b"abcd", sizes=[8, -4]),
    "sizes-no-list": framed({"value": None}, sizes=7),
    "size-true": framed({"value": None}, b"a", sizes=[True]),
    "header-no-object": framed([1]),
    "header-null": framed(None),
    "no-answer": framed({}),
    "empty-tree": value([]),
    "unknown-kind": value(["nothing"]),
    "kind-no-text": value([{"a": 1}]),
    "no-such-buffer": value(["bytes", 3]),
    "negative-buffer": value(["bytes", -1], b"abc"),
    "buffer-twice": value(["list", [["bytes", 0], ["bytes", 0]]], b"abc"),
    "array-of-objects": value(["array", "|O", [1], 0], I8[:8]),
    "array-of-fields": value(["array", "f8,O", [1], 0], I8[:16]),
    "array-of-strings": value(["array", "T", [1], 0], bytes(16)),
    "array-of-no-dtype": value(["array", None, [1], 0], I8[:8]),
    "array-too-short": value(["array", "<i8", [4], 0], I8),
    "array-negative": value(["array", "<i8", [-1], 0], I8),
    "array-shape-text": value(["array", "<i8", "33", 0], I8),
    "no-character": value(["array", "<U1", [1], 0], b"\xff\xff\xff\x7f"),
    "no-boolean": value(["array", "|b1", [1], 0], b"\x07"),
    "wild-indices": value(sparse_tree(1, 2), I8, WILD, POINTERS),
    "wild-pointers": value(sparse_tree(1, 2), I8, I8, WILD),
    "sparse-of-another-kind": value(
        ["sparse", "__class__", True, [2, 4], [["array", "<i8", [3], n] for n in range(3)]],
        I8, I8, I8,
    ),
    "wild-codes": value(
        ["index", ["multi", [["values", ["numpy", ["array", "<i8", [3], 0]], [None], None]],
                   [["array", "<i8", [3], 1]], [None]]],
        I8, WILD,
    ),
    "wild-categories": value(
        ["extension", ["category", ["array", "<i8", [3], 0],
                       ["values", ["numpy", ["array", "<i8", [3], 1]], [None], None], False]],
        WILD, I8,
    ),
    "wild-text": value(["extension", ["numpy", ["text", [3], ["array", "<i8", [3], 0], 1]]], WILD,
                       b"abc"),
    "frame-of-different-columns": value(
        ["frame", ["range", 0, 2, 1, [None]], ["range", 0, 1, 1, [None]],
         [["numpy", ["array", "<i8", [3], 0]]]], I8,
    ),
    "zone-file": value(["timestamp", ["array", "<M8[ns]", [], 0], "dateutil//etc/passwd"], I8[:8]),
    "arrow": value(["arrow", 0], b"ARROW1 nothing"),
    "large-number": value(["decimal", "x"]),
    "unhashable": value(["set", [["list", []]]]),
    "dict-of-different-lengths": value(["dict", [1, 2], [1]]),
    "error-text": framed({"error": "x"}),
    "error-without-name": framed({"error": error_tree(name=None)}),
    "error-arguments": framed({"error": error_tree(args={"a": 1})}),
    "error-argument": framed({"error": error_tree(args=[["value", ["nothing"]]])}),
    "error-argument-empty": framed({"error": error_tree(args=[[]])}),
    "error-state": framed({"error": error_tree(state=[1])}),
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wire") / "m"
    pyfunc.save_model(path, python_model=lambda model_input: model_input, pip_requirements=[])
    return path


def answer_with(
    content: bytes, model: Path, tmp_path: Path, monkeypatch: Any, *, last: str = ""
) -> Any:
    """Return the isolated model whose child gives ``content`` as its next answer, and ends.

    Before it ends it runs the line ``last``.
    """
    (tmp_path / "answer").write_bytes(content)
    monkeypatch.setattr(isolated, "WORKER_SCRIPT", CHILD % str(tmp_path / "answer") + last)
    return pyfunc.load_model(model, env="isolated", env_manager="local")


@pytest.mark.parametrize(
    "name",
    ["no-json", "large-content", "sizes-of-more", "wild-indices", "error-state", "no-answer"],
)
def test_a_malformed_answer_is_one_error_and_ends_the_child(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = answer_with(MALFORMED[name], model, tmp_path, monkeypatch)
    with pytest.raises(PyfuncError, match="gave no answer that can be read"):
        loaded.predict([1])
    with pytest.raises(PyfuncError, match="has been closed"):
        loaded.predict([1])


@pytest.mark.parametrize("part", [value(5), value("xy"), value(["list", [1, 2]])], ids=range(3))
def test_a_malformed_part_of_a_stream_is_the_same_error(
    part: bytes, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second answer is there already when it is asked for.
    both = value(1) + part
    loaded = answer_with(both, model, tmp_path, monkeypatch, last="pipe.receive()")
    with pytest.raises(PyfuncError, match="gave no answer that can be read"):
        list(loaded.predict_stream([1]))


def answered(content: bytes) -> Any:
    """Return what the parent makes of ``content``, in one process."""
    readable, theirs = os.pipe()
    other, unused = os.pipe()
    os.close(other)
    writer = threading.Thread(target=write_and_close, args=(theirs, content))
    writer.start()
    pipe = MessagePipe(readable, unused)
    vars(pipe)["send"] = lambda *_: None
    child = isolated._Child.__new__(isolated._Child)
    ended = types.SimpleNamespace(wait=lambda _: 0)
    vars(child).update(_pipe=pipe, _lock=threading.Lock(), process=ended, close=Closed())
    try:
        return child.request({"do": "predict"})
    finally:
        pipe.close()
        writer.join()


class Closed:
    alive = True

    def __call__(self) -> None:
        self.alive = False


def write_and_close(descriptor: int, content: bytes) -> None:
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except BrokenPipeError:  # the parent has seen enough
        pass
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_every_malformed_answer_is_one_error(content: bytes) -> None:
    with pytest.raises(PyfuncError, match=r"gave no answer that can be read|ended with status"):
        answered(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 66) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["array", "<i8", "|O", "text", "frame", "sparse", "csr", "own", "value",
                       "tuple-of", "multi", "values", "range", "numpy", "category", "error"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["value", "error", "module", "name", "args", "state", "text", "a"]),
        inner, max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.lists(st.binary(max_size=24), max_size=3))
def test_any_tree_is_a_value_or_one_error(tree: Any, buffers: list[bytes]) -> None:
    for header in ({"value": tree}, {"error": tree}, {"error": error_tree(args=[tree])}, tree):
        # An error that the child describes well is a ValueError, as it says.
        with contextlib.suppress(PyfuncError, ValueError):
            answered(framed(header, *buffers))


@given(st.binary(max_size=64))
def test_any_bytes_are_one_error(content: bytes) -> None:
    with pytest.raises(PyfuncError):
        answered(content)


def test_memory_is_taken_for_what_arrives() -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(PyfuncError):
            answered(framed({"value": None}, b"abc", sizes=[MAX_CONTENT], total=MAX_CONTENT))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_the_class_of_an_error_is_found_without_importing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A module that imports what it is asked for is not asked."""
    asked: list[str] = []
    lazy = types.ModuleType("lazy_errors")
    vars(lazy)["__getattr__"] = asked.append
    monkeypatch.setitem(sys.modules, "lazy_errors", lazy)
    before = set(sys.modules)
    found = read_error(ValueReader([]), error_tree(module="lazy_errors", name="Error"))
    assert type(found) is PyfuncError
    assert asked == []
    own: Callable[[str], Any] = lambda module: error_tree(args=[["own", module, "Problem", {}]])  # noqa: E731
    read_error(ValueReader([]), own("pyfunc.cortex.tracking"))
    read_error(ValueReader([]), error_tree(module="antigravity", name="Error"))
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    "sent",
    [
        sparse.random_array((5, 4), density=0.5, format="csr", rng=1),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]]),
        np.array(["ä", "bc"]),
        np.array([True, False]),
        pd.DataFrame({"a": pd.Categorical(["x", None]), "b": ["t", "u"]}),
    ],
    ids=lambda sent: type(sent).__name__,
)
def test_what_is_checked_still_arrives(sent: Any) -> None:
    writer = ValueWriter()
    tree = json.loads(json.dumps(writer.write(sent)))
    found = ValueReader(writer.buffers).read(tree)
    assert type(found) is type(sent)
