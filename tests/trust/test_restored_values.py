"""Under an allowlist a pickle gets back values, and nothing that it names is called."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import pickle
import platform
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_model import Constant

import pyfunc
from pyfunc.code.scope import CodeScope
from pyfunc.errors import InvalidArgumentError, UntrustedModelError
from pyfunc.model import pickle_loading
from pyfunc.pickles.allowlist import Allowlist
from pyfunc.pickles.known_data import BASE_GLOBALS
from pyfunc.trust import TrustPolicy, trusting


def load(
    data: bytes,
    *,
    allowed_globals: Sequence[str] = (),
    dangerously_allowed_globals: Sequence[str] = (),
) -> Any:
    policy = TrustPolicy(
        "allowlist",
        allowed_globals=frozenset(allowed_globals),
        dangerously_allowed_globals=frozenset(dangerously_allowed_globals),
    )
    with trusting(policy):
        return pickle_loading.load(data, scope=no_code())


def no_code() -> CodeScope:
    return CodeScope([], read=lambda _: b"")


FIELDS = np.dtype([("a", "i4"), ("b", "f8", (2,)), ("c", [("d", "U3"), ("e", "M8[s]")])])
VALUES: dict[str, Any] = {
    "plain": {"a": [1, 2.5, None, True, "x", b"", b"y", (1,), {2}, frozenset([(1, 2)])]},
    "ordered": collections.OrderedDict(a=1, b=[collections.Counter("aab")]),
    "deque": collections.deque([1, 2], 3),
    "defaultdict": collections.defaultdict(set, a={1}),
    "moment": datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
    "zone": datetime.time(1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "x")),
    "dates": [datetime.date(2024, 1, 2), datetime.timedelta(1, 2, 3)],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), 1 + 2j, 10**40],
    "uuid": uuid.UUID(int=5),
    "ranges": [range(3), range(1, 9, 2), slice(1, 2), bytearray(b"q")],
    "array": np.arange(12.0).reshape(3, 4),
    "columns-first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "objects": np.array(["a", None, 1], dtype=object),
    "texts": [np.array(["abc", "d"]), np.array([b"abc"]), np.array([], "U")],
    "scalars": [np.float32(1.5), np.int64(2), np.bool_(True), np.str_("ab"), np.bytes_(b"x")],
    "fields": np.zeros(3, FIELDS),
    "aligned": np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "objects-in-fields": np.array([(1, "x")], dtype=[("a", "i4"), ("o", "O")]),
    "no-items": np.zeros((0, 3)),
    "no-axes": np.array(5),
    "raw": np.zeros(2, "V7"),
    "dates-of-numpy": [np.array(["2024-01-01"], "M8[D]"), np.datetime64("NaT", "s")],
    "units": [np.array([5], "m8[25s]"), np.datetime64("2024-01-01", "ns")],
    "other-order": np.array([1], ">i4"),
    "dtypes": [np.dtype(">u2"), FIELDS, np.dtype(("f4", (2, 3)))],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_come_back_as_plain_unpickling_gives_them(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert pickle.dumps(load(data), protocol) == pickle.dumps(pickle.loads(data), protocol)


def test_what_a_pickle_names_twice_is_one_object() -> None:
    shared = np.arange(3.0)
    first, second = load(pickle.dumps([shared, shared]))
    assert first is second


def test_an_instance_of_a_listed_class_gets_its_attributes_and_is_not_called() -> None:
    name = f"{Constant.__module__}.Constant"
    found = load(pickle.dumps(Constant(7.0)), allowed_globals=[name])
    assert vars(found) == {"value": 7.0}
    called = f"c{Constant.__module__}\nConstant\n(F7.0\ntR.".encode()
    with pytest.raises(UntrustedModelError, match=r"calls plain_model\.Constant"):
        load(called, allowed_globals=[name])
    assert load(called, dangerously_allowed_globals=[name]).value == 7.0


def dtype_with(code: str, *state: object) -> bytes:
    """Return a pickle of a dtype that is given ``state``."""
    arguments, given = (pickle.dumps(part, 2)[2:-1] for part in ((code, False, True), state))
    return b"\x80\x02cnumpy\ndtype\n" + arguments + b"R" + given + b"b"


OBJECT = np.dtype(object)
CRAFTED: dict[str, tuple[Any, ...]] = {
    "objects-in-raw-bytes": ("V8", 3, "|", None, None, None, 8, 8, 63),
    "objects-in-a-number": ("i8", 3, "|", None, None, None, -1, -1, 63),
    "large-item": ("f8", 3, "<", None, None, None, 1 << 30, 8, 0),
    "negative-item": ("V8", 3, "|", None, None, None, -8, 1, 0),
    "field-before": ("V8", 3, "|", None, ("a",), {"a": (OBJECT, -64)}, 8, 1, 63),
    "field-behind": ("V8", 3, "|", None, ("a",), {"a": (OBJECT, 1 << 20)}, 8, 1, 63),
    "field-without-flag": ("V8", 3, "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 0),
    "overlapping": (
        "V8", 3, "|", None, ("a", "b"), {"a": (OBJECT, 0), "b": (np.dtype("i8"), 0)}, 8, 1, 63,
    ),
    "names-without-fields": ("V8", 3, "|", None, ("a",), None, 8, 1, 0),
    "fields-without-names": ("V8", 3, "|", None, None, {"a": (OBJECT, 0)}, 8, 1, 63),
    "large-part": ("V8", 3, "|", (np.dtype("f8"), (1 << 40,)), None, None, 8, 1, 0),
    "part-of-no-dtype": ("V8", 3, "|", (1, (2,)), None, None, 8, 1, 0),
    "version": ("f8", 99, "<", None, None, None, -1, -1, 0),
    "short": ("f8", 3, "<"),
    "unit": ("M8", 4, "<", None, None, None, -1, -1, 0, ({}, (b"ns", 0, 0, 0))),
}  # fmt: skip


@pytest.mark.parametrize("crafted", CRAFTED.values(), ids=CRAFTED)
def test_a_state_that_numpy_never_writes_is_refused(crafted: tuple[Any, ...]) -> None:
    data = dtype_with(*crafted)
    if crafted[1] == 99:  # the version says nothing about memory
        assert load(data + b".") == np.dtype("f8")
        return
    with pytest.raises((pickle.UnpicklingError, ValueError, TypeError)):
        load(data + b".")


def test_a_dtype_cannot_change_behind_an_array_that_has_it() -> None:
    """The array keeps a dtype of its own, so that its bytes never become addresses."""
    plain = dtype_with("V8", 3, "|", None, None, None, 8, 1, 0)
    array = (
        plain
        + b"q\x14cnumpy._core.numeric\n_frombuffer\n(C\x0841414141h\x14K\x01\x85U\x01CtRq\x15"
    )
    state = (3, "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 27)
    changed = b"h\x14" + pickle.dumps(state, 2)[2:-1]
    made = load(array + b"0" + changed + b"b0h\x15.")
    assert not made.dtype.hasobject
    assert made.tobytes() == b"41414141"


REFUSED: dict[str, bytes] = {
    "large-bytearray": b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.",
    "large-bytes": b"cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR.",
    "set-of-range": b"cbuiltins\nset\n(cbuiltins\nrange\n(J\xff\xff\xff\x7ftRtR.",
    "deque-of-range": b"ccollections\ndeque\n(cbuiltins\nrange\n(J\xff\xff\xff\x7ftRtR.",
    "large-array": b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",
    "large-new-array": b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x81.",
    "large-fraction": b"cfractions\nFraction\n(V1e1000000000\ntR.",
    "codec": b"c_codecs\nencode\n(Vabc\nVzip\ntR.",
    "shaped-as-more": (
        b"cnumpy._core.numeric\n_frombuffer\n(C\x04abcdcnumpy\ndtype\n(Vi1\n"
        b"tRJ\xff\xff\xff\x7f\x85VC\ntR."
    ),
    "other-array": b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(K\x00tC\x01btR.",
    "state-of-a-class": b"ccollections\nOrderedDict\n(tR}Vx\nK\x01sb.",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_few_bytes_make_nothing_large(data: bytes) -> None:
    with pytest.raises((pickle.UnpicklingError, UntrustedModelError, OverflowError)):
        load(data)


def test_one_large_value_is_not_copied_many_times() -> None:
    shared = list(range(50_000))
    data = pickle.dumps(shared, 2)[:-1] + b"q\x04(" + b"cbuiltins\nset\n(h\x04tR" * 2000 + b"l."
    with pytest.raises((pickle.UnpicklingError, UntrustedModelError), match=r"expand|much more"):
        load(data)
    once = pickle.dumps(bytes(1 << 16), 4)[:-1] + b"q\x04("
    data = once + b"cbuiltins\nbytearray\n(h\x04tR" * 200 + b"l."
    with pytest.raises((pickle.UnpicklingError, UntrustedModelError), match=r"expand|much more"):
        load(data)


NOT_DATA = [
    "yaml.unsafe_load", "unittest.mock._importer", "io.open", "torch.ops.load_library",
    "io.FileIO", "tarfile.TarFile", "zipfile.ZipFile", "tempfile.NamedTemporaryFile",
    "urllib.request.urlopen", "smtplib.SMTP", "sqlite3.connect", "threading.Timer",
    "code.InteractiveInterpreter", "codecs.open", "gzip.open", "glob.glob", "mmap.mmap",
    "logging.FileHandler", "logging.config.dictConfig", "optparse.Values",
    "xmlrpc.client.ServerProxy", "functools.cached_property", "atexit.register", "gc.get_objects",
    "weakref.finalize", "contextlib.ExitStack", "string.Formatter", "numpy.memmap", "numpy.save",
    "numpy.lib.npyio.NpzFile", "numpy.vectorize", "numpy.frompyfunc", "pandas.eval",
    "pandas.read_csv", "joblib.Parallel", "joblib.memory.Memory", "sklearn.tree._tree.Tree",
    "scipy.sparse._csr.csr_matrix", "mlflow.pyfunc.load_model", "pyfunc.load_model",
    "pytest.main", "requests.get", "no_such_module.Name", "uuid._load_system_functions",
    "decimal.localcontext", "collections.namedtuple", "collections.UserDict", "enum.Enum",
    "lightgbm.basic.Booster", "xgboost.core.Booster", "builtins.type", "builtins.memoryview",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # what a module warns of when it is imported
@pytest.mark.parametrize("name", NOT_DATA)
def test_what_is_not_known_to_hold_data_takes_the_loud_argument(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="dangerously_allowed_globals"):
        Allowlist([name])
    module, _, last = name.rpartition(".")
    assert Allowlist((), dangerous=[name]).dangerous == {(module, last)}


def test_the_list_is_looked_at_before_the_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"os\.system"):
        pyfunc.load_model(tmp_path / "absent", trust="allowlist", allowed_globals=["os.system"])


@pytest.mark.parametrize(
    "name", ["sklearn.linear_model._base.LinearRegression", "plain_model.Constant"]
)
def test_classes_that_only_keep_attributes_can_be_listed(name: str) -> None:
    assert Allowlist([name]).names


# -- any pickle of base names, in a child with limits --------------------------------------------

CHILD = """
import sys, resource, pickle
sys.path.insert(0, sys.argv[1])
import numpy
from test_restored_values import load
from pyfunc.errors import PyfuncError
limit = 3 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for line in sys.stdin:
    resource.setrlimit(resource.RLIMIT_CPU, (int(resource.getrusage(0).ru_utime) + 20, -1))
    try:
        load(bytes.fromhex(line))
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
    print("done", flush=True)
