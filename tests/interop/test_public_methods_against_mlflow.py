"""Public methods give what MLflow's give: every parameter, and values that users get wrong."""

from __future__ import annotations

import io
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
import pyfunc.schema

pytestmark = [
    pytest.mark.interop,
    # MLflow's own, about hints; they are not what is compared.
    pytest.mark.filterwarnings("ignore"),
]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.models
    import mlflow.pyfunc
    import mlflow.types.schema
    from mlflow.models.auth_policy import AuthPolicy, SystemAuthPolicy, UserAuthPolicy
    from mlflow.models.resources import DatabricksServingEndpoint, DatabricksTable

Library = Any  # the names of one of the two libraries
Case = Callable[[Library, Path], object]

THEIRS = types.SimpleNamespace(
    Model=mlflow.models.Model,
    ModelConfig=mlflow.models.ModelConfig,
    ModelSignature=mlflow.models.ModelSignature,
    PyFuncModel=mlflow.pyfunc.PyFuncModel,
    PythonModel=mlflow.pyfunc.PythonModel,
    add_to_model=mlflow.pyfunc.add_to_model,
    set_model=mlflow.models.set_model,
    types=mlflow.types.schema,
)
OURS = types.SimpleNamespace(
    Model=pyfunc.Model,
    ModelConfig=pyfunc.ModelConfig,
    ModelSignature=pyfunc.ModelSignature,
    PyFuncModel=pyfunc.PyFuncModel,
    PythonModel=pyfunc.PythonModel,
    add_to_model=pyfunc.add_to_model,
    set_model=pyfunc.set_model,
    types=pyfunc.schema,
)
RESOURCES = [DatabricksServingEndpoint(endpoint_name="e"), DatabricksTable("t")]
POLICY = AuthPolicy(
    system_auth_policy=SystemAuthPolicy(resources=RESOURCES),
    user_auth_policy=UserAuthPolicy(api_scopes=["scope"]),
)
SECTIONS = {"one": {"config": {"a": 1}, "key": 2}, "two": {}}


def outcome(case: Case, library: Library, folder: Path) -> object:
    try:
        return case(library, folder)
    except Exception as error:
        return error


def compare(case: Case, tmp_path: Path) -> None:
    """Assert that both give the same, or ours an error that is caught as MLflow's is."""
    theirs, ours = outcome(case, THEIRS, tmp_path), outcome(case, OURS, tmp_path)
    if not isinstance(theirs, Exception):
        assert ours == theirs
        return
    kind = next(k for k in type(theirs).__mro__ if k.__module__ == "builtins")
    assert isinstance(ours, kind), (ours, theirs)


def model(library: Library, **keys: object) -> Any:
    return library.Model(**{"model_uuid": "u", "utc_time_created": "t", **keys})


def signature(library: Library) -> Any:
    types = library.types
    return library.ModelSignature(
        types.Schema([types.ColSpec("double", "a")]),
        types.Schema([types.ColSpec("long")]),
        types.ParamSchema([types.ParamSpec("p", "long", 1)]),
    )


VALUES = {
    "artifact_path": (None, "", "place", "ü"),
    "run_id": (None, "", "run"),
    "utc_time_created": ("", 0, 5, "2020-01-01 00:00:00"),
    "model_uuid": (None, "", "id", lambda: "made"),
    "mlflow_version": (None, "2.9.2"),
    "metadata": (None, {}, {"a": [1]}, "text", 0, False),
    "model_size_bytes": (None, 0, 5),
    "saved_input_example_info": (None, {}, {"type": "json_object"}),
    "env_vars": (None, [], ["A"], (), "", {}, "A", [1], ("A",), 5),
    "model_id": (None, "", "m-1"),
    "prompts": (None, [], ["p"]),
    "auth_policy": (None, {}, {"x": 1}, POLICY, 5),
    "resources": (None, [], RESOURCES, RESOURCES[:1], {"x": 1}, [{"x": 1}], 5, "missing.yaml"),
    "flavors": (None, {}, SECTIONS),
    "x_vendor": (None, 1, {"deep": [1]}),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [pytest.param(k, v, id=f"{k}-{i}") for k, vs in VALUES.items() for i, v in enumerate(vs)],
)
def test_a_key_of_a_description(key: str, value: object, tmp_path: Path) -> None:
    def content(library: Library, _: Path) -> object:
        made = model(library, **{key: value})
        text = made.to_dict()
        if key == "utc_time_created" and not value:  # made now
            return len(text.pop(key))
        shown = None if key == "x_vendor" else getattr(made, key)
        return shown, text, made.get_tags_dict()

    compare(content, tmp_path)


