"""Importing a flavor imports no library, and a missing library is one clear error."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pyfunc
import pyfunc.flavors
from pyfunc.flavors.protocol import LoadArguments, SaveArguments
from pyfunc.flavors.registry import BUILT_IN
from pyfunc.loading.opening import open_place
from pyfunc.saving.request import SaveRequest

LIBRARIES = sorted({package for packages in BUILT_IN.values() for package in packages})
NAMES = (
    "FLAVOR_NAME",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "save_model",
)
# What a folder of a model is refused for: the library that would read it is not there.
EXTRAS = {name: "torch" if name == "pytorch" else name for name in BUILT_IN}
STORED = Path(__file__).parents[1] / "data" / "flavors"


def test_importing_the_flavors_imports_no_library() -> None:
    modules = [f"pyfunc.flavors.{name}" for name in BUILT_IN]
    code = f"""
import importlib, json, sys
for name in {modules}:
    importlib.import_module(name)
print(json.dumps(sorted(set({LIBRARIES}) & set(sys.modules))))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(finished.stdout) == []


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_flavor_has_the_same_names(name: str) -> None:
    module = pyfunc.flavors.find_flavor(name)
    assert isinstance(module, pyfunc.flavors.Flavor)
    assert name == module.FLAVOR_NAME
    assert getattr(pyfunc.flavors, name) is module
    assert set(NAMES) <= set(module.__all__)
    assert callable(module._load_pyfunc)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_pickle_refers_to_what_a_flavor_offers_by_its_public_module(name: str) -> None:
    module = pyfunc.flavors.find_flavor(name)
    data = pickle.dumps(module.load_model)
    assert b"frame" not in data
    assert pickle.loads(data) == module.load_model


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_flavor_takes_the_same_arguments(name: str) -> None:
    module = pyfunc.flavors.find_flavor(name)
    kinds = [p.kind for p in inspect.signature(module.save_model).parameters.values()]
    assert kinds[-1] is inspect.Parameter.VAR_KEYWORD
    assert "trust" in LoadArguments.__annotations__
    assert {"signature", "input_example"} <= SaveArguments.__annotations__.keys()


# What a flavor says for itself, and what is for models of one's own code only.
NOT_OF_FLAVORS = {
    "artifacts",
    "auth_policy",
    "data_path",
    "infer_code_paths",
    "loader_module",
    "model_config",
    "path",
    "python_model",
    "resources",
    "streamable",
    "uv_extras",
    "uv_groups",
    "uv_project_path",
}


def annotations_of(function: Callable[..., object]) -> dict[str, str]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.annotation for p in parameters if p.kind is not p.VAR_KEYWORD}


def test_a_save_is_asked_for_with_the_same_arguments_everywhere() -> None:
    known = annotations_of(SaveRequest.from_arguments)
    of_flavors = {
        name: hint.__forward_arg__ for name, hint in SaveArguments.__annotations__.items()
    }
    assert of_flavors == {name: known[name] for name in known.keys() - NOT_OF_FLAVORS}
    assert annotations_of(pyfunc.save_model) == {
        name: hint for name, hint in known.items() if name != "extra_files"
    } | {"loader_module": "str | None"}


@pytest.fixture(name="without_libraries")
def hide_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.partition(".")[0] in (*LIBRARIES, "onnxruntime"):
            monkeypatch.delitem(sys.modules, module)
    for library in (*LIBRARIES, "onnxruntime"):
        monkeypatch.setitem(sys.modules, library, None)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@pytest.mark.usefixtures("without_libraries")
def test_a_missing_library_at_save_names_the_pip_command(name: str, tmp_path: Path) -> None:
    with pytest.raises(pyfunc.MissingDependencyError) as caught:
        pyfunc.flavors.find_flavor(name).save_model(object(), tmp_path / "model")
    assert caught.value.install == f"pip install 'pyfunc-format[{EXTRAS[name]}]'"
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "model", sorted(STORED.glob("*/*/model")), ids=lambda path: path.parent.name
)
@pytest.mark.usefixtures("without_libraries")
def test_a_missing_library_at_load_names_the_pip_command(model: Path) -> None:
    with pytest.raises(pyfunc.MissingDependencyError, match=r"pip install 'pyfunc-format\["):
        pyfunc.load_model(model, suppress_warnings=True)


def test_a_load_is_asked_for_with_the_same_arguments_everywhere() -> None:
    known = annotations_of(open_place)
    del known["read_section"]
    whole = annotations_of(pyfunc.load_model)
    assert known == {name: whole[name] for name in known}
    of_flavors = {
        name: hint.__forward_arg__ for name, hint in LoadArguments.__annotations__.items()
    }
    assert {"model_uri": known["model_uri"], **of_flavors} == known
