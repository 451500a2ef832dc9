"""Every refused save of format.md 3.3: its code, its builtin base, and nothing left on disk.

``CASES`` is also read by the comparison with real MLflow in ``tests/interop``.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    PyfuncError,
)

INVALID = INVALID_PARAMETER_VALUE


@dataclass(frozen=True)
class Case:
    """One save that is refused.

    Attributes:
        id: what is wrong.
        arguments: given the library and a scratch folder, the arguments of its ``save_model``.
        code: the code of the error, of MLflow's too where MLflow raises an error of its own.
        base: the builtin that the error is, where MLflow raises that builtin.
        mlflow: the code or the name of the exception of MLflow where it differs from ours.
        message: what our text must say.
    """

    id: str
    arguments: Callable[[Any, Path], dict[str, Any]]
    code: str = INVALID
    base: type[Exception] | None = None
    mlflow: str | None = None
    message: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def model(lib: Any) -> Any:
    class Plain(lib.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    return Plain()


def function(model_input: Any) -> Any:
    return model_input


def two_arguments(model_input: Any, other: Any) -> Any:
    return model_input, other


class HasPredict:
    def predict(self, data: Any) -> Any:
        return data


def of_model(**arguments: Any) -> Callable[[Any, Path], dict[str, Any]]:
    """Return the arguments that save a sound model, with ``arguments`` in addition."""
    return lambda lib, _: {"python_model": model(lib), "pip_requirements": [], **arguments}


def given(**arguments: Any) -> Callable[[Any, Path], dict[str, Any]]:
    return lambda _, __: arguments


def written(tmp: Path, name: str, text: str) -> str:
    (tmp / name).write_text(text)
    return str(tmp / name)


def occupied(lib: Any, tmp: Path) -> dict[str, Any]:
    (tmp / "target").mkdir()
    written(tmp / "target", "precious.txt", "keep me")
    return {"python_model": model(lib), "pip_requirements": []}


def unpicklable(lib: Any, _: Path) -> dict[str, Any]:
    instance = model(lib)
    instance.guard = threading.Lock()
    return {"python_model": instance, "pip_requirements": []}


def broken_state(lib: Any, _: Path) -> dict[str, Any]:
    class Broken:
        def __reduce__(self) -> Any:
            raise RuntimeError("cannot be pickled at all")

    instance = model(lib)
    instance.part = Broken()
    return {"python_model": instance, "pip_requirements": []}


def script(text: str, **arguments: Any) -> Callable[[Any, Path], dict[str, Any]]:
    def build(lib: Any, tmp: Path) -> dict[str, Any]:
        text_for_lib = text.replace("LIB", lib.set_model_home)
        path = written(tmp, "script.py", text_for_lib)
        return {"python_model": path, "pip_requirements": [], **arguments}

    return build


def mismatched(lib: Any, _: Path) -> dict[str, Any]:
    frame = pd.DataFrame({"a": [1.0]})
    return {
        "python_model": model(lib),
        "pip_requirements": [],
        "signature": lib.infer_signature(frame),
        "input_example": pd.DataFrame({"b": ["x"]}),
    }


def missing(name: str) -> Callable[[Any, Path], dict[str, Any]]:
    def build(lib: Any, tmp: Path) -> dict[str, Any]:
        path = str(tmp / "nothing-here")
        values: dict[str, Any] = {"code_paths": [path], "artifacts": {"x": path}}
        value = values.get(name, path)
        return {"python_model": model(lib), "pip_requirements": [], name: value}

    return build


def yaml_file(name: str, text: str) -> Callable[[Any, Path], dict[str, Any]]:
    def build(lib: Any, tmp: Path) -> dict[str, Any]:
        path = written(tmp, "values.yaml", text)
        return {"python_model": model(lib), "pip_requirements": [], name: path}

    return build


CASES = (
    Case("path-not-empty", occupied, RESOURCE_ALREADY_EXISTS, message="not empty"),
    Case("nothing-given", given(), message="loader_module or python_model"),
    Case("only-data-path", lambda _, tmp: {"data_path": written(tmp, "d", "x")}),
    Case("only-artifacts", lambda _, tmp: {"artifacts": {"a": written(tmp, "d", "x")}}),
    Case("loader-and-python-model", of_model(loader_module="json"), message="loader_module"),
    Case(
        "data-path-and-python-model",
        lambda lib, tmp: {"python_model": model(lib), "data_path": written(tmp, "d", "x")},
        message="data_path",
    ),
    Case(
        "loader-and-artifacts",
        lambda _, tmp: {"loader_module": "json", "artifacts": {"a": written(tmp, "d", "x")}},
        message="artifacts",
    ),
    Case("python-model-is-int", given(python_model=5, pip_requirements=[]), message="5"),
    Case("object-with-predict", given(python_model=HasPredict(), pip_requirements=[])),
    Case(
        "class-instead-of-instance",
        lambda lib, _: {"python_model": type(model(lib)), "pip_requirements": []},
        message="expected an instance",
    ),
    Case(
        "function-of-two-arguments",
        given(python_model=two_arguments, pip_requirements=[]),
        message="exactly one argument",
    ),
    Case(
        "callable-without-requirements",
        given(python_model=function),
        INTERNAL_ERROR,
        message="pip_requirements",
    ),
    Case(
        "callable-with-only-conda-env",
        given(python_model=function, conda_env={"dependencies": ["python"]}),
        INTERNAL_ERROR,
    ),
    Case(
        "two-environments",
        of_model(conda_env={"dependencies": ["python"]}),
        base=ValueError,
        message="conda_env",
    ),
    Case("three-environments", of_model(extra_pip_requirements=["x"]), base=ValueError),
    Case(
        "conda-env-is-int",
        lambda lib, _: {"python_model": model(lib), "conda_env": 5},
        base=TypeError,
        message="conda_env",
    ),
    Case("requirements-are-int", of_model(pip_requirements=5), base=TypeError),
    Case("requirements-hold-int", of_model(pip_requirements=["a", 5]), base=TypeError),
    Case("unknown-argument", of_model(unheard_of=1), base=TypeError, message="unheard_of"),
    Case("code-paths-is-str", of_model(code_paths="x"), base=TypeError, message="code_paths"),
    Case("code-path-missing", missing("code_paths"), message="nothing-here"),
    Case(
        "code-paths-given-and-inferred",
        lambda lib, tmp: {
            "python_model": model(lib),
            "pip_requirements": [],
            "code_paths": [written(tmp, "m.py", "")],
            "infer_code_paths": True,
        },
        INTERNAL_ERROR,
    ),
    Case("config-is-list", of_model(model_config=[1]), message="model_config"),
    Case("config-is-int", of_model(model_config=5)),
    Case("config-with-int-key", of_model(model_config={1: 2}), message="1"),
    Case("config-not-json", of_model(model_config={"a": object()})),
    Case("config-holds-a-set", of_model(model_config={"a": {1}})),
    Case("config-file-missing", missing("model_config"), message="nothing-here"),
    Case("config-file-not-yaml", yaml_file("model_config", "a: [1\nb: 2\n")),
    Case(
        "script-missing",
        given(python_model="nowhere/model.py", pip_requirements=[]),
        message="model.py",
    ),
    Case(
        "script-without-suffix",
        given(python_model="nowhere/model", pip_requirements=[]),
        message="nowhere/model.py?",
    ),
    Case(
        "script-is-a-folder",
        lambda _, tmp: {"python_model": str(tmp), "pip_requirements": []},
        message="not a Python file",
    ),
    Case(
        "script-import-fails",
        script("import no_such_module_at_all\n"),
        INTERNAL_ERROR,
        message="no_such_module_at_all",
    ),
    Case(
        "script-raises",
        script("raise ValueError('my own text')\n"),
        INTERNAL_ERROR,
        message="my own text",
    ),
    Case("script-syntax", script("def f(:\n"), INTERNAL_ERROR, message="script.py"),
    # MLflow would find the model that an earlier script set in the same process.
    Case("script-sets-nothing", script("x = 1\n"), INTERNAL_ERROR, message="set_model"),
    Case("script-sets-int", script("import LIB\nLIB.set_model(5)\n"), INTERNAL_ERROR),
    Case("script-sets-str", script("import LIB\nLIB.set_model('x')\n"), INTERNAL_ERROR),
    Case(
        "script-config-missing",
        script("import LIB\nLIB.ModelConfig(development_config={'a': 1})\n"),
        INTERNAL_ERROR,
        message="ModelConfig",
    ),
    Case(
        "script-config-key-missing",
        script(
            "import LIB\nLIB.ModelConfig(development_config={}).get('b')\n",
            model_config={"a": 1},
        ),
        INTERNAL_ERROR,
        message="'b'",
    ),
    Case("artifact-missing", missing("artifacts"), RESOURCE_DOES_NOT_EXIST, message="nothing"),
    Case(
        "artifact-file-uri-missing",
        of_model(artifacts={"x": "file:///no/such/file.txt"}),
        RESOURCE_DOES_NOT_EXIST,
        message="file.txt",
    ),
    Case("unpicklable-model", unpicklable, message="attribute 'guard' (lock)"),
    Case("unpicklable-part", broken_state, message="attribute 'part' (Broken): cannot be"),
    Case("example-does-not-fit", mismatched, message="input example"),
    Case("signature-is-str", of_model(signature="x"), base=TypeError, mlflow="AttributeError"),
    Case("example-is-series", of_model(input_example=pd.Series([1])), message="Series"),
    Case("example-is-set", of_model(input_example={1, 2}), message="set"),
    Case("example-is-an-object", of_model(input_example=HasPredict()), message="HasPredict"),
    Case("example-mixes-arrays", of_model(input_example={"a": np.array([1]), "b": 2})),
    Case("example-lists-arrays", of_model(input_example=[np.array([1])]), INTERNAL_ERROR),
    Case("example-params-invalid", of_model(input_example=([1], {"p": object()}))),
    Case(
        "resources-missing",
        missing("resources"),
        RESOURCE_DOES_NOT_EXIST,
        base=OSError,
        message="nothing-here",
    ),
    Case(
        "resources-of-another-version",
        yaml_file("resources", "api_version: '2'\n"),
        base=ValueError,
        message="api_version",
    ),
    Case(
        "data-path-missing",
        lambda _, tmp: {
            "loader_module": "json",
            "data_path": str(tmp / "nothing-here"),
            "pip_requirements": [],
        },
        base=FileNotFoundError,
        message="nothing-here",
        code=RESOURCE_DOES_NOT_EXIST,
    ),
    Case(
        "metadata-not-yaml",
        of_model(metadata={"a": HasPredict()}),
        mlflow="RepresenterError",
        message="metadata",
    ),
    Case(
        "odd-switch",
        of_model(),
        base=ValueError,
        environment={"MLFLOW_LOG_UV_FILES": "perhaps"},
        message="MLFLOW_LOG_UV_FILES",
    ),
)


class Ours:
    PythonModel = pyfunc.PythonModel
    infer_signature = staticmethod(pyfunc.infer_signature)
    set_model_home = "pyfunc"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def described() -> pyfunc.Model:
    """Return a description that a caller may have had before; a save would change all of it."""
    return pyfunc.Model(
        artifact_path="kept",
        utc_time_created="2026-01-01 00:00:00",
        flavors={"python_function": {"loader_module": "before"}, "other": {"data": "x"}},
        signature=pyfunc.infer_signature(["a"]),
        model_uuid="before",
        metadata={"team": "a"},
        model_size_bytes=1,
    )


def refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PyfuncError:
    """Return the error of the refused save, after looking at what it left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    description = described()
    arguments = {"metadata": {"team": "b"}, **case.arguments(Ours, scratch)}
    arguments["mlflow_model"] = description
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(scratch)
    before = leftovers(scratch)
    modules = sorted(sys.modules)
    with pytest.raises(PyfuncError) as caught:
        pyfunc.save_model(scratch / "target", **arguments)
    assert leftovers(scratch) == before
    assert description == described()
    added = set(sys.modules) - set(modules)
    assert not [name for name in added if name.startswith(("_pyfunc", "code_model"))]
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_save_that_cannot_work_is_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(case, tmp_path, monkeypatch)
    assert error.error_code == case.code
    assert case.base is None or isinstance(error, case.base)
    assert case.message in str(error)
    # Errors cross process borders.
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"handler": "no_such_handler.py"}, id="handler"),
        pytest.param({"wrap_as_pyfunc": True}, id="wrapped-without-handler"),
        pytest.param({"auth_policy": {"a": HasPredict()}}, id="auth-policy"),
        pytest.param({"uv_groups": "dev"}, id="uv"),
        pytest.param({"loader": "other"}, id="loader"),
    ],
)
def test_what_only_this_library_refuses_leaves_the_description_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    case = Case("own", of_model(**arguments))
    refused(case, tmp_path, monkeypatch)


