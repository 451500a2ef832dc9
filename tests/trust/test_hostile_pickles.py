"""Hostile pickles against the walk and the allowlist (reliability 4.5); nothing of them runs."""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import fractions
import functools
import importlib.util
import io
import os
import pickle
import signal
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hostile_corpus import HOSTILE, Hostile, evil

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, UntrustedModelError
from pyfunc.pickles.allowlist import BASE_GLOBALS, Allowlist, record_globals
from pyfunc.pickles.walking import walk_pickle

LIVE = [hostile for hostile in HOSTILE if hostile.live]
corpus = pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
live_corpus = pytest.mark.parametrize("hostile", LIVE, ids=lambda hostile: hostile.name)

# A list as a caller would have it for models of scikit-learn and frames.
GENEROUS = Allowlist(
    [
        *BASE_GLOBALS,
        ("sklearn.preprocessing._data", "StandardScaler"),
        ("pathlib", "Path"),
        ("builtins", "str"),
        ("builtins", "list"),
        ("builtins", "tuple"),
        ("builtins", "dict"),
    ],
    dangerous=[
        ("sklearn.pipeline", "Pipeline"),
        ("pandas", "DataFrame"),
        ("pandas", "Index"),
        ("pandas._libs.internals", "_unpickle_block"),
        ("pandas.core.indexes.base", "_new_Index"),
        ("pandas.core.internals.managers", "BlockManager"),
        ("time", "time"),
    ],
)


def test_the_corpus_is_large_and_has_no_name_twice() -> None:
    names = [hostile.name for hostile in HOSTILE]
    assert len(set(names)) == len(names) >= 60
    assert len(LIVE) >= 40


def run_in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child without output; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@live_corpus
def test_the_payload_is_real(hostile: Hostile, tmp_path: Path) -> None:
    """Plain unpickling creates the marker; without this the other tests would prove nothing."""
    marker = tmp_path / "marker"
    data = hostile.build(str(marker))
    run_in_child(lambda: wait_for_processes(data))
    assert marker.exists() or importlib.util.find_spec(hostile.needs) is None


def wait_for_processes(data: bytes) -> None:
    try:
        value = pickle.loads(data)
        getattr(value, "wait", lambda: None)()
    finally:
        os._exit(0)


