"""Each step of ``load_model`` (format.md 4), old variants of the format, and bad models."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import math
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import yaml

import pyfunc
from pyfunc.errors import (
    BAD_REQUEST,
    RESOURCE_DOES_NOT_EXIST,
    FlavorNotFoundError,
    IncompatiblePythonError,
    ModelFormatError,
    ModelIncompleteError,
    ModelPathError,
    PyfuncError,
)

ModelMaker = Callable[..., Path]
ListTree = Callable[[Path], dict[str, tuple[int, int]]]

PYTHON_MODEL = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}


def load(path: Path | str, **options: Any) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True, **options)


def identity() -> pyfunc.PythonModel:
    class Identity(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    return Identity()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound model, which no test may change."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "a.txt").write_text("artifact")
    pyfunc.save_model(
        folder / "model",
        python_model=identity(),
        artifacts={"a": str(folder / "a.txt")},
        model_config={"k": 1},
        input_example=(pd.DataFrame({"a": [1.5]}), {"p": 1}),
        pip_requirements=[],
        metadata={"m": 1},
    )
    return folder / "model"


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """Return a copy of the sound model without its manifest, to be broken."""
    copied = tmp_path / "model"
    for source in saved.rglob("*"):
        target = copied / source.relative_to(saved)
        if ".pyfunc" in source.parts:
            continue
        if source.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return copied


def change(model: Path, path: str, value: Any) -> None:
    """Set the dotted ``path`` of the MLmodel file; ``...`` takes it away."""
    content = yaml.safe_load((model / "MLmodel").read_text())
    *parents, last = path.split(".")
    inner = content
    for part in parents:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    (model / "MLmodel").write_text(yaml.safe_dump(content))


SECTION = "flavors.python_function"


# --- where the model is


@pytest.mark.parametrize("place", ["nowhere", "nowhere/below", "file:///no/such/model"])
def test_a_place_with_nothing(tmp_path: Path, place: str) -> None:
    where = place if place.startswith("file:") else str(tmp_path / place)
    with pytest.raises(pyfunc.ModelNotFoundError, match="hint: give the directory") as caught:
        load(where)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.error_code == RESOURCE_DOES_NOT_EXIST
    assert where.removeprefix("file://") in str(caught.value)


def test_a_directory_without_mlmodel(tmp_path: Path) -> None:
    with pytest.raises(pyfunc.ModelNotFoundError, match="hint: give the directory") as caught:
        load(tmp_path)
    assert caught.value.error_code == RESOURCE_DOES_NOT_EXIST
    assert f"no MLmodel file in {tmp_path}" in str(caught.value)


def test_a_file_instead_of_a_directory(model: Path) -> None:
    with pytest.raises(pyfunc.ModelNotFoundError, match="is a file; give the directory"):
        load(model / "MLmodel")


@pytest.mark.parametrize("place", [None, 5, b"x", ["a"]], ids=repr)
def test_what_is_no_place_at_all(place: Any) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match="expected a path or a URI"):
        load(place)


@pytest.mark.parametrize("place", ["", "a\0b", "file://elsewhere/model"])
def test_places_that_cannot_be_read(place: str) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError):
        load(place)


def test_a_link_to_a_model(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved)
    assert load(tmp_path / "link", verify="require").loader_module == "mlflow.pyfunc.model"


def test_a_relative_path(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    model = load("model")
    monkeypatch.chdir("/")
    assert model.input_example.equals(pd.DataFrame({"a": [1.5]}))


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        pytest.param("env", "elsewhere", "'running' or 'isolated'", id="env"),
        pytest.param("on_mismatch", "cry", "'ignore', 'warn' or 'raise'", id="on_mismatch"),
        pytest.param("verify", "perhaps", "'auto', 'require' or 'skip'", id="verify"),
        pytest.param("coerce", "all", "'safe' or None", id="coerce"),
        pytest.param(
            "trust", "blind", "'full', 'digest', 'signature', 'allowlist' or 'none'", id="trust"
        ),
        pytest.param(
            "env_manager", "pip", "'local', 'virtualenv', 'uv' or 'conda'", id="env_manager"
        ),
    ],
)
def test_an_option_with_an_unknown_value(
    tmp_path: Path, name: str, value: str, choices: str
) -> None:
    # Before the place is looked at: there is nothing here.
    with pytest.raises(pyfunc.InvalidArgumentError) as caught:
        load(tmp_path / "nothing", **{name: value})
    assert str(caught.value) == f"{name}: expected {choices}, got {value!r}"


def test_loading_changes_nothing_in_the_directory(saved: Path, list_tree: ListTree) -> None:
    before = list_tree(saved)
    load(saved).predict(pd.DataFrame({"a": [1.0]}))
    assert list_tree(saved) == before


READ_ONCE = """
import builtins, os, sys
import pyfunc.loading.entry, pyfunc.loading.python_models, pandas
opened = []
real = os.open
def counting(path, *rest, **options):
    opened.append(os.fspath(path) if not isinstance(path, int) else path)
    return real(path, *rest, **options)