def test_a_description_says_what_was_saved_once_it_is_there(tmp_path: Path) -> None:
    description = described()
    pyfunc.save_model(
        tmp_path / "target",
        python_model=model(Ours),
        pip_requirements=[],
        mlflow_model=description,
    )
    assert description == pyfunc.Model.load(tmp_path / "target")
    assert description.flavors["other"] == {"data": "x"}


def test_a_conflict_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious.txt").write_text("keep me")
    with pytest.raises(FileExistsError):
        pyfunc.save_model(target, python_model=function, pip_requirements=[])
    assert leftovers(tmp_path) == ["target"]
    assert leftovers(target) == ["precious.txt"]
    assert (target / "precious.txt").read_text() == "keep me"


def test_a_file_at_the_target_is_a_conflict(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(pyfunc.SaveConflictError, match="is a file"):
        pyfunc.save_model(tmp_path / "target", python_model=function, pip_requirements=[])
    assert (tmp_path / "target").read_text() == "a file"


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    pyfunc.save_model(tmp_path / "target", python_model=function, pip_requirements=[])
    assert (tmp_path / "target" / "MLmodel").is_file()


@pytest.mark.parametrize("path", [None, 5, "", b"x"], ids=repr)
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match="path"):
        pyfunc.save_model(path, python_model=function, pip_requirements=[])


