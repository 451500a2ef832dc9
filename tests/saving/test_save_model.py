"""Every parameter and kind of model of ``save_model`` (format.md 3.1, 3.5 to 3.8).

``KINDS`` is also read by the comparison with real MLflow in ``tests/interop``.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
import yaml

import pyfunc
from pyfunc.env.requirements.lines import name_of
from pyfunc.errors import PyfuncError
from pyfunc.pickles.walking import walk_pickle
from pyfunc.schema import ColSpec, Schema

WriteFiles = Callable[[Path, Mapping[str, str | bytes]], None]

ENVIRONMENT_FILES = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}
SECTION = {
    "cloudpickle_version": version("cloudpickle"),
    "code": None,
    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    "loader_module": "mlflow.pyfunc.model",
    "python_model": "python_model.pkl",
    "python_version": platform.python_version(),
    "streamable": False,
}
TOP = {"mlflow_version": "3.17.2", "model_id": None, "prompts": None}
EXAMPLE_FILES = {"input_example.json", "serving_input_example.json"}
FRAME_INFO = {
    "artifact_path": "input_example.json",
    "pandas_orient": "split",
    "serving_input_path": "serving_input_example.json",
    "type": "dataframe",
}
JSON_INFO = {
    "artifact_path": "input_example.json",
    "serving_input_path": "serving_input_example.json",
    "type": "json_object",
}
FROM_EXAMPLE = {"is_signature_from_type_hint": False, "type_hint_from_example": False}
FROM_HINT = {"is_signature_from_type_hint": True, "type_hint_from_example": False}
STRINGS = '[{"type": "string", "required": true}]'
LONGS = '[{"type": "long", "required": true}]'
DOUBLE_A = '[{"type": "double", "name": "a", "required": true}]'


@dataclass(frozen=True)
class Kind:
    """One save, and what it must write.

    Attributes:
        arguments: given the library and a scratch folder, the arguments of its ``save_model``.
        section: what the python_function section has in addition; None means no such key.
        top: what the top level has in addition.
        files: what the directory holds beside the environment files.
        ours: what we write else than MLflow in the section, on purpose.
        ours_on_top: the same at the top level.
    """

    id: str
    arguments: Callable[[Any, Path], dict[str, Any]]
    section: Mapping[str, Any] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)
    files: frozenset[str] = frozenset({"python_model.pkl"})
    ours: Mapping[str, Any] = field(default_factory=dict)
    ours_on_top: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


ABSENT = object()
OWN_LOADER = {
    "loader_module": "json",
    "python_model": ABSENT,
    "cloudpickle_version": ABSENT,
}


def plain(lib: Any) -> Any:
    class Plain(lib.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    return Plain()


def hinted(lib: Any) -> Any:
    class Hinted(lib.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: list[str], params: Any = None) -> list[str]:
            return model_input

    return Hinted()


def streaming(lib: Any) -> Any:
    class Streaming(lib.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

        def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
            yield model_input

    return Streaming()


def like_example(lib: Any) -> Any:
    def predict(self: Any, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input

    # The hint of each library is its own object, so it cannot be written as text.
    predict.__annotations__ = {"model_input": lib.TypeFromExample}
    return type("LikeExample", (lib.PythonModel,), {"predict": predict})()


def doubled(model_input: list[int]) -> list[int]:
    return [2 * number for number in model_input]


class CallableObject:
    def __call__(self, model_input: Any) -> Any:
        return model_input


def of(make: Callable[[Any], Any], **arguments: Any) -> Callable[[Any, Path], dict[str, Any]]:
    return lambda lib, _: {"python_model": make(lib), "pip_requirements": [], **arguments}


def tree(tmp: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (tmp / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp / name).write_text(content)


def with_files(
    files: Mapping[str, str], **arguments: Any
) -> Callable[[Any, Path], dict[str, Any]]:
    """Return the arguments with ``{tmp}`` in every text replaced by the scratch folder."""

    def build(lib: Any, tmp: Path) -> dict[str, Any]:
        tree(tmp, {name: text.replace("LIB", lib.home) for name, text in files.items()})
        own = {} if "loader_module" in arguments else {"python_model": plain(lib)}
        return {"pip_requirements": [], **own, **filled(arguments, tmp)}

    return build


def filled(value: Any, tmp: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{tmp}", str(tmp))
    if isinstance(value, dict):
        return {key: filled(item, tmp) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, tmp) for item in value]
    return value


SCRIPT = """
import LIB
from HOME import set_model

