"""What is fuzzed: each target takes any bytes and gives a result or an error of our tree.

Run as a script it is the child of ``fuzz.py`` and of the tests, with limits of memory and time:
one line of ``target hex`` comes in for each input, and one line goes out.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import resource
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import pyfunc
from pyfunc.directory.manifest import parse_manifest
from pyfunc.env.creating.recipe import read_recipe
from pyfunc.errors import PyfuncError
from pyfunc.files.yaml_reading import parse_yaml
from pyfunc.loading import isolated
from pyfunc.processes.message_pipe import MessagePipe
from pyfunc.schema import ColSpec, Schema
from pyfunc.schema.wire.requests import RequestReader

__all__ = ["CORPUS", "TARGETS", "main"]

CORPUS = Path(__file__).parents[1] / "data" / "fuzz"

_MEMORY = 4 << 30
_SECONDS = 20
_PICKLED = f"""\
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_model: python_model.pkl
    python_version: {platform.python_version()}
"""
_SKOPS = """\
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.skops
  sklearn:
    pickled_model: model.skops
    serialization_format: skops
    sklearn_version: 1.0.0
"""


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pyfunc-fuzz-")


def _folder(name: str) -> Path:
    """Return a folder for the model of one target, which is removed at the end."""
    folder = Path(_temporary().name, name)
    folder.mkdir(exist_ok=True)
    return folder


def _load_pickle(data: bytes) -> None:
    root = _folder("pickled")
    (root / "MLmodel").write_text(_PICKLED)
    (root / "python_model.pkl").write_bytes(data)
    pyfunc.load_model(root, trust="allowlist", suppress_warnings=True)


def _load_skops(data: bytes) -> None:
    root = _folder("skops")
    (root / "MLmodel").write_text(_SKOPS)
    (root / "model.skops").write_bytes(data)
    pyfunc.load_model(root, trust="allowlist", suppress_warnings=True)


def _describe(data: bytes) -> None:
    root = _folder("described")
    (root / "MLmodel").write_bytes(data)
    for look in (lambda: pyfunc.load_model(root, trust="none"), lambda: pyfunc.inspect(root)):
        with contextlib.suppress(PyfuncError):
            look()


def _require(data: bytes) -> None:
    root = _folder("required")
    (root / "MLmodel").write_text(_PICKLED)
    text, _, conda = data.partition(b"\0")
    (root / "requirements.txt").write_bytes(text)
    (root / "conda.yaml").write_bytes(conda)
    read_recipe(root)


def _manifest(data: bytes) -> None:
    manifest = parse_manifest(data)
    assert parse_manifest(manifest.to_bytes()) == manifest


_READERS = (
    RequestReader(None),
    RequestReader(
        Schema([ColSpec(kind, kind) for kind in ("double", "long", "string", "datetime")])
    ),
)


def _body(data: bytes) -> None:
    for reader in _READERS:
        for parse in (reader.parse_json, reader.parse_csv, reader.parse_parquet):
            with contextlib.suppress(PyfuncError):
                parse(data)


class _Closed:
    alive = True

    def __call__(self) -> None:
        self.alive = False


def _answer(data: bytes) -> None:
    """Let the parent of an isolated model read ``data`` as the answer to a request."""
    readable, theirs = os.pipe()
    other, unused = os.pipe()
    os.close(other)
    if len(data) > 60_000:  # what a pipe holds, so that nobody has to write meanwhile
        data = data[:60_000]
    os.write(theirs, data)
    os.close(theirs)
    pipe = MessagePipe(readable, unused)
    vars(pipe)["send"] = lambda *_: None
    child = isolated._Child.__new__(isolated._Child)
    ended = types.SimpleNamespace(wait=lambda _: 0)
    vars(child).update(_pipe=pipe, _lock=threading.Lock(), process=ended, close=_Closed())
    try:
        child.request({"do": "predict"})
    except PyfuncError:
        raise
    except Exception:  # what a well-formed answer says that the model raised
        if not _says_error(data):
            raise
    finally:
        pipe.close()


def _says_error(data: bytes) -> bool:
    try:
        header = json.loads(data[16 : 16 + int.from_bytes(data[:8], "little")])[0]
    except (ValueError, LookupError, TypeError):
        return False
    return "error" in header


def _header(data: bytes) -> None:
    """Let the parent read a message whose header is ``data``, with three buffers behind it."""
    buffers = [b"\0\0\0\0\0\0\0\0", b"abcdefgh" * 3, b""]
    text = b"[" + data + b",[8,24,0]]"
    lengths = len(text).to_bytes(8, "little") + (32).to_bytes(8, "little")
    _answer(lengths + text + b"".join(buffers))


TARGETS: dict[str, Callable[[bytes], object]] = {
    "answer": _answer,
    "body": _body,
    "header": _header,
    "manifest": _manifest,
    "mlmodel": _describe,
    "pickle": _load_pickle,
    "requirements": _require,
    "skops": _load_skops,
    "yaml": parse_yaml,
}


def main() -> None:
    """Answer each line with ``result``, the class of an error of ours, or ``find``."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        target, _, data = line.strip().partition(" ")
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + _SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        print(_outcome(target, bytes.fromhex(data)), flush=True)


def _outcome(target: str, data: bytes) -> str:
    try:
        TARGETS[target](data)
    except PyfuncError as error:
        words = "".join(c for c in str(error)[:400] if c.isalpha() or c == " ")
        return f"{type(error).__name__} {words[-60:]}"
    except Exception as error:
        return f"find {type(error).__name__}: {str(error)[:200]!r}"
    return "result"


if __name__ == "__main__":
    main()