@corpus
def test_no_payload_gets_past_the_allowlist(hostile: Hostile, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    data = hostile.build(str(marker))
    report = walk_pickle(data)
    verdict = GENEROUS.judge(report)
    assert verdict.word in ("refused", "contains-code")
    assert verdict.reasons
    with pytest.raises(UntrustedModelError) as caught:
        GENEROUS.check(data, path="python_model.pkl")
    assert "python_model.pkl" in str(caught.value)
    assert len(str(caught.value)) < 100_000
    assert not marker.exists()


def can_be_listed(name: tuple[str, str]) -> bool:
    with suppress(InvalidArgumentError):
        return bool(Allowlist([name]).names)
    return False


@corpus
def test_no_caller_can_list_what_a_payload_needs(hostile: Hostile, tmp_path: Path) -> None:
    """Even a list of all the names that it imports does not let it run."""
    data = hostile.build(str(tmp_path / "marker"))
    allowed = Allowlist(name for name in walk_pickle(data).globals if can_be_listed(name))
    refused = allowed.judge(walk_pickle(data)).word != "only-allowlisted-globals"
    assert refused or hostile.name in {"log-file", "obj-of-class"}  # they only open a log


@live_corpus
def test_the_unpickler_is_guarded_as_well(hostile: Hostile, tmp_path: Path) -> None:
    """Should the walk ever miss an import, the second line refuses it."""
    marker = tmp_path / "marker"
    data = hostile.build(str(marker))

    class Guarded(pickle.Unpickler):
        def __init__(self, file: io.BytesIO) -> None:
            super().__init__(file)
            self._find = GENEROUS.guard(super().find_class)

        def find_class(self, module: str, name: str) -> Any:
            return self._find(module, name)

    with pytest.raises((UntrustedModelError, pickle.UnpicklingError)):
        Guarded(io.BytesIO(data)).load()
    assert not marker.exists()


def test_walking_imports_nothing(tmp_path: Path) -> None:
    before = set(sys.modules)
    for module in ("antigravity", "this", "tkinter.colorchooser", "not_there"):
        data = pickle.dumps(collections.Counter)[:-1]
        report = walk_pickle(data.replace(b"collections", module.encode()) + b".")
        assert not report.has_code
        report = walk_pickle(f"c{module}\nname\n.".encode())
        assert report.globals == ((module, "name"),)
    assert set(sys.modules) - before == set()


def test_code_by_value_is_called_so() -> None:
    import cloudpickle

    verdict = GENEROUS.judge(walk_pickle(cloudpickle.dumps(lambda: 1)))
    assert verdict.word == "contains-code"
    with pytest.raises(UntrustedModelError, match="code by value"):
        record_globals(cloudpickle.dumps(lambda: 1))


BENIGN: list[Any] = [
    pytest.param({"a": [1, 2.5, None, True, "x", b"y", (1,), {2}]}, id="plain-values"),
    pytest.param(collections.OrderedDict(a=1, b=[collections.Counter("aab")]), id="collections"),
    pytest.param(
        [
            datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
            datetime.timedelta(1),
            datetime.date(2024, 1, 2),
        ],
        id="dates",
    ),
    pytest.param([decimal.Decimal("1.5"), fractions.Fraction(1, 3), 1 + 2j], id="numbers"),
    pytest.param(uuid.UUID(int=5), id="uuid"),
    pytest.param(np.arange(12.0).reshape(3, 4), id="array"),
    pytest.param(np.array(["a", None, 1], dtype=object), id="object-array"),
    pytest.param([np.float32(1.5), np.int64(2), np.bool_(True)], id="scalars"),
    pytest.param(np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]), id="structured-array"),
    pytest.param(pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan]}), id="frame"),
    pytest.param(pd.Series(pd.date_range("2024-01-01", periods=3), name="t"), id="series"),
    pytest.param([range(3), slice(1, 2), frozenset([1]), bytearray(b"x")], id="builtins"),
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", BENIGN)
def test_benign_pickles_load_with_their_recorded_names(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    allowed = Allowlist((), dangerous=record_globals(data))
    report = allowed.check(data, path="x.pkl")
    assert not report.problems
    assert report.is_complete

    class Guarded(pickle.Unpickler):
        def __init__(self, file: io.BytesIO) -> None:
            super().__init__(file)
            self._find = allowed.guard(super().find_class)

        def find_class(self, module: str, name: str) -> Any:
            return self._find(module, name)

    loaded = Guarded(io.BytesIO(data)).load()
    assert pickle.dumps(loaded, protocol) == pickle.dumps(pickle.loads(data), protocol)


@pytest.mark.parametrize("value", BENIGN[:9])
def test_plain_data_needs_the_base_names_only(value: Any) -> None:
    for protocol in (2, 3, 4, 5):
        Allowlist(BASE_GLOBALS).check(pickle.dumps(value, protocol), path="x.pkl")


@pytest.mark.parametrize(
    "entry",
    [
        "builtins.eval", "builtins.getattr", "builtins.map", "builtins.open", "__builtin__.eval",
        "builtins.__import__", "builtins.type", "functools.partial", "operator.attrgetter",
        "_operator.methodcaller", "types.CodeType", "types.FunctionType", "os.system",
        "os.path.join", "posix.system", "subprocess.Popen", "pickle.loads", "_pickle.loads",
        "cloudpickle.cloudpickle._make_function", "cloudpickle.loads", "joblib.load",
        "joblib.externals.cloudpickle.cloudpickle._make_function", "pyspark.cloudpickle.loads",
        "numpy.load", "numpy.testing.run_module_suite", "numpy.testing._private.utils.runstring",
        "numpy.f2py.crackfortran.myeval", "pandas.read_pickle", "pandas.io.pickle.read_pickle",
        "torch.load", "marshal.loads", "importlib.import_module", "runpy.run_path", "sys.path",
        "shutil.rmtree", "ctypes.CDLL", ("builtins", "exec"), ("pathlib", "Path.touch"),
        ("logging", "os.system"), "name", "", ".x", "x.", ("", "x"), ("x", ""),
    ],
    ids=str,
)  # fmt: skip
def test_names_that_would_allow_everything_cannot_be_listed(entry: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="allowlist"):
        Allowlist([entry])


@pytest.mark.parametrize("entry", [None, 1, ("a",), ("a", 1), ["a", "b"], b"a.b"], ids=str)
def test_entries_of_other_types_are_refused(entry: Any) -> None:
    with pytest.raises(InvalidTypeError, match="allowlist"):
        Allowlist([entry])


def test_names_are_exact() -> None:
    allowed = Allowlist(["collections.OrderedDict", ("numpy", "ndarray")])
    assert allowed.names == {("collections", "OrderedDict"), ("numpy", "ndarray")}
    for value in (collections.Counter("a"), np.arange(2)):
        with pytest.raises(UntrustedModelError, match="is not allowed"):
            allowed.check(pickle.dumps(value), path="x.pkl")


def test_hostile_pickles_cannot_be_recorded() -> None:
    with pytest.raises(UntrustedModelError, match=r"builtins\.eval"):
        record_globals(evil("marker"))


def test_the_guard_knows_the_names_of_old_protocols() -> None:
    found = Allowlist(["builtins.set"]).guard(lambda module, name: (module, name))
    assert found("__builtin__", "set") == ("__builtin__", "set")
    assert found("builtins", "set") == ("builtins", "set")
    for module, name in [("__builtin__", "eval"), ("builtins", "eval"), ("os", "set")]:
        with pytest.raises(UntrustedModelError):
            found(module, name)


def test_the_base_names_exist() -> None:
    """Each is a class or a constructor; a name of the other numpy major version may be absent."""
    for module, name in BASE_GLOBALS:
        if module.startswith(("numpy.core", "numpy._core")):
            continue
        found = functools.reduce(getattr, [name], importlib.import_module(module))
        assert callable(found)
    assert not {name for module, name in BASE_GLOBALS if module == "builtins"} & {
        name for name in dir(builtins) if name.startswith("_")
    }