os.open = counting
model = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
model.predict(pandas.DataFrame({"a": [1.0]}))
print(sum(str(path).endswith("MLmodel") for path in opened))
"""


def test_the_description_is_read_once(saved: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", READ_ONCE, str(saved)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert finished.stdout.strip() == "1"


def test_a_deleted_working_directory_does_not_matter(saved: Path, tmp_path: Path) -> None:
    code = (
        # numpy 2.5 itself cannot be imported there.
        "import os, sys, pandas, pyfunc\nos.rmdir(os.getcwd())\n"
        "print(pyfunc.load_model(sys.argv[1], suppress_warnings=True).loader_module)"
    )
    (tmp_path / "gone").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "HOME"}
    finished = subprocess.run(
        [sys.executable, "-c", code, str(saved)],
        cwd=tmp_path / "gone",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert finished.stdout.strip() == "mlflow.pyfunc.model"


# --- what MLmodel says


def test_no_python_function_flavor(model: Path) -> None:
    change(model, "flavors", {"sklearn": {"pickled_model": "model.pkl"}})
    with pytest.raises(PyfuncError, match='no "python_function" flavor, it has: sklearn') as error:
        load(model)
    assert error.value.error_code == RESOURCE_DOES_NOT_EXIST
    assert f"{model / 'MLmodel'}" in str(error.value)
    assert "hint:" in str(error.value)


def test_an_external_model(model: Path) -> None:
    change(model, "metadata", {"mlflow.model.isExternal": True})
    with pytest.raises(PyfuncError, match="external") as error:
        load(model)
    assert error.value.error_code == BAD_REQUEST


@pytest.mark.parametrize(
    "name",
    ["no_such_loader", "no.such.loader", "mlflow.no_such_flavor", "mlflow.h2o.more"],
)
def test_an_unknown_loader(model: Path, name: str) -> None:
    change(model, f"{SECTION}.loader_module", name)
    with pytest.raises(FlavorNotFoundError, match="hint: install") as error:
        load(model)
    assert name in str(error.value)
    assert str(model) in str(error.value)
    assert error.value.error_code == RESOURCE_DOES_NOT_EXIST


@pytest.mark.parametrize("name", ["chat_model", "chat_agent", "responses_agent"])
def test_what_a_pickle_is_decides_beside_its_loader(model: Path, name: str) -> None:
    frame = pd.DataFrame({"a": [5.0]})
    before = load(model).predict(frame)
    change(model, f"{SECTION}.loader_module", f"mlflow.pyfunc.loaders.{name}")
    pd.testing.assert_frame_equal(load(model).predict(frame), before)


@pytest.mark.parametrize("name", ["os", "json", "pyfunc.errors"])
def test_a_module_that_is_no_loader(model: Path, name: str) -> None:
    change(model, f"{SECTION}.loader_module", name)
    with pytest.raises(ModelFormatError, match="_load_pyfunc") as error:
        load(model)
    assert error.value.key == "flavors.python_function.loader_module"


@pytest.mark.parametrize("name", [".x", "", "a b", "..", "os.", "1x"])
def test_a_loader_with_an_impossible_name(model: Path, name: str) -> None:
    change(model, f"{SECTION}.loader_module", name)
    with pytest.raises((FlavorNotFoundError, ModelFormatError)):
        load(model)


VALUES: dict[str, Any] = {
    "null": None,
    "int": 5,
    "float": 3.1,
    "str": "x",
    "list": [1],
    "dict": {"a": 1},
    "bool": True,
}
ANY = frozenset(VALUES)
# Key -> the types with which the model still loads; every other one is refused, naming the key.
ACCEPTED: dict[str, frozenset[str]] = {
    "flavors": frozenset(),
    SECTION: frozenset(),
    f"{SECTION}.loader_module": frozenset({"str"}),
    f"{SECTION}.python_version": frozenset({"null", "str"}),
    f"{SECTION}.data": frozenset({"null", "str"}),
    f"{SECTION}.code": frozenset({"null", "str"}),
    f"{SECTION}.env": frozenset({"null", "str", "dict"}),
    f"{SECTION}.python_model": frozenset({"str"}),
    f"{SECTION}.cloudpickle_version": frozenset({"null", "str"}),
    f"{SECTION}.python_model_compression": frozenset({"null", "str"}),
    f"{SECTION}.artifacts": frozenset({"null"}),
    f"{SECTION}.artifacts.a": frozenset(),
    f"{SECTION}.artifacts.a.path": frozenset({"str"}),
    f"{SECTION}.config": frozenset({"null", "str", "dict"}),
    f"{SECTION}.model_code_path": frozenset({"null", "str"}),
    f"{SECTION}.streamable": frozenset({"null", "bool"}),
    f"{SECTION}.predict_fn": frozenset({"null", "str"}),
    f"{SECTION}.predict_stream_fn": frozenset({"null", "str"}),
    f"{SECTION}.anything_else": ANY,
    "signature": frozenset({"null"}),
    "signature.inputs": frozenset({"null"}),
    "signature.outputs": frozenset({"null"}),
    "signature.params": frozenset({"null"}),
    "is_signature_from_type_hint": frozenset({"null", "bool"}),
    "type_hint_from_example": frozenset({"null", "bool"}),
    "saved_input_example_info": frozenset({"null", "dict"}),
    "saved_input_example_info.artifact_path": ANY,
    "saved_input_example_info.type": ANY,
    "metadata": ANY,
    "model_uuid": frozenset({"null", "str"}),
    "mlflow_version": frozenset({"null", "str"}),
    "env_vars": frozenset({"null"}),
    "run_id": ANY,
    "artifact_path": ANY,
    "utc_time_created": ANY,
    "resources": ANY,
    "auth_policy": ANY,
    "prompts": ANY,
    "model_id": ANY,
    "model_size_bytes": ANY,
    "unheard_of": ANY,
    "get_input_schema": ANY,
}


def attempt(model: Path) -> tuple[pyfunc.PyFuncModel | None, str]:
    try:
        return load(model), ""
    except ModelFormatError:
        raise
    except PyfuncError as error:
        return None, str(error)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("key", ACCEPTED)
def test_every_key_with_every_type(model: Path, key: str, value: Any) -> None:
    kind = next(name for name, known in VALUES.items() if known is value)
    change(model, key, value)
    if kind in ACCEPTED[key]:
        found, problem = attempt(model)
        if found is None:
            # Right in kind, but it names something that is not there.
            assert kind == "str"
            assert any(text in problem for text in (key, "'x'", "Python x"))
            return
        assert found.metadata.get_output_schema is not None
        assert callable(found.metadata.get_input_schema)
        assert repr(found)
        return
    with pytest.raises(ModelFormatError) as caught:
        load(model)
    named = caught.value.key
    assert named is not None
    assert key.startswith(named) or named.startswith(key)
    assert str(model / "MLmodel") in str(caught.value)


def test_a_version_that_yaml_reads_as_a_number_names_the_remedy(model: Path) -> None:
    text = (model / "MLmodel").read_text()
    lines = [
        "    python_version: 3.11" if "python_version" in line else line
        for line in text.splitlines()
    ]
    (model / "MLmodel").write_text("\n".join(lines))
    with pytest.raises(ModelFormatError, match="hint: write it in quotes"):
        load(model)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("just text", id="scalar"),
        pytest.param("- a\n- b\n", id="list"),
        pytest.param("a: [1\nb: 2", id="broken"),
        pytest.param("a: 1\n---\nb: 2\n", id="two-documents"),
        pytest.param("a: !!python/object/apply:os.system ['true']\n", id="python-tag"),
        pytest.param("flavors: {}\nflavors: {}\n", id="key-twice"),
        pytest.param("1: 2\nflavors: {}\n", id="number-as-key"),
        pytest.param("flavors: &a {b: *a}\n", id="recursive"),
    ],
)
def test_an_mlmodel_that_is_not_one(model: Path, text: str) -> None:
    (model / "MLmodel").write_text(text)
    with pytest.raises(ModelFormatError) as caught:
        load(model)
    assert str(model / "MLmodel") in str(caught.value)


@pytest.mark.parametrize("kind", ["fifo", "directory", "link outside", "dangling link"])
def test_an_mlmodel_that_is_no_file(model: Path, tmp_path: Path, kind: str) -> None:
    (model / "MLmodel").rename(tmp_path / "outside")
    if kind == "fifo":
        os.mkfifo(model / "MLmodel")
    elif kind == "directory":
        (model / "MLmodel").mkdir()
    elif kind == "link outside":
        (model / "MLmodel").symlink_to(tmp_path / "outside")
    else:
        (model / "MLmodel").symlink_to(tmp_path / "nothing")
    with pytest.raises(PyfuncError, match="MLmodel"):
        load(model)


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../../b"])
@pytest.mark.parametrize("key", ["data", "code", "python_model", "artifacts.a.path"])
def test_4_3_a_path_out_of_the_directory_is_refused(model: Path, key: str, path: str) -> None:
    if key == "data":
        change(model, f"{SECTION}.loader_module", "own_loader")
        (model / "code").mkdir()
        (model / "code" / "own_loader.py").write_text("def _load_pyfunc(path):\n    1 / 0\n")
        change(model, f"{SECTION}.code", "code")
    change(model, f"{SECTION}.{key}", path)
    with pytest.raises(ModelPathError) as caught:
        load(model)
    assert caught.value.key == f"flavors.python_function.{key}"


def test_the_script_is_found_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("import pyfunc\npyfunc.set_model(lambda model_input: 'mine')\n")
    pyfunc.save_model(tmp_path / "t", python_model=tmp_path / "s.py", pip_requirements=[])
    for written in ("/somewhere/else/s.py", "../../s.py", "C:\\users\\me\\s.py", "s.py"):
        change(tmp_path / "t", f"{SECTION}.model_code_path", written)
        assert load(tmp_path / "t", verify="skip").predict(None) == "mine"


def test_a_missing_code_folder_counts_as_an_empty_one(model: Path) -> None:
    # MLflow writes this for code_paths=[].
    change(model, f"{SECTION}.code", "code")
    assert load(model).loader_module == "mlflow.pyfunc.model"


def test_a_minimal_description_loads(hand_made: ModelMaker) -> None:
    data = cloudpickle.dumps(identity())
    root = hand_made(PYTHON_MODEL, {"python_model.pkl": data})
    (root / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": PYTHON_MODEL}}))
    assert load(root).predict([1]) == [1]


# --- old variants (format.md 2.3)


def test_the_environment_of_mlflow_1_is_text(model: Path) -> None:
    change(model, f"{SECTION}.env", "conda.yaml")
    assert load(model).metadata.flavors["python_function"]["env"] == "conda.yaml"


@pytest.mark.parametrize("key", ["code", "streamable", "cloudpickle_version", "python_version"])
def test_keys_that_old_releases_do_not_write(model: Path, key: str) -> None:
    change(model, f"{SECTION}.{key}", ...)
    assert load(model).loader_module == "mlflow.pyfunc.model"


@pytest.mark.parametrize("key", ["model_uuid", "mlflow_version", "utc_time_created", "prompts"])
def test_top_level_keys_that_may_be_missing(model: Path, key: str) -> None:
    change(model, key, ...)
    assert load(model).metadata.mlflow_version == (None if key == "mlflow_version" else "3.17.2")


def test_mlflow_1_finds_modules_in_every_folder_of_the_code(hand_made: ModelMaker) -> None:
    files = {
        "code/deep/er/entry.py": (
            "import other\nclass M:\n    def predict(self, data):\n        return other.NAME\n"
            "def _load_pyfunc(path):\n    return M()\n"
        ),
        "code/side/other.py": "NAME = 'other'\n",
    }
    section = {"loader_module": "entry", "code": "code"}
    assert load(hand_made(section, files, {"mlflow_version": "1.30.1"})).predict(1) == "other"
    with pytest.raises(FlavorNotFoundError):
        load(hand_made(section, files, {"mlflow_version": "2.14.3"}))


def wrapper_pickle(**state: Any) -> bytes:
    """Return what MLflow's wrapper of functions pickles as, with the state of some release."""
    module = types.ModuleType("mlflow.pyfunc.model")
    kind = type("_FunctionPythonModel", (), {"__module__": "mlflow.pyfunc.model"})
    module._FunctionPythonModel = kind  # type: ignore[attr-defined]
    instance = kind()
    instance.__dict__.update(state)
    names = ("mlflow", "mlflow.pyfunc", "mlflow.pyfunc.model")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, module)
        data: bytes = cloudpickle.dumps(instance)
    return data


