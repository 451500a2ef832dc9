"""What a saved model refers to of this library has a public name, which stays where it is."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.handlers import add_handler
from pyfunc.pickles.walking import walk_pickle
from pyfunc.schema import infer_signature

PUBLIC = (
    "pyfunc",
    "pyfunc.cortex",
    "pyfunc.env",
    "pyfunc.errors",
    "pyfunc.flavors",
    "pyfunc.flavors.loading",
    "pyfunc.flavors.pickled_parts",
    "pyfunc.flavors.protocol",
    "pyfunc.flavors.saving",
    "pyfunc.handlers",
    "pyfunc.isolated",
    "pyfunc.schema",
    "pyfunc.serving",
)
OURS = re.compile(r"(?<![\w.])pyfunc(?:\.\w+)+")
FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
HANDLER = "def pre_inference(sample, signature, metadata):\n    return sample\n"
SCRIPT = """
import pyfunc

class Scripted(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

pyfunc.set_model(Scripted())
"""
LOADER = "def _load_pyfunc(path):\n    return open(path)\n"


class Typed(pyfunc.PythonModel):
    def predict(self, context, model_input: list[str], params=None) -> list[str]:  # type: ignore[no-untyped-def]
        return model_input


def save_function(folder: Path) -> None:
    pyfunc.save_model(
        folder / "model",
        python_model=lambda model_input: model_input,
        signature=infer_signature(FRAME, FRAME),
        input_example=FRAME,
    )


def save_class(folder: Path) -> None:
    pyfunc.save_model(
        folder / "model", python_model=Typed(), artifacts={"note": str(folder / "note.txt")}
    )


def save_script(folder: Path) -> None:
    (folder / "script.py").write_text(SCRIPT)
    pyfunc.save_model(folder / "model", python_model=folder / "script.py")


def save_loader(folder: Path) -> None:
    (folder / "a_loader.py").write_text(LOADER)
    pyfunc.save_model(
        folder / "model",
        loader_module="a_loader",
        data_path=str(folder / "note.txt"),
        code_paths=[str(folder / "a_loader.py")],
    )


def save_sklearn(folder: Path) -> None:
    pyfunc.flavors.sklearn.save_model(LinearRegression().fit(FRAME, FRAME["a"]), folder / "model")


def save_handled(folder: Path) -> None:
    save_sklearn(folder)
    add_handler(folder / "model", folder / "handler.py")


def save_wrapped(folder: Path) -> None:
    save_sklearn(folder)
    add_handler(folder / "model", folder / "handler.py", wrap_as_pyfunc=True)


KINDS: dict[str, Callable[[Path], None]] = {
    "function": save_function,
    "class": save_class,
    "script": save_script,
    "loader": save_loader,
    "sklearn": save_sklearn,
    "handled": save_handled,
    "wrapped": save_wrapped,
}


def names_in(file: Path) -> Iterator[str]:
    """Yield the dotted names of this library in a pickle, in Python source or in other text."""
    data = file.read_bytes()
    report = walk_pickle(data)
    if report.is_complete:
        yield from (f"{module}.{name}" for module, name in report.globals if is_ours(module))
        yield from filter(is_ours, (*report.submodules, *report.imported_names))
        return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    yield from OURS.findall(text)
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "pyfunc"


def is_public(name: str) -> bool:
    if name in PUBLIC:
        return True
    module, _, attribute = name.rpartition(".")
    return module in PUBLIC and attribute in importlib.import_module(module).__all__


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_refers_to_public_names_only(tmp_path: Path, kind: str) -> None:
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "handler.py").write_text(HANDLER)
    KINDS[kind](tmp_path)
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    found = {name for file in files for name in names_in(file)}
    assert [name for name in sorted(found) if not is_public(name)] == []


def test_the_probe_sees_names(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "handler.py").write_text(HANDLER)
    save_wrapped(tmp_path)
    found = set(names_in(tmp_path / "model" / "handled_model.py"))
    assert {"pyfunc.load_model", "pyfunc.handlers.samples_of"} <= found
    assert not is_public("pyfunc.handlers.samples")
    (tmp_path / "old.pkl").write_bytes(b"cpyfunc.model.config\nModelConfig\n.")
    assert list(names_in(tmp_path / "old.pkl")) == ["pyfunc.model.config.ModelConfig"]
