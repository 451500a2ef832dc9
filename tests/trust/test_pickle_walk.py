"""The walk over a pickle against the unpickler itself (reliability 4.5 and 4.9)."""

from __future__ import annotations

import collections
import io
import os
import pickle
import random
import struct
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.pickles.walking import PickleReport, map_global, walk_pickle


def kinds(report: PickleReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def make_function(source: str, name: str = "f") -> Any:
    """Return a function that cloudpickle writes by value, with modules in reach."""
    scope: dict[str, Any] = {"__name__": "__main__", "np": np, "os": os, "dist": os.path}
    exec(source, scope)
    return scope[name]


class TestReport:
    """What is found in pickles that picklers write."""

    @pytest.mark.parametrize("protocol", range(6))
    def test_imports_in_every_protocol(self, protocol: int) -> None:
        report = walk_pickle(pickle.dumps(collections.OrderedDict(a=len), protocol))
        assert ("collections", "OrderedDict") in report.globals
        assert ("builtins", "len") in report.globals
        assert report.problems == ()
        assert report.is_complete
        assert not report.has_code
        assert report.protocol == (protocol if protocol > 1 else 0)
        assert "builtins" in report.modules

    def test_order_is_kept_and_names_stand_once(self) -> None:
        data = pickle.dumps([np.arange(2), len, np.arange(3), len, sorted])
        names = [name for _, name in walk_pickle(data).globals]
        assert names == ["_reconstruct", "ndarray", "dtype", "len", "sorted"]

    def test_plain_values_import_nothing(self) -> None:
        for protocol in range(6):
            report = walk_pickle(
                pickle.dumps({"a": [1, 2**90, 1.5, "é", None, (True,)]}, protocol)
            )
            assert (report.globals, report.problems) == ((), ())

    def test_a_report_can_be_pickled_and_compared(self) -> None:
        report = walk_pickle(b"cos\nsystem\n.")
        assert pickle.loads(pickle.dumps(report)) == report == walk_pickle(b"cos\nsystem\n.")

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_can_be_walked(self, kind: type) -> None:
        assert walk_pickle(kind(b"cos\nsystem\n.")).globals == (("os", "system"),)

    @pytest.mark.parametrize(
        ("module", "name", "expected"),
        [
            ("__builtin__", "set", ("builtins", "set")),
            ("copy_reg", "_reconstructor", ("copyreg", "_reconstructor")),
            ("__builtin__", "xrange", ("builtins", "range")),
            ("os", "system", ("os", "system")),
        ],
    )
    def test_old_names_are_mapped_in_old_protocols_only(
        self, module: str, name: str, expected: tuple[str, str]
    ) -> None:
        data = f"c{module}\n{name}\n.".encode()
        assert walk_pickle(data).globals == (expected,)
        assert walk_pickle(b"\x80\x02" + data).globals == (expected,)
        assert walk_pickle(b"\x80\x03" + data).globals == ((module, name),)
        assert map_global(module, name, 2) == expected
        assert map_global(module, name, 4) == (module, name)

    def test_large_payloads_are_skipped(self) -> None:
        report = walk_pickle(pickle.dumps(np.zeros(4_000_000), protocol=5))
        assert report.opcodes < 100
        assert ("numpy", "dtype") in report.globals


class TestCode:
    """Code that comes by value, and the modules that it needs."""

    FUNCTION = (
        "def f(x):\n"
        "    'A docstring'\n"
        "    import json\n"
        "    import xml.etree.ElementTree\n"
        "    from scipy import stats, sparse as sp\n"
        "    def inner():\n"
        "        import decimal\n"
        "        return np.sum(x), 'constant', ('in', ('tuple',))\n"
        "    return inner\n"
    )

    def test_a_function(self) -> None:
        report = walk_pickle(cloudpickle.dumps(make_function(self.FUNCTION)))
        assert report.has_code
        assert report.problems == ()
        assert set(report.imported_names) == {
            "json", "xml.etree.ElementTree", "scipy", "decimal",
        }  # fmt: skip
        assert report.submodules == ("numpy",)
        assert {"np", "sum", "stats", "sparse", "json", "decimal"} <= set(report.code_names)
        assert {"A docstring", "constant", "in"} <= set(report.code_constants)
        assert "numpy" in report.modules

    def test_a_class(self) -> None:
        source = (
            "class f:\n    def g(self):\n        import json\n        return os.path.join('a')\n"
        )
        report = walk_pickle(cloudpickle.dumps(make_function(source)()))
        assert report.has_code
        assert report.imported_names == ("json",)
        assert "os" in report.submodules
        assert {"path", "join"} <= set(report.code_names)

    def test_many_imports_need_wide_arguments(self) -> None:
        lines = "".join(f"    x{number} = y{number}\n" for number in range(300))
        names = ", ".join(f"x{number}" for number in range(300))
        source = f"def f():\n    global {names}\n{lines}    import json\n"
        report = walk_pickle(cloudpickle.dumps(make_function(source)))
        assert report.imported_names == ("json",)
        assert len(report.code_names) == 601

    def test_a_class_by_reference_has_no_code(self) -> None:
        report = walk_pickle(cloudpickle.dumps(collections.Counter("ab")))
        assert not report.has_code
        assert report.globals == (("collections", "Counter"),)

    def test_code_of_another_python_still_gives_its_names(self) -> None:
        """The arguments of CodeType before Python 3.8 had another order."""
        names = b"(X\x04\x00\x00\x00jsonX\x05\x00\x00\x00loadst"
        data = b"\x80\x04ctypes\nCodeType\n(K\x00K\x00K\x00K\x00C\x00)" + names + b"tR."
        report = walk_pickle(data)
        assert report.has_code
        assert report.imported_names == ()
        assert report.code_names == ("json", "loads")

    @pytest.mark.parametrize(
        "name",
        [
            "cloudpickle.cloudpickle\n_make_function", "cloudpickle\n_make_skeleton_class",
            "joblib.externals.cloudpickle.cloudpickle\n_make_function", "types\nCodeType",
            "ray.cloudpickle.cloudpickle\n_make_skel_func", "types\nFunctionType",
            "dill._dill\n_create_function", "dill._dill\n_create_type",
        ],
    )  # fmt: skip
    def test_what_makes_code_is_known_wherever_it_is_vendored(self, name: str) -> None:
        assert walk_pickle(f"c{name}\n.".encode()).has_code


class TestProblems:
    """What cannot be followed is said."""

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            pytest.param(b"", "malformed", id="empty"),
            pytest.param(b".", "malformed", id="nothing-at-the-end"),
            pytest.param(b"N", "malformed", id="no-end"),
            pytest.param(b"\x00.", "malformed", id="unknown-opcode"),
            pytest.param(b"K", "malformed", id="number-cut"),
            pytest.param(b"X\x05\x00\x00\x00ab", "malformed", id="text-cut"),
            pytest.param(b"\x8c\x05ab", "malformed", id="short-text-cut"),
            pytest.param(b"\x96" + b"\xff" * 8 + b".", "malformed", id="bytearray-huge"),
            pytest.param(b"h\x05.", "malformed", id="memo-missing"),
            pytest.param(b"g5\n.", "malformed", id="memo-line-missing"),
            pytest.param(b"gx\n.", "malformed", id="memo-not-a-number"),
            pytest.param(b"Np-1\n.", "malformed", id="memo-negative"),
            pytest.param(b"t.", "malformed", id="no-mark"),
            pytest.param(b"1.", "malformed", id="no-mark-to-pop"),
            pytest.param(b"0.", "malformed", id="nothing-to-pop"),
            pytest.param(b"N\x86.", "malformed", id="too-few-for-a-tuple"),
            pytest.param(b"NR.", "malformed", id="too-few-for-a-call"),
            pytest.param(b"N(R.", "malformed", id="call-over-a-mark"),
            pytest.param(b"(o.", "malformed", id="object-without-class"),
            pytest.param(b"\x80\x06N.", "malformed", id="protocol-6"),
            pytest.param(b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "malformed", id="frame-too-long"),
            pytest.param(b"\x95\2\0\0\0\0\0\0\0cos\nsystem\n.", "malformed", id="over-a-frame"),
            pytest.param(b"\x95\x0b\0\0\0\0\0\0\0" * 2 + b"NN.", "malformed", id="frames"),
            pytest.param(b"c\xff\nx\n.", "malformed", id="name-not-utf-8"),
            pytest.param(b"N.N", "trailing-data", id="bytes-behind"),
            pytest.param(b"NN\x93.", "unresolved-global", id="import-of-none"),
            pytest.param(b"K\x01\x8c\x01x\x93.", "unresolved-global", id="import-from-number"),
            pytest.param(b"\x82\x01.", "extension", id="extension-1"),
            pytest.param(b"\x83\x01\x00.", "extension", id="extension-2"),
            pytest.param(b"\x84\x01\x00\x00\x00.", "extension", id="extension-4"),
            pytest.param(b"Px\n.", "persistent-id", id="persistent"),
            pytest.param(b"NQ.", "persistent-id", id="persistent-binary"),
            pytest.param(b"\x80\x05\x97.", "out-of-band-buffer", id="buffer"),
            pytest.param(b"\x80\x05\x97\x98.", "out-of-band-buffer", id="read-only-buffer"),
            pytest.param(b"N)R.", "computed-call", id="call-of-none"),
            pytest.param(b"\x8c\x01x)\x81.", "computed-call", id="new-of-text"),
            pytest.param(b"cos\ngetcwd\n)R)R.", "computed-call", id="call-of-a-result"),
            pytest.param(b"cos\nenviron\n}b.", "global-changed", id="build"),
            pytest.param(b"cos\nenviron\nNNs.", "global-changed", id="set-item"),
            pytest.param(b"cos\nenviron\n(NNu.", "global-changed", id="set-items"),
            pytest.param(b"csys\npath\nNa.", "global-changed", id="append"),
            pytest.param(b"csys\npath\n(Ne.", "global-changed", id="appends"),
            pytest.param(b"csys\npath\n(N\x90.", "global-changed", id="add-items"),
            pytest.param(b"csys\npath\n2Na0.", "global-changed", id="through-a-copy"),
            pytest.param(b"csys\npath\nq\x000h\x00Na.", "global-changed", id="through-the-memo"),
            pytest.param(b")" + b"\x85" * 1001 + b".", "too-deep", id="deep-tuples"),
            pytest.param(b"]" * 1002 + b"a" * 1001 + b".", "too-deep", id="deep-lists"),
            pytest.param(b"]q\x000" + b"]h\x00aq\x000" * 1001 + b"h\x00.", "too-deep", id="memo"),
            pytest.param(b")" + b"q\x002h\x00\x86" * 30 + b".", "too-large", id="doubling"),
            pytest.param(b"Nr\x00\x00\x00\x7f.", "too-large", id="memo-index"),
            pytest.param(b"Np999999999\n.", "too-large", id="memo-line-index"),
            pytest.param(b"L" + b"1" * 5000 + b"L\n.", "too-large", id="decimal"),
            pytest.param(b"I" + b"1" * 5000 + b"\n.", "too-large", id="int-line"),
            pytest.param(
                b"\x8b" + struct.pack("<I", 70_000) + b"\1" * 70_000 + b".", "too-large", id="long"
            ),
        ],
    )
    def test_each_kind(self, data: bytes, kind: str) -> None:
        assert kind in kinds(walk_pickle(data))

    def test_values_up_to_the_bounds_have_no_problem(self) -> None:
        for data in (
            b")" + b"\x85" * 900 + b".",
            b"]" * 900 + b"a" * 899 + b".",
            b"L" + b"1" * 4000 + b"L\n.",
            pickle.dumps(list(range(100_000))),
            pickle.dumps([["x"] * 50] * 50_000),
        ):
            assert walk_pickle(data).problems == ()

    def test_the_number_of_opcodes_is_bounded(self) -> None:
        data = pickle.dumps(list(range(1000)))
        report = walk_pickle(data, max_opcodes=100)
        assert kinds(report) == {"too-many-opcodes"}
        assert report.opcodes == 100
        assert not report.is_complete

    def test_many_problems_are_cut(self) -> None:
        report = walk_pickle(b"\x82\x01" * 100_000)
        assert len(report.problems) == 101
        assert report.problems[-1].kind == "malformed"

    def test_a_problem_says_where(self) -> None:
        (problem,) = walk_pickle(b"NQ.").problems
        assert (problem.kind, problem.offset) == ("persistent-id", 1)
        assert str(problem).startswith("persistent-id at byte 1: ")

    def test_what_comes_before_the_damage_is_reported(self) -> None:
        report = walk_pickle(b"cos\nsystem\n\xff")
        assert report.globals == (("os", "system"),)
        assert not report.is_complete

    def test_a_last_line_without_end_is_reported_as_a_file_reader_sees_it(self) -> None:
        assert walk_pickle(b"cos\nsystemX").globals == (("os", "system"),)