@pytest.mark.parametrize(
    ("state", "params", "expected"),
    [
        pytest.param({"signature": None}, None, (1, None), id="since-2.20"),
        pytest.param({"signature": None, "hints": None}, None, (1, None), id="before"),
        pytest.param({"signature": None, "hints": None}, {"p": 2}, (1, {"p": 2}), id="params"),
    ],
)
def test_functions_that_releases_before_2_20_pickled(
    hand_made: ModelMaker, state: dict[str, Any], params: Any, expected: Any
) -> None:
    def takes_params(model_input: Any, params: Any = None) -> Any:
        return model_input, params

    data = wrapper_pickle(func=takes_params, **state)
    signature = {"inputs": None, "outputs": None, "params": None}
    schema = '[{"name": "p", "default": 1, "shape": null, "type": "long"}]'
    top = {"signature": {**signature, "params": schema}} if params else {}
    found = load(hand_made(PYTHON_MODEL, {"python_model.pkl": data}, top))
    assert found.predict(1, params=params) == expected


# --- broken parts


def test_c9_a_truncated_pickle(model: Path) -> None:
    data = (model / "python_model.pkl").read_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 1):
        (model / "python_model.pkl").write_bytes(data[:length])
        with pytest.raises(ModelIncompleteError, match="hint: the file is damaged") as caught:
            load(model)
        assert caught.value.path == str(model / "python_model.pkl")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00garbage", id="garbage"),
        pytest.param(pickle.dumps({"a": 1}), id="another-object"),
        pytest.param(pickle.dumps(None), id="none"),
        pytest.param(b"cno_such_module\nThing\n.", id="missing-module"),
        pytest.param(b"cjson\nno_such_name\n.", id="missing-name"),
    ],
)
def test_c9_a_pickle_of_something_else(model: Path, data: bytes) -> None:
    (model / "python_model.pkl").write_bytes(data)
    with pytest.raises(ModelIncompleteError):
        load(model)


