"""Every key of an MLmodel file that names a path, with every payload (reliability 4.3)."""

from __future__ import annotations

import copy
import os
import platform
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
from pyfunc.errors import ModelFormatError, ModelIncompleteError, ModelPathError, PyfuncError

SECRET = "the secret outside"

Outcome = tuple[Any, ...]


def plant_link(root: Path, target: str) -> str:
    (root / "planted").symlink_to(target)
    return "planted"


def plant_fifo(root: Path) -> str:
    os.mkfifo(root / "planted")
    return "planted"


def plant_socket(root: Path) -> str:
    here = Path.cwd()
    os.chdir(root)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("planted")
    finally:
        os.chdir(here)
    return "planted"


# Payload -> the value that the key gets; a function also changes the model directory.
OUTSIDE: dict[str, str | Callable[[Path], str]] = {
    "parent": "..",
    "parent-file": "../outside.txt",
    "up-and-down": "a/../../outside.txt",
    "deep-up": "artifacts/../../outside.txt",
    "absolute": lambda root: str(root.parent / "outside.txt"),
    "etc": "/etc/hostname",
    "home": "~",
    "home-file": "~/x",
    "drive": "C:\\x",
    "backslashes": "a\\..\\..\\x",
    "nul": "a\0b",
    "empty": "",
    "long": "x" * 5000,
    "unicode-dots": "\u2025/outside.txt",
    "full-width-dots": "\uff0e\uff0e/outside.txt",
    "url-encoded": "%2e%2e/outside.txt",
    "link-to-a-file": lambda root: plant_link(root, "../outside.txt"),
    "link-to-a-directory": lambda root: plant_link(root, "../outside"),
    "absolute-link": lambda root: plant_link(root, str(root.parent / "outside.txt")),
    "below-a-link": lambda root: plant_link(root, "../outside") + "/inner.txt",
    "link-loop": lambda root: plant_link(root, "planted"),
    "fifo": plant_fifo,
    "socket": plant_socket,
}
# These stay inside, and there is nothing (of use) there.
NOTHING: dict[str, str | Callable[[Path], str]] = {
    "dangling-link": lambda root: plant_link(root, "no-such-file"),
    "missing": "no/such/file",
}
NOT_TEXT = {"int": 5, "float": 1.5, "list": [".."], "mapping": {"a": ".."}, "bool": True}