"""


@pytest.fixture(scope="module")
def limited() -> Any:
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


def imports() -> st.SearchStrategy[bytes]:
    names = sorted(BASE_GLOBALS)
    return st.sampled_from(names).map(lambda n: f"c{n[0]}\n{n[1]}\n".encode())


def small_values() -> st.SearchStrategy[bytes]:
    plain = st.one_of(
        st.integers(-(1 << 40), 1 << 40), st.binary(max_size=24), st.text(max_size=8), st.none(),
        st.booleans(), st.sampled_from(["f8", "V8", "O8", "U5", "M8", "C", "|", "<", b"b"]),
        st.sampled_from([(0,), (1 << 40,), (2, 3), (3, "|", None, None, None, 8, 8, 63)]),
        st.sampled_from([(1, (1,), np.dtype("V8"), False, b"41414141"), [1, 2], {"a": 1}]),
    )  # fmt: skip
    return plain.map(lambda value: pickle.dumps(value, 2)[2:-1])


STEPS = st.one_of(
    imports(),
    small_values(),
    st.sampled_from(
        [b"R", b"b", b"(", b"t", b")", b"]", b"}", b"a", b"s", b"e", b"u", b"2", b"0"]
    ),
    st.sampled_from([b"\x85", b"\x86", b"\x87", b"\x81", b"\x8f", b"\x90", b"\x91", b"o", b"d"]),
    st.integers(0, 5).map(lambda n: b"q" + bytes([n])),
    st.integers(0, 5).map(lambda n: b"h" + bytes([n])),
)
CALLS = st.tuples(
    imports(), st.lists(small_values(), max_size=5), st.lists(STEPS, max_size=4)
).map(lambda call: call[0] + b"(" + b"".join(call[1]) + b"tR" + b"".join(call[2]))


@settings(deadline=None)
@given(st.lists(st.one_of(CALLS, STEPS), max_size=25))
def test_any_pickle_of_base_names_ends_in_a_value_or_an_error(
    limited: subprocess.Popen[str], steps: list[bytes]
) -> None:
    data = b"\x80\x02" + b"".join(steps) + b"."
    assert limited.stdin is not None
    assert limited.stdout is not None
    limited.stdin.write(data.hex() + "\n")
    limited.stdin.flush()
    assert limited.stdout.readline() == "done\n", data


def test_a_crafted_dtype_in_a_model_is_one_error(tmp_path: Path) -> None:
    root = tmp_path / "m"
    root.mkdir()
    (root / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n"
        f"    python_model: python_model.pkl\n    python_version: {platform.python_version()}\n"
    )
    (root / "python_model.pkl").write_bytes(dtype_with(*CRAFTED["objects-in-raw-bytes"]) + b".")
    with pytest.raises(pyfunc.ModelIncompleteError, match="numpy itself writes"):
        pyfunc.load_model(root, trust="allowlist", suppress_warnings=True)