def written(library: Library, folder: Path) -> object:
    place = folder / library.Model.__module__
    place.mkdir()
    made = model(library, signature=signature(library), flavors=SECTIONS)
    returned = made.save(str(place / "MLmodel"))
    again = [library.Model.load(p).to_dict() for p in (place, str(place) + "/", place / "MLmodel")]
    return returned, (place / "MLmodel").read_text(), again


def streamed(library: Library, _: Path) -> object:
    stream = io.StringIO()
    return model(library).to_yaml(stream), stream.getvalue()


def assigned(library: Library, folder: Path) -> object:
    (folder / "resources.yaml").write_text("api_version: '1'\ndatabricks:\n  table: [{name: t}]\n")
    made = model(library)
    made.resources = folder / "resources.yaml"
    made.auth_policy = POLICY
    return made.resources, made.auth_policy


INFO = (
    "artifact_path", "creation_timestamp", "env_vars", "flavors", "metadata", "metrics",
    "mlflow_version", "model_uri", "model_uuid", "name", "params", "prompts",
    "registered_model_version", "run_id", "saved_input_example_info", "tags", "utc_time_created",
)  # fmt: skip
LOGGED = types.SimpleNamespace(
    model_id="m-2", name="n", metrics=[], params={"a": "1"}, tags={}, creation_timestamp=3
)


def info(library: Library, *, logged: object = None, **keys: object) -> object:
    found = model(library, **keys).get_model_info(logged)
    found.registered_model_version = found.registered_model_version or None
    return {name: getattr(found, name) for name in INFO}


DESCRIPTIONS: dict[str, Case] = {
    "a-new-id": lambda lib, _: len(lib.Model().model_uuid),
    "every-id-is-new": lambda lib, _: lib.Model().model_uuid == lib.Model().model_uuid,
    "no-id-in-a-file": lambda lib, _: lib.Model.from_dict({"flavors": {}}).model_uuid,
    "no-flavors": lambda lib, _: lib.Model.from_dict({}).flavors,
    "flavors-are-shared": lambda lib, _: lib.Model(flavors=SECTIONS).flavors is SECTIONS,
    "text": lambda lib, _: model(lib, metadata={"ü": "é"}).to_yaml(),
    "text-to-a-stream": streamed,
    "text-to-bytes": lambda lib, _: model(lib).to_yaml(stream=io.BytesIO()),
    "str": lambda lib, _: str(model(lib, flavors=SECTIONS)),
    "format": lambda lib, _: f"{model(lib)}",
    "written": written,
    "not-there": lambda lib, folder: lib.Model.load(folder / "none").to_dict() and 1,
    "assigned": assigned,
    "equal": lambda lib, _: (model(lib) == model(lib), lib.Model() == lib.Model()),
    "no-hash": lambda lib, _: hash(model(lib)),
    "info": lambda lib, _: info(lib),
    "info-of-a-run": lambda lib, _: info(lib, run_id="r", artifact_path="p", env_vars=["A"]),
    "info-of-prompts": lambda lib, _: info(lib, prompts=["p"], metadata={"a": 1}),
    "info-of-a-logged-model": lambda lib, _: info(lib, logged=LOGGED, model_id="m-2"),
}