class FromCode(LIB.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

set_model(FromCode())
"""
FUNCTION_SCRIPT = """
from HOME import set_model

def answer(model_input: list[int]) -> list[int]:
    return model_input

set_model(answer)
"""


def script(text: str, **arguments: Any) -> Callable[[Any, Path], dict[str, Any]]:
    def build(lib: Any, tmp: Path) -> dict[str, Any]:
        tree(tmp, {"script.py": text.replace("HOME", lib.set_model_home).replace("LIB", lib.home)})
        return {"python_model": str(tmp / "script.py"), "pip_requirements": [], **arguments}

    return build


def artifact(path: str, uri: str) -> dict[str, str]:
    return {"path": path, "uri": uri}


def params_schema(**defaults: Any) -> str:
    types = {int: "long", str: "string"}
    return json.dumps(
        [
            {"name": name, "default": value, "shape": None, "type": types[type(value)]}
            for name, value in defaults.items()
        ]
    )


FROM_CODE = {
    "python_model": ABSENT,
    "loader_module": "mlflow.pyfunc.loaders.code_model",
    "model_code_path": "{tmp}/script.py",
}
RESOURCES = "api_version: '1'\ndatabricks:\n  table:\n  - name: t\n"
KINDS = (
    Kind("instance", of(plain)),
    Kind("function", of(lambda _: lambda model_input: model_input)),
    Kind("callable-object", of(lambda _: CallableObject())),
    Kind(
        "function-with-example",
        of(lambda _: CallableObject(), input_example=["x"]),
        top={
            **FROM_EXAMPLE,
            "saved_input_example_info": JSON_INFO,
            "signature": {
                "inputs": STRINGS,
                "outputs": '[{"type": "string", "name": 0, "required": true}]',
                "params": None,
            },
        },
        files=frozenset({"python_model.pkl", *EXAMPLE_FILES}),
    ),
    Kind(
        "hinted-instance",
        of(hinted),
        top={**FROM_HINT, "signature": {"inputs": STRINGS, "outputs": STRINGS, "params": None}},
    ),
    Kind(
        "hinted-with-params",
        of(hinted, input_example=(["a"], {"p": 1})),
        top={
            **FROM_HINT,
            "saved_input_example_info": {**JSON_INFO, "params": "true"},
            "signature": {
                "inputs": STRINGS,
                "outputs": STRINGS,
                "params": params_schema(p=1),
            },
        },
        files=frozenset({"python_model.pkl", *EXAMPLE_FILES}),
    ),
    Kind(
        "hinted-and-signature-false",
        of(hinted, signature=False),
        top={**FROM_HINT, "signature": {"inputs": STRINGS, "outputs": STRINGS, "params": None}},
    ),
    Kind(
        "hinted-function",
        of(lambda _: doubled),
        top={**FROM_HINT, "signature": {"inputs": LONGS, "outputs": LONGS, "params": None}},
    ),
    Kind(
        "hint-from-example",
        of(like_example, input_example=["a", "b"]),
        top={
            "is_signature_from_type_hint": False,
            "type_hint_from_example": True,
            "saved_input_example_info": JSON_INFO,
            "signature": {
                "inputs": STRINGS,
                "outputs": '[{"type": "string", "name": 0, "required": true}]',
                "params": None,
            },
        },
        files=frozenset({"python_model.pkl", *EXAMPLE_FILES}),
        # MLflow tries the model with a frame, which it never gives it after loading.
        ours_on_top={"signature": {"inputs": STRINGS, "outputs": STRINGS, "params": None}},
    ),
    Kind("hint-from-no-example", of(like_example)),
    Kind(
        "example",
        of(plain, input_example=(pd.DataFrame({"a": [1.5]}), {"k": 1, "s": "z"})),
        top={
            **FROM_EXAMPLE,
            "saved_input_example_info": {**FRAME_INFO, "params": "true"},
            "signature": {
                "inputs": DOUBLE_A,
                "outputs": DOUBLE_A,
                "params": params_schema(k=1, s="z"),
            },
        },
        files=frozenset({"python_model.pkl", *EXAMPLE_FILES}),
    ),
    Kind(
        "example-and-signature-false",
        of(plain, input_example=pd.DataFrame({"a": [1.5]}), signature=False),
        top={"saved_input_example_info": FRAME_INFO},
        files=frozenset({"python_model.pkl", *EXAMPLE_FILES}),
    ),
    Kind(
        "signature-given",
        lambda lib, _: {
            "python_model": plain(lib),
            "pip_requirements": [],
            "signature": lib.infer_signature(pd.DataFrame({"a": [1.5]})),
        },
        top={**FROM_EXAMPLE, "signature": {"inputs": DOUBLE_A, "outputs": None, "params": None}},
    ),
    Kind("streaming", of(streaming), {"streamable": True}),
    Kind("streaming-switched-off", of(streaming, streamable=False)),
    Kind("streaming-claimed", of(plain, streamable=True), {"streamable": True}),
    Kind("config", of(plain, model_config={"a": 1}), {"config": {"a": 1}}),
    Kind("config-empty", of(plain, model_config={})),
    Kind(
        "config-file",
        with_files({"config.yaml": "a: 1\nb: [1, 2]\n"}, model_config="{tmp}/config.yaml"),
        {"config": {"a": 1, "b": [1, 2]}},
    ),
    Kind("metadata", of(plain, metadata={"team": [1, "x"]}), top={"metadata": {"team": [1, "x"]}}),
    Kind("metadata-list", of(plain, metadata=[1]), top={"metadata": [1]}),
    Kind("auth-policy", of(plain, auth_policy={"x": 3}), top={"auth_policy": {"x": 3}}),
    Kind(
        "resources",
        with_files({"resources.yaml": RESOURCES}, resources="{tmp}/resources.yaml"),
        top={"resources": {"api_version": "1", "databricks": {"table": [{"name": "t"}]}}},
    ),
    Kind(
        "code",
        with_files(
            {"one.py": "", "two/__init__.py": "", "two/x.txt": "", "two/__pycache__/a.pyc": ""},
            code_paths=["{tmp}/one.py", "{tmp}/two"],
        ),
        {"code": "code"},
        files=frozenset(
            {"python_model.pkl", "code/one.py", "code/two/__init__.py", "code/two/x.txt"}
        ),
    ),
    # MLflow writes the name of a folder that it does not make.
    Kind("code-empty", of(plain, code_paths=[]), {"code": "code"}, ours={"code": None}),
    Kind(
        "artifacts",
        with_files(
            {"a/x.txt": "1", "b/y.txt": "2", "folder/deep/z.txt": "3"},
            artifacts={
                "first": "{tmp}/a/x.txt",
                "second": "file://{tmp}/b/y.txt",
                "whole": "{tmp}/folder",
                "again": "{tmp}/a/x.txt",
            },
        ),
        {
            "artifacts": {
                "first": artifact("artifacts/x.txt", "{tmp}/a/x.txt"),
                "second": artifact("artifacts/y.txt", "file://{tmp}/b/y.txt"),
                "whole": artifact("artifacts/folder", "{tmp}/folder"),
                "again": artifact("artifacts/x.txt", "{tmp}/a/x.txt"),
            }
        },
        files=frozenset(
            {
                "python_model.pkl",
                "artifacts/x.txt",
                "artifacts/y.txt",
                "artifacts/folder/deep/z.txt",
            }
        ),
    ),
    Kind(
        "artifacts-that-collide",
        with_files(
            {"a/x.txt": "1", "b/X.txt": "2", "c/0": "3"},
            artifacts={
                "p": "{tmp}/a/x.txt",
                "q": "{tmp}/b/X.txt",
                "r": "{tmp}/c/0",
                "s": "{tmp}/a/x.txt",
                "t": "file://{tmp}/a/x.txt",
            },
        ),
        {
            "artifacts": {
                "p": artifact("artifacts/1/x.txt", "{tmp}/a/x.txt"),
                "q": artifact("artifacts/2/X.txt", "{tmp}/b/X.txt"),
                "r": artifact("artifacts/0", "{tmp}/c/0"),
                "s": artifact("artifacts/1/x.txt", "{tmp}/a/x.txt"),
                "t": artifact("artifacts/3/x.txt", "file://{tmp}/a/x.txt"),
            }
        },
        files=frozenset(
            {
                "python_model.pkl",
                "artifacts/0",
                "artifacts/1/x.txt",
                "artifacts/2/X.txt",
                "artifacts/3/x.txt",
            }
        ),
    ),
    Kind(
        "loader-with-file",
        with_files({"w.txt": "w"}, loader_module="json", data_path="{tmp}/w.txt"),
        {**OWN_LOADER, "data": "data/w.txt"},
        files=frozenset({"data/w.txt"}),
    ),
    Kind(
        "loader-with-folder",
        with_files(
            {"data/w.txt": "w", "data/sub/v.txt": "v"},
            loader_module="json",
            data_path="{tmp}/data",
            metadata={"x": 1},
            streamable=True,
        ),
        {**OWN_LOADER, "data": "data/data", "streamable": True},
        top={"metadata": {"x": 1}},
        files=frozenset({"data/data/w.txt", "data/data/sub/v.txt"}),
    ),
    Kind(
        "loader-alone",
        with_files({}, loader_module="json", model_config={"a": 1}),
        {**OWN_LOADER, "config": {"a": 1}},
        files=frozenset(),
    ),
    # MLflow stores the name of the file, which only the saving machine has.
    Kind(
        "loader-with-config-file",
        with_files({"c.yaml": "a: 1\n"}, loader_module="json", model_config="{tmp}/c.yaml"),
        {**OWN_LOADER, "config": "{tmp}/c.yaml"},
        files=frozenset(),
        ours={"config": {"a": 1}},
    ),
    Kind(
        "script",
        script(SCRIPT, model_config={"a": 1}),
        {**FROM_CODE, "config": {"a": 1}},
        files=frozenset({"script.py"}),
    ),
    Kind(
        "script-with-function",
        script(FUNCTION_SCRIPT),
        FROM_CODE,
        top={**FROM_HINT, "signature": {"inputs": LONGS, "outputs": LONGS, "params": None}},
        files=frozenset({"script.py"}),
    ),
    *(
        Kind(
            f"compressed-{name}",
            of(plain),
            {"python_model": f"python_model.pkl.{suffix}", "python_model_compression": name},
            files=frozenset({f"python_model.pkl.{suffix}"}),
            environment={"MLFLOW_LOG_MODEL_COMPRESSION": name},
        )
        for name, suffix in (("gzip", "gz"), ("bzip2", "bz2"), ("lzma", "xz"))
    ),
    Kind("compressed-oddly", of(plain), environment={"MLFLOW_LOG_MODEL_COMPRESSION": "zzz"}),
    Kind(
        "uv-project",
        with_files(
            {"p/uv.lock": "version = 1\n", "p/pyproject.toml": "", "p/.python-version": "3.11"},
            uv_project_path="{tmp}/p",
        ),
        files=frozenset({"python_model.pkl", "uv.lock", "pyproject.toml", ".python-version"}),
    ),
    Kind(
        "uv-project-not-copied",
        with_files({"p/uv.lock": "", "p/pyproject.toml": ""}, uv_project_path="{tmp}/p"),
        environment={"MLFLOW_LOG_UV_FILES": "0"},
    ),
    Kind("uv-project-missing", with_files({}, uv_project_path="{tmp}/p")),
)


class Ours:
    PythonModel = pyfunc.PythonModel
    TypeFromExample = pyfunc.schema.TypeFromExample
    infer_signature = staticmethod(pyfunc.infer_signature)
    home = "pyfunc"
    set_model_home = "pyfunc"


def expected_description(kind: Kind, tmp: Path, *, ours: bool) -> dict[str, Any]:
    section = {**SECTION, **kind.section, **(kind.ours if ours else {})}
    present = {key: value for key, value in section.items() if value is not ABSENT}
    top = {**TOP, **kind.top, **(kind.ours_on_top if ours else {})}
    content = {**top, "flavors": {"python_function": present}}
    filled_content: dict[str, Any] = filled(content, tmp)
    return filled_content


def description_of(directory: Path) -> dict[str, Any]:
    """Return the MLmodel file without what differs from one save to the next."""
    content: dict[str, Any] = yaml.safe_load((directory / "MLmodel").read_text())
    assert len(content.pop("model_uuid")) == 32
    assert len(content.pop("utc_time_created")) == 26
    content.pop("model_size_bytes", None)
    return content


def files_of(directory: Path) -> set[str]:
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and ".pyfunc" not in path.parts
    }


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_what_is_written(kind: Kind, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kind.environment.items():
        monkeypatch.setenv(name, value)
    arguments = kind.arguments(Ours, workplace)
    target = workplace / "target"
    result = pyfunc.save_model(target, **arguments)
    assert description_of(target) == expected_description(kind, workplace, ours=True)
    assert files_of(target) == ENVIRONMENT_FILES | kind.files
    assert isinstance(result, pyfunc.Model) == ("loader_module" in arguments)
    assert files_of(target) <= set(pyfunc.verify(target).files)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if not kind.id.startswith(("loader", "streaming-claimed"))],
    ids=lambda kind: kind.id,
)
def test_what_is_written_loads_and_predicts(
    kind: Kind, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in kind.environment.items():
        monkeypatch.setenv(name, value)
    pyfunc.save_model(workplace / "target", **kind.arguments(Ours, workplace))
    model = pyfunc.load_model(workplace / "target", suppress_warnings=True, verify="require")
    if kind.id.startswith(("example", "signature-given")):
        frame = pd.DataFrame({"a": [2.5]})
        pd.testing.assert_frame_equal(model.predict(frame), frame)
    elif "function" in kind.id and "hinted" in kind.id:
        assert model.predict([2, 3]) == [4, 6]
    elif kind.id == "script-with-function":
        assert model.predict([2, 3]) == [2, 3]
    elif kind.id == "function-with-example":
        assert model.predict(["a", "b"]).iloc[:, 0].tolist() == ["a", "b"]
    else:
        assert model.predict(["a", "b"]) == ["a", "b"]
    assert model.model_config == expected_description(kind, workplace, ours=True)["flavors"][
        "python_function"
    ].get("config", {})


def save(target: Path, model: Any = None, **arguments: Any) -> Path:
    arguments = {"pip_requirements": [], **arguments}
    if "loader_module" not in arguments:
        arguments["python_model"] = plain(Ours) if model is None else model
    pyfunc.save_model(target, **arguments)
    return target


def load(path: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True)


def section_of(directory: Path) -> dict[str, Any]:
    section: dict[str, Any] = description_of(directory)["flavors"]["python_function"]
    return section


def test_the_size_counts_what_was_there_before_mlmodel(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("x = 1\n" * 100)
    target = save(
        tmp_path / "t",
        code_paths=[str(tmp_path / "m.py")],
        input_example=pd.DataFrame({"a": [1.0]}),
    )
    counted = ["python_model.pkl", *EXAMPLE_FILES]
    content = yaml.safe_load((target / "MLmodel").read_text())
    assert content["model_size_bytes"] == sum((target / n).stat().st_size for n in counted)


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        (tmp_path / "secret.txt").write_text("x")
        target = save(tmp_path / "t", artifacts={"a": str(tmp_path / "secret.txt")})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_two_saves_differ_in_their_identity(tmp_path: Path) -> None:
    first, second = (
        pyfunc.Model.load(save(tmp_path / name)).model_uuid for name in ("one", "two")
    )
    assert first != second


def test_an_artifact_can_be_a_path_object(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content")
    section = section_of(save(tmp_path / "t", artifacts={"a": tmp_path / "a.txt"}))
    assert section["artifacts"] == {
        "a": {"path": "artifacts/a.txt", "uri": str(tmp_path / "a.txt")}
    }


def reading_model() -> pyfunc.PythonModel:
    class Reading(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            self.texts = {name: Path(path).read_text() for name, path in context.artifacts.items()}

        def predict(self, model_input: Any) -> Any:
            return self.texts

    return Reading()


def test_artifacts_reach_load_context_from_the_model_directory(tmp_path: Path) -> None:
    (tmp_path / "with blank.txt").write_text("1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("2")
    target = save(
        tmp_path / "t",
        reading_model(),
        artifacts={
            "a": (tmp_path / "with blank.txt").as_uri(),
            "b": os.path.relpath(tmp_path / "b" / "c.txt"),
        },
    )
    (tmp_path / "b" / "c.txt").unlink()
    moved = target.rename(tmp_path / "moved")
    model = load(moved)
    assert model.predict(None) == {"a": "1", "b": "2"}
    context = model._model_impl.context
    assert context.artifacts == {
        "a": str(moved / "artifacts" / "with blank.txt"),
        "b": str(moved / "artifacts" / "c.txt"),
    }


@pytest.fixture
def memory_files() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]


def test_artifacts_from_any_file_system(tmp_path: Path, memory_files: Any) -> None:
    memory_files.pipe("/bucket/one.txt", b"one")
    memory_files.pipe("/bucket/folder/two.txt", b"two")
    memory_files.pipe("/other/one.txt", b"other")
    target = save(
        tmp_path / "t",
        artifacts={
            "a": "memory://bucket/one.txt",
            "b": "memory://bucket/folder",
            "c": "memory://other/one.txt",
        },
    )
    assert files_of(target) - ENVIRONMENT_FILES == {
        "python_model.pkl",
        "artifacts/0/one.txt",
        "artifacts/1/one.txt",
        "artifacts/folder/two.txt",
    }
    assert (target / "artifacts/0/one.txt").read_bytes() == b"one"
    assert (target / "artifacts/1/one.txt").read_bytes() == b"other"


def test_a_remote_artifact_that_is_missing(tmp_path: Path, memory_files: Any) -> None:
    with pytest.raises(pyfunc.ModelNotFoundError, match="memory://bucket/nothing"):
        save(tmp_path / "t", artifacts={"a": "memory://bucket/nothing.txt"})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("uri", ["models:/name/1", "runs:/abc/model", "models:/name@alias"])
def test_a_uri_of_a_tracking_server_names_the_remedy(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)  # as if it were not installed
    with pytest.raises(pyfunc.MissingDependencyError, match="pip install mlflow-skinny"):
        save(tmp_path / "t", artifacts={"a": uri})
    assert os.listdir(tmp_path) == []


def test_a_model_is_loaded_from_any_file_system(tmp_path: Path, memory_files: Any) -> None:
    memory_files.put(str(save(tmp_path / "t")) + "/", "/models/mine/", recursive=True)
    (tmp_path / "down").mkdir()
    model = pyfunc.load_model(
        "memory://models/mine", suppress_warnings=True, dst_path=str(tmp_path / "down")
    )
    assert model.predict(5) == 5
    assert os.listdir(tmp_path / "down") == ["mine"]


@pytest.mark.parametrize("form", ["str", "path", "uri"])
def test_a_model_is_loaded_by_path_or_uri(tmp_path: Path, form: str) -> None:
    target = save(tmp_path / "with blank")
    uri: Any = {"str": str(target), "path": target, "uri": target.as_uri()}[form]
    assert pyfunc.load_model(uri, suppress_warnings=True).predict(1) == 1


def imported_tree(root: Path, write_files: WriteFiles) -> None:
    write_files(
        root,
        {
            "own_model.py": """
                import pyfunc
                from own_package.middle import NAME

                class Own(pyfunc.PythonModel):
                    def predict(self, model_input):
                        from own_package import late
                        return NAME + late.NAME
            """,
            "own_package/__init__.py": "",
            "own_package/middle.py": "from . import sibling\nNAME = sibling.NAME\n",
            "own_package/sibling.py": "import json\nNAME = 'sibling'\n",
            "own_package/late.py": "NAME = 'late'\n",
            "own_package/unused.py": "",
            "other.py": "",
        },
    )


INFER_PROBE = """
import sys
sys.path.insert(0, "")
import pyfunc
from own_model import Own
pyfunc.save_model("target", python_model=Own(), infer_code_paths=True, pip_requirements=[])
"""


def run_probe(code: str, cwd: Path, *arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_the_model_s_own_modules_are_found(workplace: Path, write_files: WriteFiles) -> None:
    imported_tree(workplace, write_files)
    run_probe(INFER_PROBE, workplace)
    assert files_of(workplace / "target") - ENVIRONMENT_FILES == {
        "python_model.pkl",
        "code/own_model.py",
        "code/own_package/__init__.py",
        "code/own_package/late.py",
        "code/own_package/middle.py",
        "code/own_package/sibling.py",
    }
    assert section_of(workplace / "target")["code"] == "code"
    moved = (workplace / "target").rename(workplace.parent / "moved")
    assert load(moved).predict(None) == "siblinglate"


def test_nothing_of_one_s_own_means_no_code_folder(workplace: Path) -> None:
    target = save(workplace / "t", infer_code_paths=True)
    assert section_of(target)["code"] is None
    assert not (target / "code").exists()


def test_the_modules_of_a_script_are_found(workplace: Path, write_files: WriteFiles) -> None:
    imported_tree(workplace, write_files)
    text = "import own_model, pyfunc\npyfunc.set_model(own_model.Own())\n"
    (workplace / "script.py").write_text(text)
    probe = INFER_PROBE.replace("from own_model import Own\n", "").replace("Own()", "'script.py'")
    run_probe(probe, workplace)
    assert "code/own_package/late.py" in files_of(workplace / "target")
    assert load(workplace / "target").predict(None) == "siblinglate"


def test_the_modules_of_a_loader_are_found(workplace: Path, write_files: WriteFiles) -> None:
    imported_tree(workplace, write_files)
    (workplace / "loader.py").write_text(
        "from own_model import Own\ndef _load_pyfunc(path):\n    return Own()\n"
    )
    target = save(workplace / "t", loader_module="loader", infer_code_paths=True)
    assert "code/loader.py" in files_of(target)
    assert load(target).predict(None) == "siblinglate"


def test_two_code_paths_of_one_name_are_refused(tmp_path: Path, write_files: WriteFiles) -> None:
    write_files(tmp_path, {"a/m.py": "", "b/m.py": ""})
    with pytest.raises(pyfunc.InvalidArgumentError, match=r"code/m\.py"):
        save(tmp_path / "t", code_paths=[str(tmp_path / "a/m.py"), str(tmp_path / "b/m.py")])


def test_code_can_be_reached_through_links(tmp_path: Path, write_files: WriteFiles) -> None:
    write_files(tmp_path, {"real/m.py": "X = 1\n"})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    target = save(tmp_path / "t", code_paths=[str(tmp_path / "link")])
    assert (target / "code/link/m.py").read_text() == "X = 1\n"
    assert not any(path.is_symlink() for path in target.rglob("*"))


def test_a_given_description_is_extended(tmp_path: Path) -> None:
    mine = pyfunc.Model(run_id="abc", metadata={"a": 1}, model_id="m-1", x_team="blue")
    save(tmp_path / "t", mlflow_model=mine)
    again = pyfunc.Model.load(tmp_path / "t")
    assert again == mine
    assert (again.run_id, again.metadata, again.model_id) == ("abc", {"a": 1}, "m-1")
    assert again.extra == {"x_team": "blue"}


def test_the_description_has_another_name(tmp_path: Path) -> None:
    mine = pyfunc.Model(run_id="abc")
    pyfunc.save_model(tmp_path / "t", python_model=plain(Ours), pip_requirements=[], model=mine)
    assert pyfunc.Model.load(tmp_path / "t").run_id == "abc"


def test_overwriting_replaces_everything(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    target = save(tmp_path / "t", artifacts={"a": str(tmp_path / "a.txt")})
    save(target, overwrite=True, metadata={"second": True})
    assert description_of(target)["metadata"] == {"second": True}
    assert not (target / "artifacts").exists()
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "t"]
    assert load(target).predict(1) == 1


def test_overwriting_keeps_the_old_model_if_the_new_one_fails(tmp_path: Path) -> None:
    target = save(tmp_path / "t", metadata={"first": True})
    with pytest.raises(PyfuncError):
        save(target, overwrite=True, metadata={"a": object()})
    assert description_of(target)["metadata"] == {"first": True}
    assert os.listdir(tmp_path) == ["t"]


@pytest.mark.parametrize(("loader", "first"), [("pyfunc", "pyfunc-format"), ("mlflow", "mlflow")])
def test_the_requirements_name_the_library_that_loads(
    tmp_path: Path, loader: str, first: str
) -> None:
    target = save(tmp_path / "t", loader=loader, pip_requirements=["six"])
    lines = (target / "requirements.txt").read_text().split("\n")
    assert name_of(lines[0]) == first
    assert lines[1:] == ["six"]


def test_another_loader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="loader"):
        save(tmp_path / "t", loader="other")


def test_inferred_requirements_name_what_the_model_imports(tmp_path: Path) -> None:
    target = save(tmp_path / "t", pip_requirements=None, input_example=pd.DataFrame({"a": [1]}))
    lines = (target / "requirements.txt").read_text().split("\n")
    assert name_of(lines[0]) == "pyfunc-format"
    assert f"cloudpickle=={version('cloudpickle')}" in lines
    assert any(line.startswith("pandas==") for line in lines)


def preparing_model() -> pyfunc.PythonModel:
    class Preparing(pyfunc.PythonModel):
        def __init__(self) -> None:
            self.shared: dict[str, Any] = {}

        def load_context(self, context: Any) -> None:
            self.big = list(range(1000))
            self.shared["big"] = self.big

        def predict(self, model_input: Any) -> Any:
            return len(self.big)

    return Preparing()


def test_what_load_context_sets_at_save_is_not_saved(tmp_path: Path) -> None:
    mine = preparing_model()
    target = save(tmp_path / "t", mine, input_example=pd.DataFrame({"a": [1.0]}))
    assert (target / "python_model.pkl").stat().st_size < 3000
    assert "big" not in vars(mine)
    assert description_of(target)["signature"]["outputs"] is not None
    assert load(target).predict(pd.DataFrame({"a": [1.0]})) == 1000


def test_load_context_at_save_sees_artifacts_and_config(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Seeing(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            seen.append((context.artifacts, context.model_config))

        def predict(self, model_input: Any) -> Any:
            return model_input

    (tmp_path / "a.txt").write_text("x")
    save(
        tmp_path / "t",
        Seeing(),
        artifacts={"a": str(tmp_path / "a.txt")},
        model_config={"k": 1},
        input_example=pd.DataFrame({"a": [1.0]}),
    )
    assert seen == [({"a": str(tmp_path / "a.txt")}, {"k": 1})]


def test_a_predict_that_fails_on_the_example_only_costs_the_signature(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(pyfunc.PythonModel):
        def predict(self, model_input: Any) -> Any:
            raise RuntimeError("my own text")

    target = save(tmp_path / "t", Failing(), input_example=pd.DataFrame({"a": [1.0]}))
    assert "signature" not in description_of(target)
    assert (target / "input_example.json").is_file()
    assert "my own text" in caplog.text


def test_an_output_without_a_schema_is_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(pyfunc.PythonModel):
        def predict(self, model_input: Any) -> Any:
            return {1, 2}

    target = save(tmp_path / "t", Odd(), input_example=pd.DataFrame({"a": [1.0]}))
    assert description_of(target)["signature"]["outputs"] == '[{"type": "any", "required": true}]'
    assert "no schema" in caplog.text


def test_a_given_signature_yields_to_type_hints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = pyfunc.ModelSignature(inputs=Schema([ColSpec("double", "a")]))
    target = save(tmp_path / "t", hinted(Ours), signature=given)
    assert description_of(target)["signature"]["inputs"] == STRINGS
    assert "type hints" in caplog.text


def test_an_output_that_is_not_what_its_hint_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Lying(pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[int]:
            return model_input  # type: ignore[return-value]

    target = save(tmp_path / "t", Lying(), input_example=["a"])
    assert description_of(target)["signature"]["outputs"] == '[{"type": "any", "required": true}]'
    assert "type hint" in caplog.text


def test_the_model_is_not_changed_by_a_save(tmp_path: Path) -> None:
    mine = preparing_model()
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[5, 6])
    before = frame.copy(deep=True)
    config = {"a": {"b": [1]}}
    metadata = {"m": [1]}
    save(tmp_path / "t", mine, input_example=frame, model_config=config, metadata=metadata)
    pd.testing.assert_frame_equal(frame, before)
    assert (config, metadata) == ({"a": {"b": [1]}}, {"m": [1]})


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        pytest.param(pd.DataFrame({"a": [1.0]}), "dataframe", id="frame"),
        pytest.param(np.array([[1.0, 2.0]]), "ndarray", id="array"),
        pytest.param({"a": np.array([1.0])}, "ndarray", id="arrays"),
        pytest.param({"a": 1, "b": "x"}, "json_object", id="dict"),
        pytest.param([1, 2], "json_object", id="list"),
        pytest.param([{"a": 1}], "json_object", id="records"),
        pytest.param("text", "json_object", id="text"),
        pytest.param(1.5, "json_object", id="number"),
    ],
)
def test_an_example_of_every_form_is_saved_and_read_back(
    tmp_path: Path, example: Any, kind: str
) -> None:
    target = save(tmp_path / "t", input_example=example)
    assert description_of(target)["saved_input_example_info"]["type"] == kind
    found = load(target).input_example
    if isinstance(example, pd.DataFrame):
        pd.testing.assert_frame_equal(found, example)
    elif isinstance(example, dict) and kind == "ndarray":
        np.testing.assert_array_equal(found["a"], example["a"])
    elif kind == "ndarray":
        np.testing.assert_array_equal(found, example)
    else:
        assert found == example


def test_the_pickle_of_a_model_is_of_a_protocol_that_mlflow_reads(tmp_path: Path) -> None:
    data = (save(tmp_path / "t") / "python_model.pkl").read_bytes()
    report = walk_pickle(data)
    assert report.protocol <= 5
    assert "pyfunc" not in {name.partition(".")[0] for name in report.modules}


UV_LOCK = """
version = 1

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://user:secret@packages.example.org/simple" }

[[package]]
name = "idna"
version = "3.1"
source = { registry = "https://default.example.net/simple" }
"""

PYPROJECT = """
[project]
name = "p"

[[tool.uv.index]]
url = "https://packages.example.org/simple"
"""


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that puts a program called ``uv`` on PATH, which runs a shell script."""

    def make(text: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "uv"
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/uv-arguments\n{text}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "uv-arguments"

    return make


def uv_project(workplace: Path) -> str:
    tree(workplace, {"p/uv.lock": UV_LOCK, "p/pyproject.toml": PYPROJECT})
    return str(workplace / "p")


@pytest.mark.parametrize("line", ["pandas<2", "Pandas==1.5", "pandas[excel]<2"])
def test_a_given_requirement_goes_before_the_inferred_one(tmp_path: Path, line: str) -> None:
    target = save(tmp_path / "t", pip_requirements=None, extra_pip_requirements=[line])
    lines = (target / "requirements.txt").read_text().split("\n")
    assert [item for item in lines if name_of(item) == "pandas"] == [line]


def test_requirements_come_from_the_lock_of_a_uv_project(
    workplace: Path, fake_uv: Callable[[str], Path]
) -> None:
    seen = fake_uv("echo '# made by uv'; echo six==1.16.0; echo \"idna==3.1 ; os_name == 'x'\"")
    target = save(
        workplace / "t",
        pip_requirements=None,
        uv_project_path=uv_project(workplace),
        uv_groups=["g"],
        uv_extras=["x", "y"],
    )
    lines = (target / "requirements.txt").read_text().split("\n")
    assert name_of(lines[0]) == "pyfunc-format"
    assert sorted(lines[1:]) == [
        "--extra-index-url https://packages.example.org/simple",
        f"cloudpickle=={version('cloudpickle')}",
        'idna==3.1; os_name == "x"',
        "six==1.16.0",
    ]
    assert seen.read_text().split() == [
        "export",
        "--no-dev",
        "--no-hashes",
        "--frozen",
        "--no-header",
        "--no-emit-project",
        "--no-annotate",
        "--group=g",
        "--extra=x",
        "--extra=y",
    ]


def test_the_uv_project_of_the_working_directory_is_found(
    workplace: Path, fake_uv: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv("echo six==1.16.0")
    monkeypatch.chdir(uv_project(workplace))
    found = save(workplace / "found", pip_requirements=None)
    assert "six==1.16.0" in (found / "requirements.txt").read_text()
    assert (found / "uv.lock").read_text() == UV_LOCK
    monkeypatch.setenv("MLFLOW_UV_AUTO_DETECT", "false")
    hidden = save(workplace / "hidden", pip_requirements=None)
    assert "six" not in (hidden / "requirements.txt").read_text()
    assert not (hidden / "uv.lock").exists()


@pytest.mark.parametrize("text", ["echo no >&2; exit 2", "true"], ids=["fails", "says-nothing"])
def test_requirements_are_inferred_if_uv_cannot_export(
    workplace: Path,
    fake_uv: Callable[[str], Path],
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake_uv(text)
    target = save(workplace / "t", pip_requirements=None, uv_project_path=uv_project(workplace))
    assert "pandas==" in (target / "requirements.txt").read_text()
    assert (target / "uv.lock").is_file()
    assert "uv" in caplog.text


def test_groups_without_a_uv_project_are_ignored_with_a_word(
    workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        save(workplace / "t", uv_groups=["g"])
    assert "no uv project" in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [{"uv_groups": "g"}, {"uv_extras": [1]}, {"uv_project_path": 5}],
    ids=["groups", "extras", "path"],
)
def test_uv_arguments_of_a_wrong_type(workplace: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match=next(iter(arguments))):
        save(workplace / "t", **arguments)
