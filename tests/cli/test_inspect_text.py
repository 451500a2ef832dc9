"""What ``pyfunc inspect`` shows to people: the signature as a table, imports by what they mean."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyfunc
from pyfunc.schema import (
    Array,
    ColSpec,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

COLUMNS = [
    ColSpec("double", "a"),
    ColSpec(Array(Array("long")), "a longer name", required=False),
    ColSpec(Object([Property("x", "string"), Property("y", "double", required=False)]), "o"),
    ColSpec(Map("long"), "m"),
    ColSpec("string", "red\x1b[31m\n"),
]
SIGNATURE = ModelSignature(
    Schema(COLUMNS),
    Schema([TensorSpec(np.dtype("f4"), (-1, 3))]),
    ParamSchema([ParamSpec("t", "double", 0.5), ParamSpec("stop", "string", ["x"], (-1,))]),
)
TABLE = """
inputs:
  a                double                     required
  a longer name    list of list of long       optional
  o                {x: string, y?: double}    required
  m                map of long                required
  'red\\x1b[31m\\n'  string                     required
outputs:
  [0]  tensor of float32  shape any x 3
params:
  t     double  default 0.5
  stop  string  default ['x'], shape any
"""


def shown(model: Path) -> str:
    run = [sys.executable, "-m", "pyfunc", "inspect", str(model)]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


def squeezed(text: str) -> list[list[str]]:
    """Return the words of each line, whatever the width of the columns is."""
    return [line.split() for line in text.strip().splitlines()]


def test_the_signature_is_a_table(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=len, signature=SIGNATURE, pip_requirements=[])
    text = shown(tmp_path / "m")
    start = text.index("inputs:")
    table = text[start : text.index("requirements:")]
    assert squeezed(table) == squeezed(TABLE)
    rows = table.splitlines()[1:6]
    assert len({line.rindex("  ") for line in rows}) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("part", ["inputs", "outputs", "params"])
def test_a_part_that_is_not_there_has_no_table(tmp_path: Path, part: str) -> None:
    parts: dict[str, Any] = dict(vars(SIGNATURE))
    given = {name: parts[name] for name in ("inputs", "outputs", "params") if name != part}
    pyfunc.save_model(
        tmp_path / "m", python_model=len, signature=ModelSignature(**given), pip_requirements=[]
    )
    text = shown(tmp_path / "m")
    assert f"{part}:" not in text
    assert all(f"{name}:" in text for name in given)


class Caller:
    def __reduce__(self) -> Any:
        return functools.partial, (print,)


def test_what_a_pickle_imports_is_grouped_by_what_it_means(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("class Own:\n    pass\n")
    pyfunc.save_model(
        tmp_path / "m",
        python_model=len,
        code_paths=[str(tmp_path / "helper.py")],
        pip_requirements=[],
    )
    from packaging.version import Version

    content = pickle.dumps([np.arange(3), Caller(), Version("1")], protocol=3)
    content = content[:-2] + b"chelper\nOwn\na" + content[-2:]  # one more name, as a pickle has it
    (tmp_path / "m" / "python_model.pkl").write_bytes(content)
    lines = shown(tmp_path / "m").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("pickle "))
    assert lines[start].startswith("pickle python_model.pkl: imports-only: no code in it")
    heads = [line.strip() for line in lines[start:] if line.startswith("  ") and line[2] != " "]
    assert heads == [
        "Python's own beyond data, which may run anything:",
        "code of the model:",
        "package packaging:",
        "data, which runs nothing:",
    ]
    python = lines[start + 2 : lines.index("  code of the model:")]
    assert [name.strip() for name in python] == ["builtins.print", "functools.partial"]
    assert lines[lines.index("  code of the model:") + 1].strip() == "helper.Own"


def test_code_inside_a_pickle_is_said(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda data: data, pip_requirements=[])
    assert "python_model.pkl: contains-code: functions in it may do anything" in shown(
        tmp_path / "m"
    )