def test_the_arguments_are_checked_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that needs no work must come before the parents of the target are made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PyfuncError):
        pyfunc.save_model("deep/er/target", python_model=5, pip_requirements=[])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["interrupt", "exit"])
def test_a_save_that_is_interrupted_leaves_nothing(tmp_path: Path, kind: str) -> None:
    error = KeyboardInterrupt if kind == "interrupt" else SystemExit

    class Interrupting(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            raise error

        def predict(self, model_input: Any) -> Any:
            return model_input

    with pytest.raises(error):
        pyfunc.save_model(
            tmp_path / "target",
            python_model=Interrupting(),
            input_example=pd.DataFrame({"a": [1]}),
            pip_requirements=[],
        )
    assert leftovers(tmp_path) == []


class TestAWorkingDirectoryThatIsGone:
    @pytest.fixture(autouse=True)
    def gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()

    def test_does_not_matter_to_an_absolute_path(self, tmp_path: Path) -> None:
        pyfunc.save_model(tmp_path / "m", python_model=lambda x: x, pip_requirements=[])
        assert pyfunc.load_model(tmp_path / "m").predict([1]) == [1]

    def test_is_told_where_a_path_is_relative_to_it(self) -> None:
        with pytest.raises(pyfunc.errors.SaveError, match=r"^m: cannot be written: No such file"):
            pyfunc.save_model("m", python_model=lambda x: x, pip_requirements=[])

    def test_is_told_where_code_is_looked_for_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(pyfunc.InvalidArgumentError, match=r"^infer_code_paths: .* is gone"):
            pyfunc.save_model(
                tmp_path / "m",
                python_model=lambda x: x,
                pip_requirements=[],
                infer_code_paths=True,
            )
        assert not (tmp_path / "m").exists()
