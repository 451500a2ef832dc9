"""The MLmodel file as an object (format.md 1 and 3.9)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pyfunc
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import RESOURCE_DOES_NOT_EXIST, ModelFormatError, PyfuncError
from pyfunc.model.description import FORMAT_VERSION, Model, add_to_model
from pyfunc.model.opened import open_model, python_function_section
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, ParamSpec, Schema

SIGNATURE = ModelSignature(
    Schema([ColSpec("double", "a"), ColSpec("string", "b", required=False)]),
    Schema([ColSpec("long")]),
    ParamSchema([ParamSpec("p", "long", 1)]),
)


def full_model() -> Model:
    model = Model(
        artifact_path="path",
        run_id="run",
        utc_time_created="2026-01-01 00:00:00.000000",
        signature=SIGNATURE,
        saved_input_example_info={"type": "json_object"},
        model_uuid="u" * 32,
        metadata={"a": [1]},
        model_size_bytes=5,
        resources={"api_version": "1"},
        env_vars=["A"],
        auth_policy={"x": 1},
        model_id="m-1",
        prompts=["p"],
        databricks_runtime="15",
        x_vendor={"deep": [1, {"b": None}]},
    )
    return add_to_model(model, "loader", data="d", conda_env="conda.yaml", python_env="p.yaml")


def test_a_description_comes_back_from_its_file(tmp_path: Path) -> None:
    model = full_model()
    model.save(tmp_path / "MLmodel")
    for source in (tmp_path, tmp_path / "MLmodel", str(tmp_path)):
        again = Model.load(source)
        assert again == model
        assert again.to_dict() == model.to_dict()
        assert again.signature == SIGNATURE
        assert again.extra == {"databricks_runtime": "15", "x_vendor": {"deep": [1, {"b": None}]}}


def test_a_description_comes_back_from_its_dictionary() -> None:
    content = full_model().to_dict()
    before = copy.deepcopy(content)
    assert Model.from_dict(content).to_dict() == before
    assert content == before


def test_the_text_is_yaml_with_sorted_keys() -> None:
    text = full_model().to_yaml()
    content = yaml.safe_load(text)
    assert list(content) == sorted(content)
    assert text == yaml.safe_dump(content, default_flow_style=False)
    assert json.loads(full_model().to_json()) == content


def test_a_new_description_has_what_every_file_has() -> None:
    content = Model().to_dict()
    assert set(content) == {
        "flavors",
        "mlflow_version",
        "model_id",
        "model_uuid",
        "prompts",
        "utc_time_created",
    }
    assert len(content["model_uuid"]) == 32
    assert content["mlflow_version"] == FORMAT_VERSION
    assert len(content["utc_time_created"]) == 26
    assert Model().model_uuid != Model().model_uuid


def test_what_is_missing_in_a_file_stays_missing() -> None:
    content: dict[str, Any] = {"flavors": {}}
    model = Model.from_dict(content)
    assert model.mlflow_version is None
    assert model.model_uuid is None
    assert "mlflow_version" not in model.to_dict()
    assert model.utc_time_created != ""


METHODS = [name for name in dir(Model) if not name.startswith("__")]


@pytest.mark.parametrize("name", METHODS)
def test_no_key_of_a_file_becomes_an_attribute(name: str) -> None:
    plain = Model.from_dict({"flavors": {}})
    keys = set(Model.__init__.__annotations__)
    if name in keys:
        return
    model = Model.from_dict({"flavors": {}, name: 5})
    assert type(getattr(model, name)) is type(getattr(plain, name))
    assert model.extra == {name: 5}
    assert model.to_dict()[name] == 5
    assert yaml.safe_load(model.to_yaml())[name] == 5


def test_equality_is_that_of_the_content() -> None:
    assert full_model() == full_model()
    other = full_model()
    other.flavors["python_function"]["data"] = "e"
    assert full_model() != other
    assert full_model() != 5
    changed = full_model()
    changed.extra["x_vendor"] = None
    assert full_model() != changed


def test_flavors_are_replaced_as_a_whole() -> None:
    model = Model(flavors={"a": {"x": 1}})
    assert model.add_flavor("a", y=2) is model
    assert model.add_flavor("b").flavors == {"a": {"y": 2}, "b": {}}


def test_the_python_function_flavor_leaves_out_what_is_empty() -> None:
    model = add_to_model(
        Model(),
        "loader",
        data=None,
        code="",
        conda_env=None,
        model_config={},
        model_code_path=None,
        streamable=False,
        own_key=None,
    )
    section = model.flavors["python_function"]
    assert set(section) == {"loader_module", "python_version", "streamable", "own_key"}


def test_false_is_no_signature_and_leaves_the_old_one() -> None:
    model = Model(signature=SIGNATURE)
    model.signature = False
    assert model.signature is SIGNATURE
    model.signature = None
    assert model.signature is None
    with pytest.raises(pyfunc.InvalidTypeError, match="signature"):
        model.signature = "x"  # type: ignore[assignment]


def test_the_names_of_environment_variables_are_a_list() -> None:
    with pytest.raises(TypeError, match="env_vars"):
        Model(env_vars="A")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="env_vars"):
        Model().env_vars = [1]  # type: ignore[list-item]


def test_the_schemas_of_the_signature() -> None:
    model = full_model()
    assert model.get_input_schema() == SIGNATURE.inputs
    assert model.get_output_schema() == SIGNATURE.outputs
    assert model.get_params_schema() == SIGNATURE.params
    bare = Model()
    assert bare.get_input_schema() is None
    assert bare.get_output_schema() is None
    assert bare.get_params_schema() is None


def test_the_flags_of_hints_survive() -> None:
    content = full_model().to_dict()
    content["is_signature_from_type_hint"] = True
    content["type_hint_from_example"] = True
    assert Model.from_dict(content).to_dict() == content


def test_a_signature_without_content_is_refused_in_words() -> None:
    content = {"flavors": {}, "signature": {"inputs": None, "outputs": None, "params": None}}
    with pytest.raises(ModelFormatError) as caught:
        _ = Model.from_dict(content).signature
    assert caught.value.key == "signature"


def test_what_a_description_says_in_short() -> None:
    info = full_model().get_model_info()
    assert (info.model_uri, info.run_id, info.model_id) == ("models:/m-1", "run", "m-1")
    assert info.signature == SIGNATURE
    assert info.flavors["python_function"]["data"] == "d"
    assert repr(full_model()).startswith("Model(flavors=['python_function']")


@pytest.mark.parametrize("name", ["", "nothing", "nothing/MLmodel"])
def test_a_missing_file_names_the_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(pyfunc.ModelNotFoundError, match="hint: give the directory") as caught:
        Model.load(tmp_path / name)
    assert caught.value.error_code == RESOURCE_DOES_NOT_EXIST
    assert isinstance(caught.value, FileNotFoundError)


def test_a_model_without_an_example_has_none(tmp_path: Path) -> None:
    model = Model()
    assert model.load_input_example(tmp_path) is None
    assert model.load_input_example_params(tmp_path) is None
    assert model.get_serving_input(tmp_path) is None


def test_an_example_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("[1]")
    (tmp_path / "model").mkdir()
    info = {"type": "json_object", "artifact_path": "../secret.json"}
    with pytest.raises(PyfuncError):
        Model(saved_input_example_info=info).load_input_example(tmp_path / "model")


def test_saving_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("old")
    with pytest.raises(PyfuncError):
        Model(metadata={"a": object()}).save(tmp_path / "MLmodel")
    assert (tmp_path / "MLmodel").read_text() == "old"
    Model().save(tmp_path / "MLmodel")
    assert [path.name for path in tmp_path.iterdir()] == ["MLmodel"]


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["../x", "/etc/hostname", "mlflow.pyfunc.model", "[]", "{}", "3.11.7"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
SECTION_KEYS = (
    "loader_module",
    "python_version",
    "data",
    "code",
    "env",
    "python_model",
    "cloudpickle_version",
    "artifacts",
    "config",
    "model_code_path",
    "streamable",
    "predict_fn",
    "predict_stream_fn",
    "python_model_compression",
)
TOP_KEYS = (
    "signature",
    "metadata",
    "saved_input_example_info",
    "is_signature_from_type_hint",
    "type_hint_from_example",
    "model_uuid",
    "mlflow_version",
    "utc_time_created",
    "env_vars",
    "resources",
    "model_size_bytes",
    "to_dict",
    "_file",
)
SECTIONS = VALUES | st.dictionaries(st.sampled_from(SECTION_KEYS), VALUES, max_size=4)
FLAVORS = VALUES | st.fixed_dictionaries({"python_function": SECTIONS})
SIGNATURES = VALUES | st.dictionaries(
    st.sampled_from(["inputs", "outputs", "params"]),
    VALUES | VALUES.map(json.dumps),
    max_size=3,
)
DESCRIPTIONS = st.builds(
    lambda flavors, signature, rest: {"flavors": flavors, "signature": signature, **rest},
    FLAVORS,
    SIGNATURES,
    st.dictionaries(st.sampled_from(TOP_KEYS[1:]) | st.text(max_size=5), VALUES, max_size=3),
)


@given(DESCRIPTIONS)
@example({"flavors": {}, "signature": {"params": "[]"}})
def test_any_dictionary_gives_a_description_or_an_error_of_ours(content: dict[str, Any]) -> None:
    before = copy.deepcopy(content)
    try:
        model = Model.from_dict(content)
        again = model.to_dict()
    except PyfuncError:
        assert content == before
        return
    assert content == before
    assert Model.from_dict(again).to_dict() == again
    for key, value in content.items():
        if key not in {*TOP_KEYS, "flavors"}:
            assert again[key] == value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DESCRIPTIONS)
def test_any_mlmodel_file_loads_or_gives_an_error_of_ours(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        pyfunc.load_model(tmp_path, suppress_warnings=True)
    except PyfuncError:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_few_bytes_by_chance_are_an_error_of_ours(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "MLmodel").write_bytes(data)
    files = ModelFiles.open(tmp_path)
    with pytest.raises(PyfuncError, match="MLmodel"):
        python_function_section(open_model(files), tmp_path)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_unknown_keys_survive_a_round_trip_through_the_text(extra: dict[str, Any]) -> None:
    known = {*TOP_KEYS, *Model.__init__.__annotations__, "flavors", "self", "extra", "_file"}
    unknown = {key: value for key, value in extra.items() if key not in known}
    model = Model.from_dict({"flavors": {}, **unknown})
    try:
        text = model.to_yaml()
    except PyfuncError:
        return
    assert Model.from_bytes(text.encode(), file="MLmodel").extra == unknown
