"""YAML of model files: bounds for any input, and PyYAML's own bytes (reliability 4.4)."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelPathError,
)
from pyfunc.files.yaml_reading import MAX_YAML_BYTES, parse_yaml, read_yaml_mapping
from pyfunc.files.yaml_writing import dump_yaml

_BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10)) for i in range(9)
)
_MERGE_BOMB = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d\n  <<: [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 8)) for i in range(1, 8)
)

HOSTILE = [
    pytest.param(b"a" * (MAX_YAML_BYTES + 1), None, id="too-many-bytes"),
    pytest.param(b"[" * 65 + b"]" * 65, None, id="65-levels"),
    pytest.param(b"[" * 100_000, None, id="100k-open-lists"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, None, id="100k-lists"),
    pytest.param(b"{a: " * 100_000, None, id="100k-flow-maps"),
    pytest.param(b"- " * 100_000, None, id="100k-block-lists"),
    pytest.param(b"? " * 100_000, None, id="100k-complex-keys"),
    pytest.param(b"\n".join(b" " * i + b"a:" for i in range(1000)), None, id="1000-block-maps"),
    pytest.param(b"a: [" + b"1," * 500_000 + b"]", None, id="500k-values"),
    pytest.param(b"".join(b"k%d: 1\n" % i for i in range(90_000)), None, id="90k-keys"),
    pytest.param(b"a: [" + b"&x y," + b"*x," * 101 + b"]", "a[101]", id="101-aliases"),
    pytest.param(_BOMB, None, id="alias-bomb"),
    pytest.param(_MERGE_BOMB, None, id="merge-bomb"),
    pytest.param(b"a: &a {x: 1}\nb:\n  <<: *a\n", "b.?", id="merge-key"),
    pytest.param(b"a: &a [*a]", "a[0]", id="recursive-alias"),
    pytest.param(b"&a {b: *a}", "b", id="recursive-alias-of-all"),
    pytest.param(b"a: *b", "a", id="alias-without-anchor"),
    pytest.param(b"a: &x 1\nb: &x 2", "b", id="anchor-twice"),
    pytest.param(b"".join(b"- &a%d x\n" % i for i in range(60_000)), None, id="60k-anchors"),
    pytest.param(b"a: !!python/object/apply:os.system [ls]", "a", id="python-apply"),
    pytest.param(b"a: !!python/name:os.system", "a", id="python-name"),
    pytest.param(b"a: !!python/tuple [1]", "a", id="python-tuple"),
    pytest.param(b"!!python/object:x.Y {a: 1}", None, id="python-object-at-top"),
    pytest.param(b"a: !x y", "a", id="unknown-tag"),
    pytest.param(b"a: !<tag:example.com,2000:x> y", "a", id="verbatim-tag"),
    pytest.param(b"%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system", "a", id="TAG"),
    pytest.param(b"%TAG !a! x\n" * 80_000 + b"--- a", None, id="80k-directives"),
    pytest.param(b"a: !!binary aGk=", "a", id="binary"),
    pytest.param(b"a: !!set {x, y}", "a", id="set"),
    pytest.param(b"a: !!omap [x: 1]", "a", id="omap"),
    pytest.param(b"a: !!int x", "a", id="int-tag-on-text"),
    pytest.param(b"a: !!bool maybe", "a", id="bool-tag-on-text"),
    pytest.param(b"a: !!timestamp x", "a", id="timestamp-tag-on-text"),
    pytest.param(b"a: !!str [x]", "a", id="str-tag-on-list"),
    pytest.param(b"a: =", "a", id="value-tag"),
    pytest.param(b"a: 1\n---\nb: 2", None, id="two-documents"),
    pytest.param(b"a: 1\n...\n---\n", None, id="second-empty-document"),
    pytest.param(b"a: \0", None, id="nul"),
    pytest.param(b"a: \x07", None, id="control-character"),
    pytest.param(b"\xef\xbb\xbfa: 1", None, id="bom"),
    pytest.param("a: 1".encode("utf-16"), None, id="utf-16"),
    pytest.param("a: 1".encode("utf-16-le"), None, id="utf-16-without-bom"),
    pytest.param("a: 1".encode("utf-32"), None, id="utf-32"),
    pytest.param(b"a: \xe9", None, id="latin-1"),
    pytest.param(b"a: \xed\xa0\x80", None, id="surrogate-in-utf-8"),
    pytest.param(b"a:\n\t- 1", None, id="tab"),
    pytest.param(b"a: 1\na: 2", "a", id="duplicate-key"),
    pytest.param(b"a: {b: {c: 1, c: 1}}", "a.b.c", id="duplicate-key-deep"),
    pytest.param(b"a: {1: x, 0x1: y}", "a.1", id="duplicate-number-key"),
    pytest.param(b"1: 2", "?", id="int-key-at-top"),
    pytest.param(b"true: 2", "?", id="bool-key-at-top"),
    pytest.param(b"3.10: 2", "?", id="float-key-at-top"),
    pytest.param(b"null: 2", "?", id="null-key"),
    pytest.param(b"a: {~: 2}", "a.?", id="null-key-deep"),
    pytest.param(b"2020-01-01: 2", "?", id="date-key"),
    pytest.param(b"a: {2020-01-01: 1}", "a.?", id="date-key-deep"),
    pytest.param(b"a: {[1]: 1}", "a.?", id="list-key"),
    pytest.param(b"? {b: 1}\n: 1", "?", id="map-key"),
    pytest.param(b"a: " + b"9" * 5000, "a", id="5000-digits"),
    pytest.param(b"a: 0x" + b"f" * 5000, "a", id="5000-hex-digits"),
    pytest.param(b"a: 1" + b":1" * 300_000, "a", id="sexagesimal"),
    pytest.param(b"a: " + b"1" * 1_000_000, "a", id="million-digits"),
    pytest.param(b"a: 1." + b"1" * 300_000, "a", id="300k-decimals"),
    pytest.param(b"a: 0b_", "a", id="binary-without-digits"),
    pytest.param(b"a: 2020-99-99", "a", id="date-that-does-not-exist"),
    pytest.param(b"a: [", None, id="open-list"),
    pytest.param(b'a: "', None, id="open-quote"),
    pytest.param(b"a: b: c", None, id="two-colons"),
    pytest.param(b":" * 1_000_000, None, id="colons"),
    pytest.param(b"*" * 100_000, None, id="stars"),
    pytest.param(b"{" + b",".join([b"? "] * 3) + b"}", None, id="empty-keys"),
]


@pytest.mark.parametrize(("data", "key"), HOSTILE)
def test_4_4_hostile_text_is_refused(data: bytes, key: str | None) -> None:
    with pytest.raises(ModelFormatError) as caught:
        parse_yaml(data, path="MLmodel")
    assert caught.value.path == "MLmodel"
    assert len(str(caught.value)) < 2000
    if key is not None:
        assert caught.value.key == key


def test_4_4_hostile_text_costs_little_memory_and_never_kills_the_interpreter() -> None:
    """All of it in one process that may use 50 MB more than it has after the imports."""
    code = (
        "import resource, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import test_bounded_yaml as table\n"
        "from pyfunc.errors import ModelFormatError\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 50 * 2**20,) * 2)\n"
        "for case in table.HOSTILE:\n"
        "    try:\n"
        "        table.parse_yaml(case.values[0])\n"
        "        sys.exit(f'{case.id} was accepted')\n"
        "    except ModelFormatError:\n"
        "        pass\n"
        "print(len(table.HOSTILE))\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, here],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(len(HOSTILE))), done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: 3.10\nc: [1, {x: null}]\nd: 2020-01-01\n",
        "python_version: 3.10\n",
        "a: 'x'\nb: \"y\\n\"\nc: |\n  z\n",
        "a: {1: x, 2.5: y, false: z}\n",
        "a: &x [1]\nb: *x\n",
        "--- {a: !!str 1, b: !!int '2', c: ! 3}\n...\n",
        "a: 2001-12-14t21:59:43.10-05:00\nb: .inf\nc: -0x1F\nd: 1_000\ne: 1:30\nf: off\n",
        "%YAML 1.1\n---\na: 1\n",
        "a: '<<'\n'<<': 1\n",
        "# nothing but a comment\na:\n",
        "? a\n: b\n",
        "- 1\n- two\n",
        "just text",
        "",
        "---\n",
    ],
)
def test_ordinary_text_gives_what_pyyaml_gives(text: str) -> None:
    expected = yaml.safe_load(text)
    assert parse_yaml(text) == expected
    assert parse_yaml(text.encode()) == expected


def test_an_aliased_object_is_shared() -> None:
    value = parse_yaml("a: &x [1]\nb: *x\n")
    assert value["a"] is value["b"]


def test_the_largest_values_within_the_bounds_are_accepted() -> None:
    assert parse_yaml(b"[" * 64 + b"]" * 64) is not None
    assert len(parse_yaml(b"a: [&x y," + b"*x," * 100 + b"]")["a"]) == 101
    assert len(parse_yaml(b"a: '" + b"x" * (MAX_YAML_BYTES - 5) + b"'")["a"]) == MAX_YAML_BYTES - 5
    assert parse_yaml(b"a: " + b"9" * 4300)["a"] == 10**4300 - 1
    assert parse_yaml(b"a: " + b"1 " * 5000 + b"x")["a"] == "1 " * 5000 + "x"
    assert parse_yaml(b"a: '" + b"1" * 5000 + b"'")["a"] == "1" * 5000


def test_the_size_bound_can_be_chosen() -> None:
    with pytest.raises(ModelFormatError, match="larger than 3 bytes"):
        parse_yaml("a: 1", max_bytes=3)
    assert parse_yaml("#" * MAX_YAML_BYTES + "\na: 1", max_bytes=2 * MAX_YAML_BYTES) == {"a": 1}


def test_a_syntax_error_names_the_line() -> None:
    with pytest.raises(ModelFormatError, match=r"line 2"):
        parse_yaml("a: 1\nb: [}\n")


def test_a_mapping_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "MLmodel"
    path.write_text("a: 1\n")
    assert read_yaml_mapping(path) == {"a": 1}
    (tmp_path / "link").symlink_to("MLmodel")
    assert read_yaml_mapping(tmp_path / "link") == {"a": 1}


@pytest.mark.parametrize("text", ["", "text", "- 1", "1", "null", "2020-01-01"])
def test_4_4_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "conda.yaml"
    path.write_text(text)
    with pytest.raises(ModelFormatError, match="expected a mapping") as caught:
        read_yaml_mapping(path)
    assert caught.value.path == str(path)


def test_4_4_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "MLmodel"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(ModelFormatError, match="larger than"):
        read_yaml_mapping(path)


def test_4_4_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(ModelPathError):
            read_yaml_mapping(path)
    with pytest.raises(ModelIncompleteError):
        read_yaml_mapping(tmp_path / "missing")


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_any_text_gives_a_value_or_one_error(data: bytes | str) -> None:
    try:
        value = parse_yaml(data)
    except ModelFormatError:
        return
    expected = yaml.load(data, Loader=yaml.CSafeLoader)
    assert repr(value) == repr(expected)


_YAML_BITS = st.lists(
    st.sampled_from(
        [*"[]{}:,-?&*!|>'\"%@` \n\t#~", "a", "<<", "1", "1.5", "&a ", "*a", "!!str ", "- ", ": ",
         "\n  ", "---\n", "...\n", "null", "true", "2020-01-01", "é", "\u2028"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(_YAML_BITS)
def test_what_is_accepted_is_what_pyyaml_gives(text: str) -> None:
    try:
        value = parse_yaml(text)
    except ModelFormatError:
        return
    # Compared as text, for nan.
    assert repr(value) == repr(yaml.load(text, Loader=yaml.CSafeLoader))


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=120),
    st.text(alphabet=[chr(code) for code in range(32, 127)], max_size=300),
    st.text(alphabet="a b\n'\":#-\t\\é\u2028😀", max_size=60),
    st.sampled_from(
        ["", "~", "null", "yes", "1", "1e3", "0x1", "2020-01-01", "=", "<<", " a", "a "]
    ),
    st.dates(),
    st.datetimes(),
)
_KEYS = st.one_of(st.text(max_size=20), st.text(alphabet="ab ", max_size=200))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(_KEYS, st.integers(), st.booleans()), inner, max_size=5),
    ),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6), st.booleans())
def test_text_is_written_as_pyyaml_writes_it(data: dict[str, Any], sort_keys: bool) -> None:
    try:
        text = dump_yaml(data, sort_keys=sort_keys)
    except InvalidArgumentError:
        assert not _is_unicode(repr(data))
        return
    assert text == yaml.safe_dump(data, default_flow_style=False, sort_keys=sort_keys)


def _is_unicode(text: str) -> bool:
    return "\\ud" not in text


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_what_is_written_can_be_read(data: dict[str, Any]) -> None:
    try:
        text = dump_yaml(data)
    except InvalidArgumentError:
        return
    assert repr(parse_yaml(text)) == repr(yaml.load(text, Loader=yaml.CSafeLoader))


@pytest.mark.parametrize(
    "length", [10, 79, 80, 81, 128, 129, 400], ids=lambda length: f"{length}-characters"
)
@pytest.mark.parametrize("text", ["ab cd ", '{"a": [1]}, ', "'\"", "- #: "])
def test_long_ascii_text_is_folded_as_pyyaml_folds_it(text: str, length: int) -> None:
    long = (text * length)[:length]
    data = {"key": long, "inner": {"list": [long, {"deep": long}]}, long: 1}
    assert dump_yaml(data) == yaml.safe_dump(data, default_flow_style=False)


def test_shared_values_are_written_as_aliases() -> None:
    shared = [1]
    data = {"a": shared, "b": shared, "c": [shared]}
    text = dump_yaml(data)
    assert text == yaml.safe_dump(data, default_flow_style=False)
    assert "*id001" in text
    assert parse_yaml(text) == data


class _Text(str):
    __slots__ = ()


_LOOP: list[Any] = []
_LOOP.append(_LOOP)
_DEEP: list[Any] = []
for _ in range(64):
    _DEEP = [_DEEP]
_SHARED = {"x": 1}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        pytest.param({"a": object()}, "a: ", id="object"),
        pytest.param({"a": {"b": [1, {2}]}}, "a.b[1]: ", id="set"),
        pytest.param({"a": b"x"}, "a: ", id="bytes"),
        pytest.param({"a": 1 + 2j}, "a: ", id="complex"),
        pytest.param({"a": _Text("x")}, "a: ", id="subclass-of-str"),
        pytest.param({"a": datetime.time(1)}, "a: ", id="time"),
        pytest.param({"a": 10**5000}, "a: ", id="huge-int"),
        pytest.param({"a": "\ud800"}, "a: ", id="surrogate"),
        pytest.param({"\ud800": 1}, "?: ", id="surrogate-in-key"),
        pytest.param({1: 1}, "?: ", id="int-key-at-top"),
        pytest.param({"a": {None: 1}}, "a.?: ", id="null-key"),
        pytest.param({"a": {(1,): 1}}, "a.?: ", id="tuple-key"),
        pytest.param({"a": _LOOP}, "a[0]: ", id="recursive"),
        pytest.param({"a": _DEEP}, "a[0][0]", id="deep"),
        pytest.param({"a": [_SHARED] * 102}, "a[101]: ", id="shared-too-often"),
        pytest.param({"a": list(range(60_000))}, "a[", id="too-many-values"),
        pytest.param({"a": "x" * MAX_YAML_BYTES}, "larger than", id="too-large"),
    ],
)
def test_values_that_cannot_be_written_are_named(data: dict[Any, Any], place: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        dump_yaml(data)
    assert place in str(caught.value)
    assert len(str(caught.value)) < 1000