@pytest.mark.parametrize("case", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_method_of_a_description(case: Case, tmp_path: Path) -> None:
    compare(case, tmp_path)


FILES = {"config.yaml": "a: 1\nb: [1, 2]\n", "empty.yaml": "", "broken.yaml": "a: [\n"}
CONFIGS: dict[str, Callable[[Path], object]] = {
    "none": lambda _: None,
    "empty": lambda _: {},
    "empty-text": lambda _: "",
    "mapping": lambda _: {"a": 1, 2: None},
    "file": lambda folder: str(folder / "config.yaml"),
    "path": lambda folder: folder / "config.yaml",
    "missing": lambda folder: str(folder / "missing.yaml"),
    "missing-path": lambda folder: folder / "missing.yaml",
    "folder": str,
    "empty-file": lambda folder: str(folder / "empty.yaml"),
    "broken-file": lambda folder: str(folder / "broken.yaml"),
    "list": lambda _: ["a"],
    "number": lambda _: 3.5,
}
QUESTIONS: dict[str, Callable[[Any], object]] = {
    "made": lambda config: type(config).__name__,
    "a-key": lambda config: config.get("a"),
    "a-key-that-is-a-number": lambda config: config.get(2),
    "another-key": lambda config: config.get("zz"),
    "all": lambda config: config.to_dict() or {},
    "source": lambda config: config.config,
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_configuration(
    config: Callable[[Path], object], question: Callable[[Any], object], tmp_path: Path
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    compare(lambda lib, p: question(lib.ModelConfig(development_config=config(p))), tmp_path)


def test_a_configuration_follows_its_file_and_its_mapping(tmp_path: Path) -> None:
    def changed(library: Library, folder: Path) -> object:
        (folder / "config.yaml").write_text("a: 1\n")
        values = {"a": 1}
        configs = [
            library.ModelConfig(development_config=c) for c in (folder / "config.yaml", values)
        ]
        (folder / "config.yaml").write_text("a: 2\n")
        values["a"] = 2
        return [config.get("a") for config in configs]

    compare(changed, tmp_path)


class Whole:
    def predict(self, data: object) -> object:
        return data

    def answer(self, data: object, params: object = None) -> object:
        return data, params

    def parts(self, data: object) -> object:
        yield data


def loaded(library: Library, *arguments: object, config: object = None, **keys: object) -> Any:
    described = library.add_to_model(model(library), "a.loader", model_config=config)
    return library.PyFuncModel(described, Whole(), *arguments, **keys)


MODELS: dict[str, Case] = {
    "repr": lambda lib, _: repr(loaded(lib)),
    "without-a-description": lambda lib, _: lib.PyFuncModel(None, Whole()) and 1,
    "id": lambda lib, _: loaded(lib, model_id="m-1").model_id,
    "id-by-position": lambda lib, _: loaded(lib, "predict", None, "m-1").model_id,
    "no-id": lambda lib, _: loaded(lib).model_id,
    "config": lambda lib, _: loaded(lib, config={"a": 1}).model_config,
    "no-config": lambda lib, _: loaded(lib).model_config,
    "loader": lambda lib, _: loaded(lib).loader_module,
    "method": lambda lib, _: loaded(lib, "answer").predict(1, {"a": 1}),
    "method-by-name": lambda lib, _: loaded(lib, predict_fn="answer").predict(data=1, params=None),
    "no-such-method": lambda lib, _: loaded(lib, "none") and 1,
    "params-without-a-place": lambda lib, _: loaded(lib).predict(1, {"a": 1}),
    "parts": lambda lib, _: list(loaded(lib, "predict", "parts").predict_stream({"a": 1})),
    "no-parts": lambda lib, _: list(loaded(lib).predict_stream({"a": 1})),
    "no-such-parts": lambda lib, _: loaded(lib, "predict", "none") and 1,
    "no-model-inside": lambda lib, _: loaded(lib).unwrap_python_model() and 1,
    "no-raw-model": lambda lib, _: loaded(lib).get_raw_model() and 1,
    "equal": lambda lib, _: (loaded(lib) == loaded(lib), loaded(lib) == 5),
    "no-hash": lambda lib, _: hash(loaded(lib)),
}


@pytest.mark.parametrize("case", MODELS.values(), ids=MODELS)
def test_a_method_of_a_loaded_model(case: Case, tmp_path: Path) -> None:
    compare(case, tmp_path)


@pytest.mark.parametrize(
    "params", [None, {}, {"p": 2}, {"p": "x"}, {"q": 1}, [1]], ids=lambda value: f"{value}"
)
def test_params_of_a_loaded_model(params: object, tmp_path: Path) -> None:
    def predicted(library: Library, _: Path) -> object:
        described = library.add_to_model(model(library, signature=signature(library)), "a.loader")
        answered = library.PyFuncModel(described, Whole(), "answer")
        return answered.predict(pd.DataFrame({"a": [1.0]}), params)[1]

    compare(predicted, tmp_path)


class Called:
    def __call__(self, data: object) -> object:
        return data


NOT_SAVED: dict[str, Callable[[Library], object]] = {
    "none": lambda _: None,
    "text": lambda _: "model.py",
    "path": Path,
    "mapping": lambda _: {},
    "only-predict": lambda _: Whole(),
    "class": lambda lib: type("Mine", (lib.PythonModel,), {"predict": _predict}),
    "nothing-goes-in": lambda _: lambda: 1,
    "two-go-in": lambda _: lambda a, b=1: (a, b),
}


def _predict(self: object, context: object, model_input: object) -> object:
    return model_input


@pytest.mark.parametrize("made", NOT_SAVED.values(), ids=NOT_SAVED)
def test_a_model_that_no_save_takes_is_refused_where_it_is_set(
    made: Callable[[Library], object], tmp_path: Path
) -> None:
    value = "model.py" if made is Path else made(OURS)
    with pytest.raises(pyfunc.InvalidArgumentError):
        pyfunc.set_model(value)
    if not isinstance(value, str):  # the name of a script is what a save takes
        with pytest.raises(pyfunc.PyfuncError):
            pyfunc.save_model(tmp_path / "model", python_model=value, pip_requirements=[])
    theirs = "model.py" if made is Path else made(THEIRS)
    with pytest.raises(mlflow.MlflowException):
        _set_and_save(theirs, tmp_path / "theirs")


def _set_and_save(value: object, target: Path) -> None:
    mlflow.models.set_model(value)
    mlflow.pyfunc.save_model(target, python_model=value, pip_requirements=[])


@pytest.mark.parametrize(
    "made",
    [
        lambda lib: type("Mine", (lib.PythonModel,), {"predict": _predict})(),
        lambda _: lambda data: data,
        lambda _: Called(),
        lambda _: len,
    ],
    ids=["instance", "function", "object", "builtin"],
)
def test_a_model_that_a_save_takes_is_taken(made: Callable[[Library], object]) -> None:
    for library in (OURS, THEIRS):
        assert library.set_model(made(library)) is None


SUBCLASS = """
import sys
import pydantic
import {library} as library

class Fields(pydantic.BaseModel):
    a: int

class MoreFields(Fields):
    b: int

class Hinted(library.PythonModel):
    def predict(self, model_input: list[Fields]):
        return [item.model_dump() for item in model_input]

library.save_model(sys.argv[1], python_model=Hinted(), pip_requirements=[])
print(library.load_model(sys.argv[1]).predict([MoreFields(a=1, b=2), Fields(a=3)]))
"""


@pytest.mark.parametrize(
    ("library", "kept"),
    [
        pytest.param("pyfunc", [{"a": 1}, {"a": 3}], id="ours"),
        pytest.param("mlflow.pyfunc", [{"a": 1, "b": 2}, {"a": 3}], id="mlflow"),
    ],
)
def test_an_instance_of_a_subclass_becomes_the_model_s_own_class(
    library: str, kept: list[dict[str, int]], tmp_path: Path
) -> None:
    code = SUBCLASS.format(library=library)
    run = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "model")]
    assert subprocess.check_output(run, text=True).splitlines()[-1] == str(kept)


@pytest.mark.parametrize("kind", ["string", "binary"])
def test_a_text_array_without_axes_is_its_text(kind: str) -> None:
    found = pyfunc.schema.enforce_schema(
        {"a": np.array("x")}, pyfunc.schema.Schema([pyfunc.schema.ColSpec(kind, "a")])
    )
    assert found["a"].tolist() == ["x"]
    assert isinstance(found["a"].iloc[0], str)