def test_c9_a_pickle_that_is_not_there(model: Path) -> None:
    (model / "python_model.pkl").unlink()
    with pytest.raises(ModelIncompleteError, match=r"python_model\.pkl.*does not exist"):
        load(model)


def test_c11_a_missing_module_names_the_remedy(model: Path) -> None:
    (model / "python_model.pkl").write_bytes(b"cno_such_package.sub\nThing\n.")
    (model / "requirements.txt").write_text("no-such-package==1.2\n")
    with pytest.raises(ModelIncompleteError, match="needs module 'no_such_package'") as caught:
        load(model)
    assert "hint:" in str(caught.value)
    assert "no-such-package==1.2" in str(caught.value)
    assert caught.value.path == str(model / "python_model.pkl")


def test_c7_code_of_another_python_is_refused(model: Path) -> None:
    change(model, f"{SECTION}.python_version", "3.9.1")
    with pytest.raises(IncompatiblePythonError, match=r"Python 3\.9\.1") as caught:
        load(model)
    assert str(model / "python_model.pkl") in str(caught.value)
    assert "hint: load it with Python 3.9" in str(caught.value)
    assert load(model, allow_other_python=True).loader_module == "mlflow.pyfunc.model"


def test_c7_another_patch_of_the_same_python_is_fine(model: Path) -> None:
    major, minor = sys.version_info[:2]
    for text in (f"{major}.{minor}.99", f"{major}.{minor}"):
        change(model, f"{SECTION}.python_version", text)
        assert load(model).predict(pd.DataFrame({"a": [1.0]})) is not None