SECTION = ("flavors", "python_function")
Key = tuple[str, ...]
PYTHON_KEYS: dict[str, Key] = {
    "python_model": (*SECTION, "python_model"),
    "artifacts": (*SECTION, "artifacts", "a", "path"),
    "code": (*SECTION, "code"),
    "data": (*SECTION, "data"),
    "sklearn": ("flavors", "sklearn", "pickled_model"),
    "onnx": ("flavors", "onnx", "data"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    (folder / "artifact.txt").write_text("inside")
    (folder / "helper.py").write_text("VALUE = 1\n")

    class Reader(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            with open(context.artifacts["a"]) as file:
                self.text = file.read()

        def predict(self, model_input: Any) -> Any:
            return self.text

    pyfunc.save_model(
        folder / "model",
        python_model=Reader(),
        artifacts={"a": str(folder / "artifact.txt")},
        code_paths=[str(folder / "helper.py")],
        input_example=["x"],
        pip_requirements=[],
    )
    shutil.rmtree(folder / "model" / ".pyfunc")
    return folder / "model"


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """Return a model without a manifest, with things outside that must not be reached."""
    (tmp_path / "outside.txt").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "inner.txt").write_text(SECRET)
    (tmp_path / "outside" / "own_loader.py").write_text(LOADER)
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


LOADER = """
class Model:
    def __init__(self, path):
        self.path = path

    def predict(self, data):
        with open(self.path) as file:
            return file.read()

def _load_pyfunc(path):
    return Model(path)
"""


def change(root: Path, key: Key, value: Any) -> None:
    file = root / "MLmodel"
    content = yaml.safe_load(file.read_text())
    place = content
    for part in key[:-1]:
        place = place[part]
    place[key[-1]] = value
    file.write_text(yaml.safe_dump(content, allow_unicode=True))


def prepare(root: Path, name: str) -> None:
    """Make the model one that uses the key."""
    if name == "data":
        (root / "code" / "own_loader.py").write_text(LOADER)
        change(root, (*SECTION, "loader_module"), "own_loader")
    elif name == "sklearn":
        change(root, ("flavors", "sklearn"), {"serialization_format": "pickle"})
        change(root, (*SECTION, "loader_module"), "mlflow.sklearn")
    elif name == "onnx":
        change(root, ("flavors", "onnx"), {"onnx_version": "1.16.0"})
        change(root, (*SECTION, "loader_module"), "mlflow.onnx")


def set_payload(root: Path, name: str, payload: str | Callable[[Path], str]) -> None:
    prepare(root, name)
    change(root, PYTHON_KEYS[name], payload(root) if callable(payload) else payload)


def load(root: Path) -> Any:
    return pyfunc.load_model(root, suppress_warnings=True).predict(["x"])


def test_the_model_is_sound(model: Path) -> None:
    assert load(model) == "inside"


@pytest.mark.parametrize("name", PYTHON_KEYS)
@pytest.mark.parametrize("payload", OUTSIDE)
def test_4_3_a_path_that_leaves_the_model_is_refused(model: Path, name: str, payload: str) -> None:
    set_payload(model, name, OUTSIDE[payload])
    if name == "code" and payload == "empty":
        assert load(model) == "inside"  # as an empty key: no code
        return
    if payload in ("nul", "long"):  # YAML or the system may be first to refuse
        with pytest.raises(ModelFormatError):
            load(model)
        return
    with pytest.raises(ModelPathError) as caught:
        load(model)
    assert caught.value.key == ".".join(PYTHON_KEYS[name])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", PYTHON_KEYS)
@pytest.mark.parametrize("payload", NOTHING)
def test_4_3_a_path_to_nothing_makes_the_model_incomplete(
    model: Path, name: str, payload: str
) -> None:
    set_payload(model, name, NOTHING[payload])
    if name == "code":
        assert load(model) == "inside"  # MLflow names a folder that it did not make
        return
    with pytest.raises((ModelIncompleteError, ModelPathError)) as caught:
        load(model)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", PYTHON_KEYS)
@pytest.mark.parametrize("value", NOT_TEXT)
def test_4_3_a_path_that_is_no_text_is_refused(model: Path, name: str, value: str) -> None:
    prepare(model, name)
    change(model, PYTHON_KEYS[name], copy.deepcopy(NOT_TEXT[value]))
    with pytest.raises(ModelFormatError) as caught:
        load(model)
    assert caught.value.key == ".".join(PYTHON_KEYS[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [("python_model", "artifacts"), ("sklearn", "artifacts"), ("code", "MLmodel"),
     ("python_model", "."), ("python_model", "python_model.pkl/")],
)  # fmt: skip
def test_4_3_the_wrong_kind_is_refused(model: Path, name: str, value: str) -> None:
    prepare(model, name)
    change(model, PYTHON_KEYS[name], value)
    with pytest.raises(ModelPathError):
        load(model)


def test_4_3_a_device_is_refused(model: Path) -> None:
    for name in ("python_model", "artifacts", "data"):
        change(model, PYTHON_KEYS[name], "/dev/zero")
        with pytest.raises(ModelPathError):
            load(model)
    if os.geteuid() == 0:  # a device inside can only be made by root
        os.mknod(model / "zero", 0o20666, os.makedev(1, 5))
        change(model, PYTHON_KEYS["python_model"], "zero")
        with pytest.raises(ModelPathError):
            load(model)


def test_4_3_links_that_stay_inside_and_hard_links_are_allowed(model: Path) -> None:
    (model / "linked").symlink_to("artifacts/artifact.txt")
    change(model, PYTHON_KEYS["artifacts"], "linked")
    assert load(model) == "inside"
    os.link(model / "artifacts" / "artifact.txt", model / "hard")
    change(model, PYTHON_KEYS["artifacts"], "hard")
    assert load(model) == "inside"


@pytest.mark.parametrize("payload", ["parent-file", "absolute", "etc", "drive", "backslashes"])
def test_4_3_of_a_script_only_the_name_counts(model: Path, payload: str) -> None:
    """As MLflow writes the key: with the folder of the machine that saved."""
    value = OUTSIDE[payload]
    change(model, (*SECTION, "model_code_path"), value(model) if callable(value) else value)
    with pytest.raises((ModelIncompleteError, ModelPathError)):
        load(model)


@pytest.mark.parametrize("payload", ["link-to-a-file", "absolute-link", "fifo", "socket"])
def test_4_3_a_script_that_is_no_file_of_the_model_is_refused(model: Path, payload: str) -> None:
    value = OUTSIDE[payload]
    assert callable(value)
    change(model, (*SECTION, "model_code_path"), value(model))
    with pytest.raises(ModelPathError):
        load(model)


def text_of(read: Callable[[], object]) -> str:
    """Return what ``read`` returns as text, or its error of our tree."""
    try:
        return str(read())
    except PyfuncError as error:
        return str(error)


ENVIRONMENT_PAYLOADS = [name for name in OUTSIDE if name not in ("nul", "long", "empty")]


@pytest.mark.parametrize("payload", ENVIRONMENT_PAYLOADS)
@pytest.mark.parametrize("key", ["env", "conda", "virtualenv"])
def test_4_3_environment_files_outside_are_not_read(model: Path, key: str, payload: str) -> None:
    given = OUTSIDE[payload]
    value = given(model) if callable(given) else given
    change(model, (*SECTION, "env"), value if key == "env" else {key: value})
    (model / "requirements.txt").unlink()
    for read in (
        lambda: pyfunc.get_model_dependencies(model),
        lambda: pyfunc.get_model_dependencies(model, format="conda"),
        lambda: str(pyfunc.inspect(model).requirements),
    ):
        found = text_of(read)
        if not found.startswith(str(model)):
            assert SECRET not in found
        else:
            assert os.path.realpath(found).startswith(str(model.resolve()))


@pytest.mark.parametrize("payload", OUTSIDE)
@pytest.mark.parametrize("key", ["artifact_path", "serving_input_path"])
def test_4_3_examples_outside_are_not_read(model: Path, key: str, payload: str) -> None:
    (model.parent / "outside.txt").write_text('{"inputs": ["the secret outside"]}')
    given = OUTSIDE[payload]
    value = given(model) if callable(given) else given
    change(model, ("saved_input_example_info", key), value)
    try:
        loaded = pyfunc.load_model(model, suppress_warnings=True)
    except ModelFormatError:
        assert payload in ("nul", "long")
        return
    assert SECRET not in str(loaded.input_example)
    reader = pyfunc.Model.load(model)
    for read in (reader.load_input_example, reader.get_serving_input):
        assert SECRET not in text_of(partial(read, str(model)))


def test_4_3_resources_that_are_text_are_not_read_as_a_file(model: Path) -> None:
    (model.parent / "resources.yaml").write_text("api_version: '1'\n")
    change(model, ("resources",), str(model.parent / "resources.yaml"))
    written = str(model.parent / "resources.yaml")
    assert pyfunc.Model.load(model).resources == written
    assert load(model) == "inside"


def test_4_3_no_environment_variable_opens_this(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform.system()
    for name in ("PYFUNC_CONFINE", "PYFUNC_TRUST", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.setenv(name, {"PYFUNC_TRUST": "full"}.get(name, "true"))
    change(model, PYTHON_KEYS["artifacts"], "../outside.txt")
    with pytest.raises(ModelPathError):
        load(model)
