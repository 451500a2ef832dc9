"""Imports are read from source text (env/imports.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.code.source_imports import imports_of_source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import a, b.c as d", {"a", "b.c"}, id="import"),
        pytest.param("from a.b import c, d", {"a.b.c", "a.b.d"}, id="from"),
        pytest.param("from a import *", {"a"}, id="star"),
        pytest.param("def f():\n  if x:\n    import a", {"a"}, id="nested"),
        pytest.param("try:\n  import a\nexcept ImportError:\n  import b", {"a", "b"}, id="try"),
        pytest.param("from . import a\nfrom .b import c", set(), id="relative"),
        pytest.param("if TYPE_CHECKING:\n  import a\nelse:\n  import b", {"b"}, id="types-only"),
        pytest.param("if t.TYPE_CHECKING:\n  import a\n", set(), id="types-only-attribute"),
        pytest.param(
            "import importlib\nimportlib.import_module('a.b')", {"importlib", "a.b"}, id="m"
        ),
        pytest.param("import_module('a')\n__import__('b')", {"a", "b"}, id="functions"),
        pytest.param(
            "import_module(name)\nimport_module()\nimport_module('.a')", set(), id="other"
        ),
        pytest.param("x()()\nif f(): pass", set(), id="other-calls"),
        pytest.param("this is no python", set(), id="syntax-error"),
        pytest.param("a\x00b", set(), id="nul"),
        pytest.param(b"# -*- coding: latin-1 -*-\nimport a  # \xe4", {"a"}, id="bytes"),
    ],
)
def test_imports(source: str | bytes, expected: set[str]) -> None:
    assert imports_of_source(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from . import a", {"top.sub.a"}),
        ("from .b import c", {"top.sub.b.c"}),
        ("from .. import a", {"top.a"}),
        ("from ... import a", set()),
    ],
)
def test_relative_imports_are_resolved_in_a_package(source: str, expected: set[str]) -> None:
    assert imports_of_source(source, package="top.sub") == expected


@given(st.text(max_size=200))
def test_any_text_is_survived(source: str) -> None:
    assert isinstance(imports_of_source(source), set)