class _Stub:
    """Stands for whatever is imported: takes every call and change, does nothing."""

    def __new__(cls, *arguments: object, **named: object) -> _Stub:
        return super().__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __call__(self, *arguments: object, **named: object) -> _Stub:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, item: object) -> None:
        pass

    def add(self, item: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass


def load_recording(unpickler: type, data: bytes) -> tuple[set[tuple[str, str]], bool]:
    """Return the imports that an unpickler asks for, and whether it came to the end."""
    asked: set[tuple[str, str]] = set()

    class Recording(unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            asked.add((module, name))
            return _Stub

        def persistent_load(self, identity: object) -> Any:
            return _Stub()

    try:
        Recording(io.BytesIO(data)).load()
    except BaseException as error:  # whatever a random pickle leads to
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return asked, False
    return asked, True


_NAMES = [b"os", b"system", b"x", b"a.b", b"collections", b"OrderedDict", b"__builtin__", b"set"]
_OPERANDS = [
    *(b"\x8c" + bytes([len(name)]) + name for name in _NAMES),
    *(b"X" + struct.pack("<I", len(name)) + name for name in _NAMES),
    *(b"U" + bytes([len(name)]) + name for name in _NAMES),
    *(b"V" + name + b"\n" for name in _NAMES),
    *(b"S'" + name + b"'\n" for name in _NAMES),
]
_OPCODES = [
    b"(", b"0", b"1", b"2", b"N", b"K\x01", b"M\x01\x00", b"J\x01\x00\x00\x00", b"\x88", b"\x89",
    b"G" + b"\0" * 8, b"F1.5\n", b"I1\n", b"I01\n", b"L1L\n", b"\x8a\x01\x01",
    b"\x8b\x01\x00\x00\x00\x01", b"C\x01x", b"B\x01\x00\x00\x00x", b"T\x01\x00\x00\x00x",
    b"\x8e\x01\0\0\0\0\0\0\0x", b"\x8d\x01\0\0\0\0\0\0\0x", b"\x96\x01\0\0\0\0\0\0\0x",
    b"R", b"b", b"a", b"e", b"s", b"u", b"d", b"l", b"t", b")", b"]", b"}", b"o", b"\x81", b"\x92",
    b"\x85", b"\x86", b"\x87", b"\x8f", b"\x90", b"\x91", b"\x93", b"\x94", b"Q", b"Px\n",
    b"cos\nsystem\n", b"ccollections\nOrderedDict\n", b"c__builtin__\nset\n", b"ios\nx\n",
    *(b"h" + bytes([n]) for n in range(4)), *(b"q" + bytes([n]) for n in range(4)),
    b"g1\n", b"p1\n", b"j\x02\x00\x00\x00", b"r\x02\x00\x00\x00", b"\x80\x02", b"\x80\x04",
    b".", b"\x82\x01", b"\x95\x02\0\0\0\0\0\0\0", b"\xff", b"\n",
]  # fmt: skip
_PROGRAMS = st.lists(
    st.one_of(st.sampled_from(_OPCODES), st.sampled_from(_OPERANDS)), max_size=25
).map(lambda parts: b"".join(parts) + b".")


@pytest.mark.parametrize(
    "unpickler",
    [pickle.Unpickler, pickle._Unpickler],
    ids=["c", "python"],
)
class TestDifferential:
    """No import escapes the walk, whatever the opcodes are."""

    @staticmethod
    def compare(unpickler: type, data: bytes) -> None:
        asked, finished = load_recording(unpickler, data)
        report = walk_pickle(data)
        known = set(report.globals)
        missed = {name for name in asked if not known & {name, map_global(*name, 2)}}
        if missed:
            assert not report.is_complete
            # Only where bytes are lost at the border of a frame does the walk stop too early.
            assert kinds(report) & {"unresolved-global", "extension"} or b"\x95" in data
        if finished and b"\x95" not in data:
            assert "malformed" not in kinds(report)

    @given(data=_PROGRAMS)
    def test_random_opcodes(self, unpickler: type, data: bytes) -> None:
        self.compare(unpickler, data)

    @given(data=_PROGRAMS, cut=st.integers(0, 60))
    def test_truncated_opcodes(self, unpickler: type, data: bytes, cut: int) -> None:
        self.compare(unpickler, data[:cut])

    def test_flipped_bits_of_a_real_pickle(self, unpickler: type) -> None:
        data = pickle.dumps([collections.OrderedDict(a=len), {"k": [1.5] * 3}], protocol=2)
        chance = random.Random(3)
        for _ in range(2000):
            changed = bytearray(data)
            bit = chance.randrange(len(data) * 8)
            changed[bit // 8] ^= 1 << bit % 8
            if b"r" not in changed and b"\x8b" not in changed:  # those may ask for gigabytes
                self.compare(unpickler, bytes(changed))


@given(st.binary(max_size=80))
def test_any_bytes_give_a_report(data: bytes) -> None:
    report = walk_pickle(data)
    assert report.is_complete or report.problems