class ByReference:
    """Importable, so that its pickle holds no code."""

    def predict(self, model_input: Any) -> Any:
        return model_input


def test_c7_another_python_is_fine_if_the_pickle_holds_no_code(hand_made: ModelMaker) -> None:
    data = pickle.dumps({"__class__": math.sqrt})
    root = hand_made({**PYTHON_MODEL, "python_version": "3.9.1"}, {"python_model.pkl": data})
    with pytest.raises(ModelIncompleteError, match="expected an object with a predict"):
        load(root)


def test_c8_another_cloudpickle_is_said(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(model, f"{SECTION}.cloudpickle_version", "1.0.0")
    with caplog.at_level(logging.WARNING):
        load(model)
    assert "1.0.0" in caplog.text
    assert cloudpickle.__version__ in caplog.text


def test_c8_another_cloudpickle_can_be_an_error(model: Path) -> None:
    (model / "requirements.txt").write_text("cloudpickle==1.0.0\n")
    with pytest.raises(pyfunc.EnvironmentMismatchError, match=r"1\.0\.0") as caught:
        pyfunc.load_model(model, on_mismatch="raise")
    assert cloudpickle.__version__ in str(caught.value)


@pytest.mark.parametrize(
    ("name", "compress"),
    [("gzip", gzip.compress), ("bzip2", bz2.compress), ("lzma", lzma.compress)],
)
def test_a_compressed_pickle(model: Path, name: str, compress: Callable[[bytes], bytes]) -> None:
    data = (model / "python_model.pkl").read_bytes()
    change(model, f"{SECTION}.python_model_compression", name)
    (model / "python_model.pkl").write_bytes(compress(data))
    assert load(model).loader_module == "mlflow.pyfunc.model"
    for broken in (data, b"", compress(data)[:-5]):
        (model / "python_model.pkl").write_bytes(broken)
        with pytest.raises(ModelIncompleteError, match=r"damaged|not a"):
            load(model)


def test_an_unknown_compression_is_said(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(model, f"{SECTION}.python_model_compression", "zzz")
    assert load(model).loader_module == "mlflow.pyfunc.model"
    assert "'zzz'" in caplog.text


def test_a_missing_artifact_is_named(model: Path) -> None:
    (model / "artifacts" / "a.txt").unlink()
    with pytest.raises(ModelIncompleteError, match=r"artifacts\.a\.path.*does not exist"):
        load(model)


def test_c9_a_load_context_that_fails(tmp_path: Path) -> None:
    class Failing(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            raise RuntimeError("my own text")

        def predict(self, model_input: Any) -> Any:
            return model_input

    pyfunc.save_model(tmp_path / "t", python_model=Failing(), pip_requirements=[])
    with pytest.raises(ModelIncompleteError, match=r"load_context.*my own text") as caught:
        load(tmp_path / "t")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_load_context_with_another_parameter_name(tmp_path: Path) -> None:
    class Odd(pyfunc.PythonModel):
        def load_context(self, ctx: Any) -> None:
            self.config = ctx.model_config

        def predict(self, model_input: Any) -> Any:
            return self.config

    pyfunc.save_model(
        tmp_path / "t", python_model=Odd(), pip_requirements=[], model_config={"a": 1}
    )
    assert load(tmp_path / "t").predict(None) == {"a": 1}


def test_a_method_that_is_missing_is_named(model: Path) -> None:
    for key, name in (("predict_fn", "score"), ("predict_fn", "__class__")):
        change(model, f"{SECTION}.{key}", name)
        with pytest.raises(PyfuncError, match=name):
            load(model)


def test_streaming_is_claimed_but_not_there(hand_made: ModelMaker) -> None:
    files = {
        "code/entry.py": "class M:\n    def predict(self, data):\n        return data\n"
        "def _load_pyfunc(path):\n    return M()\n"
    }
    root = hand_made({"loader_module": "entry", "code": "code", "streamable": True}, files)
    with pytest.raises(PyfuncError, match="predict_stream"):
        load(root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("raise ValueError('no')", "fails to import: ValueError: no", id="raises"),
        pytest.param("import no_such_thing", "needs module 'no_such_thing'", id="lacks-module"),
        pytest.param("def f(:", "SyntaxError", id="syntax"),
        pytest.param(
            "def _load_pyfunc(path):\n    raise KeyError('k')", "_load_pyfunc failed", id="fails"
        ),
    ],
)
def test_a_loader_of_the_model_itself_that_fails(
    hand_made: ModelMaker, text: str, expected: str
) -> None:
    root = hand_made({"loader_module": "entry", "code": "code"}, {"code/entry.py": text})
    with pytest.raises(ModelIncompleteError, match=expected) as caught:
        load(root)
    assert caught.value.path == str(root)


SCRIPT_FAULTS = [
    pytest.param("x = 1\n", "set_model once, it did 0 times", id="sets-nothing"),
    pytest.param(
        "import pyfunc\nfor _ in range(2):\n    pyfunc.set_model(lambda model_input: 1)\n",
        "set_model once, it did 2 times",
        id="sets-two",
    ),
    pytest.param("raise ValueError('no')\n", "ValueError: no", id="raises"),
    pytest.param("import no_such_thing\n", "no_such_thing", id="lacks-module"),
]


@pytest.mark.parametrize(("text", "expected"), SCRIPT_FAULTS)
def test_c4_a_script_that_fails(hand_made: ModelMaker, text: str, expected: str) -> None:
    section = {
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": "/elsewhere/s.py",
    }
    root = hand_made(section, {"s.py": text})
    with pytest.raises(ModelIncompleteError, match=expected) as caught:
        load(root)
    assert caught.value.path == str(root / "s.py")


def test_set_model_outside_of_a_load_has_no_effect(model: Path) -> None:
    pyfunc.set_model(lambda model_input: "from before")
    assert load(model).predict(pd.DataFrame({"a": [1.0]})).equals(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(PyfuncError, match="set_model: expected"):
        pyfunc.set_model(5)


# --- model_config (format.md 4.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, {"k": 1}, id="none"),
        pytest.param({}, {"k": 1}, id="empty"),
        pytest.param({"k": 2}, {"k": 2}, id="override"),
        pytest.param({"k": None}, {"k": None}, id="override-with-none"),
    ],
)
def test_the_configuration_is_overridden(saved: Path, given: Any, expected: Any) -> None:
    model = load(saved, model_config=given)
    assert model.model_config == expected
    assert model.unwrap_python_model() is not None
    assert model._model_impl.context.model_config == expected


@pytest.mark.parametrize("form", [str, Path])
def test_the_configuration_comes_from_a_file(saved: Path, tmp_path: Path, form: Any) -> None:
    (tmp_path / "c.yaml").write_text("k: 7\n")
    assert load(saved, model_config=form(tmp_path / "c.yaml")).model_config == {"k": 7}


def test_unknown_keys_of_the_configuration_are_named_and_ignored(saved: Path) -> None:
    with pytest.warns(pyfunc.PyfuncWarning, match=r"\['z'\] are ignored.*knows \['k'\]"):
        model = load(saved, model_config={"k": 3, "z": 4})
    assert model.model_config == {"k": 3}


def test_a_configuration_for_a_model_without_one_is_ignored(model: Path) -> None:
    change(model, f"{SECTION}.config", ...)
    with pytest.warns(pyfunc.PyfuncWarning, match=r"\['z'\] are ignored"):
        found = load(model, model_config={"z": 4})
    assert found.model_config == {}
    assert found._model_impl.context.model_config is None


def test_the_environment_overrides_and_the_caller_overrides_that(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_PYFUNC_INFERENCE_CONFIG", '{"k": 5}')
    assert load(saved).model_config == {"k": 5}
    assert load(saved, model_config={"k": 6}).model_config == {"k": 6}


@pytest.mark.parametrize("text", ["{", "[1]", "5"])
def test_an_environment_variable_that_is_no_object(
    saved: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MLFLOW_PYFUNC_INFERENCE_CONFIG", text)
    with pytest.raises(pyfunc.InvalidArgumentError, match="MLFLOW_PYFUNC_INFERENCE_CONFIG"):
        load(saved)


def test_overrides_change_neither_the_file_nor_the_caller(saved: Path) -> None:
    given = {"k": 9}
    model = load(saved, model_config=given)
    assert model.model_config is not given
    assert model.metadata.flavors["python_function"]["config"] == {"k": 1}


def test_a_loader_module_is_given_a_configuration_if_there_is_one(hand_made: ModelMaker) -> None:
    files: Mapping[str, str] = {
        "code/entry.py": (
            "class M:\n    def __init__(self, seen):\n        self.seen = seen\n"
            "    def predict(self, data):\n        return self.seen\n"
            "def _load_pyfunc(*arguments):\n    return M(arguments)\n"
        ),
        "data/d.txt": "",
    }
    section = {"loader_module": "entry", "code": "code"}
    bare = hand_made(section, files)
    assert load(bare).predict(None) == (str(bare),)
    with_data = hand_made({**section, "data": "data/d.txt", "config": {"a": 1}}, files)
    assert load(with_data).predict(None) == (str(with_data / "data" / "d.txt"), {"a": 1})


# --- the environment


def test_mismatches_are_logged_unless_suppressed(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "requirements.txt").write_text("pandas==0.1\nno-such-package==1\n")
    load(model)
    assert "no-such-package" not in caplog.text
    pyfunc.load_model(model)
    assert "pandas==0.1" in caplog.text
    assert "no-such-package==1" in caplog.text


def test_mismatches_can_be_errors(model: Path) -> None:
    (model / "requirements.txt").write_text("pandas==0.1\n")
    with pytest.raises(pyfunc.EnvironmentMismatchError, match="pandas"):
        pyfunc.load_model(model, on_mismatch="raise")
    assert pyfunc.load_model(model, on_mismatch="ignore").loader_module == "mlflow.pyfunc.model"


@pytest.mark.parametrize("text", ["-r ../../x\n", "!!!\n", "-r requirements.txt\n", ""])
def test_odd_requirements_do_not_keep_a_model_from_loading(model: Path, text: str) -> None:
    (model / "requirements.txt").write_text(text)
    assert pyfunc.load_model(model).loader_module == "mlflow.pyfunc.model"


@pytest.mark.parametrize("name", ["requirements.txt", "conda.yaml", "python_env.yaml"])
def test_environment_files_may_be_missing(model: Path, name: str) -> None:
    (model / name).unlink()
    assert pyfunc.load_model(model).loader_module == "mlflow.pyfunc.model"


@pytest.mark.parametrize("value", ["false", "0", "False"])
def test_the_switch_of_mlflow_forbids_all_code(
    saved: Path, hand_made: ModelMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    (tmp_path / "s.py").write_text("import pyfunc\npyfunc.set_model(lambda model_input: 1)\n")
    pyfunc.save_model(tmp_path / "t", python_model=tmp_path / "s.py", pip_requirements=[])
    with_code = hand_made({"loader_module": "entry", "code": "code"}, {"code/entry.py": ""})
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", value)
    for path in (saved, tmp_path / "t", with_code):
        with pytest.raises(pyfunc.UntrustedModelError):
            load(path)


# --- the input example


def test_an_example_that_cannot_be_read_is_none(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "input_example.json").write_text("{broken")
    found = load(model)
    assert found.predict(pd.DataFrame({"a": [1.0]})) is not None
    assert found.input_example is None
    assert "example" in caplog.text


def test_an_example_is_read_only_when_it_is_asked_for(model: Path) -> None:
    found = load(model)
    (model / "input_example.json").unlink()
    assert found.predict(pd.DataFrame({"a": [1.0]})) is not None
    assert found.input_example is None


def test_the_parameters_of_the_example(saved: Path) -> None:
    meta = pyfunc.Model.load(saved)
    assert meta.load_input_example(saved).equals(pd.DataFrame({"a": [1.5]}))
    assert meta.load_input_example().equals(pd.DataFrame({"a": [1.5]}))
    assert meta.load_input_example_params(saved) == {"p": 1}
    serving = meta.get_serving_input(saved)
    assert serving is not None
    assert '"dataframe_split"' in serving
