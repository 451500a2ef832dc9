"""Every door takes the same places of a model, and refuses the same ones with the same errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sklearn.linear_model import LinearRegression
from typer.testing import CliRunner

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.cli.app import app
from pyfunc.cli.exits import Exit
from pyfunc.deploy import write_context
from pyfunc.directory.signing import verify_signature
from pyfunc.env import (
    check,
    infer_requirements,
    lock,
    prepare_environment,
    update_requirements,
)
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError
from pyfunc.handlers import add_handler
from pyfunc.schema import ColSpec, ModelSignature, Schema, set_signature
from pyfunc.serving import run

SIGNATURE = ModelSignature(Schema([ColSpec("double")]))

Door = Callable[[Any, Path], object]

READERS: dict[str, Door] = {
    "load_model": lambda place, _: pyfunc.load_model(place, suppress_warnings=True),
    "load_model-of-a-flavor": lambda place, _: pyfunc.flavors.sklearn.load_model(place),
    "inspect": lambda place, _: pyfunc.inspect(place),
    "verify": lambda place, _: pyfunc.verify(place),
    "verify_signature": lambda place, keys: verify_signature(place, public_key=keys / "key.pub"),
    "get_model_dependencies": lambda place, _: pyfunc.get_model_dependencies(place),
    "get_model_dependencies-conda": lambda place, _: pyfunc.get_model_dependencies(place, "conda"),
    "env.check": lambda place, _: check(place),
    "env.infer_requirements": lambda place, _: infer_requirements(place),
    "env.prepare_environment": lambda place, _: prepare_environment(place, env_manager="local"),
    "write_context": lambda place, keys: write_context(place, keys.parent / "context"),
    "serving.run": lambda place, _: run(place, port=0),
    "add_handler-with-a-path": lambda place, keys: add_handler(
        place, None, path=keys.parent / "copy"
    ),
}
WRITERS: dict[str, Door] = {
    "refresh": lambda place, _: pyfunc.refresh(place),
    "sign": lambda place, keys: pyfunc.sign(place, private_key=keys / "key.pem"),
    "env.lock": lambda place, _: lock(place, resolve=False),
    "env.update_requirements": lambda place, _: update_requirements(place, "add", ["packaging"]),
    "set_signature": lambda place, _: set_signature(place, SIGNATURE),
    "add_handler": lambda place, _: add_handler(place, None),
}
DESCRIPTIONS: dict[str, Door] = {
    "Model.load": lambda place, _: pyfunc.Model.load(place),
    "Model.load_input_example": lambda place, _: pyfunc.Model(
        saved_input_example_info={"type": "json_object", "artifact_path": "example.json"}
    ).load_input_example(place),
}
DOORS = READERS | WRITERS | DESCRIPTIONS
COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect",),
    "verify": ("verify",),
    "dependencies": ("dependencies",),
    "env-check": ("env", "check"),
    "env-lock": ("env", "lock", "--no-resolve"),
    "update-requirements": ("update-requirements", "add", "packaging"),
    "predict": ("predict", "--content-type", "json"),
    "serve": ("serve",),
    "dockerfile": ("dockerfile", "--output-directory", "{folder}/context"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a signed model and its keys, which no test may change."""
    folder = tmp_path_factory.mktemp("original")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (folder / "keys").mkdir()
    (folder / "keys" / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "keys" / "key.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    model = folder / "my model"
    pyfunc.flavors.sklearn.save_model(
        LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]),
        model,
        pip_requirements=["scikit-learn"],
        input_example=[[1.0]],
    )
    (model / "example.json").write_text("[1]")
    pyfunc.refresh(model)
    pyfunc.sign(model, private_key=folder / "keys" / "key.pem")
    return folder


@pytest.fixture
def untouched(original: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder as the working directory, for what is refused."""
    monkeypatch.chdir(original)
    return original


@pytest.fixture
def folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder as the working directory, where servers end at once."""
    folder = tmp_path / "folder"
    shutil.copytree(original, folder)
    monkeypatch.chdir(folder)
    # Else it would serve until a signal comes.
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    return folder


GOOD: dict[str, Callable[[Path], Any]] = {
    "path": lambda folder: folder / "my model",
    "text": lambda folder: str(folder / "my model"),
    "relative": lambda _: "my model",
    "slash": lambda folder: f"{folder}/my model/",
    "uri": lambda folder: (folder / "my model").as_uri(),
    "uri-in-capitals": lambda folder: (folder / "my model").as_uri().replace("file:", "FILE:"),
    "uri-of-localhost": lambda folder: f"file://localhost{folder}/my%20model",
    "uri-of-one-slash": lambda folder: f"file:{folder}/my%20model",
}
BAD: dict[str, tuple[Callable[[Path], Any], type[pyfunc.PyfuncError]]] = {
    "other-host": (lambda folder: f"file://otherhost{folder}/my%20model", InvalidArgumentError),
    "no-address": (lambda _: "file://[x/y", InvalidArgumentError),
    "missing": (lambda folder: folder / "none", ModelNotFoundError),
    "missing-text": (lambda _: "none", ModelNotFoundError),
    "missing-uri": (lambda folder: (folder / "none").as_uri(), ModelNotFoundError),
    "too-long": (lambda _: "x" * 5000, ModelNotFoundError),
    "empty": (lambda _: "", InvalidArgumentError),
    "empty-uri": (lambda _: "file:", InvalidArgumentError),
    "nul": (lambda _: "my model\0", InvalidArgumentError),
    "nul-in-uri": (lambda folder: f"file://{folder}/my%20model%00", InvalidArgumentError),
    "number": (lambda _: 3, InvalidTypeError),
    "none": (lambda _: None, InvalidTypeError),
    "bytes": (lambda _: b"my model", InvalidTypeError),
}


@pytest.mark.parametrize("good", GOOD)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_a_path_and_a_file_uri(folder: Path, door: str, good: str) -> None:
    DOORS[door](GOOD[good](folder), folder / "keys")


# For an example, None means the directory that the MLmodel file came from.
REFUSED = [pair for pair in product(DOORS, BAD) if pair != ("Model.load_input_example", "none")]


@pytest.mark.parametrize(("door", "bad"), REFUSED)
def test_every_door_refuses_what_is_no_place(untouched: Path, door: str, bad: str) -> None:
    make, error = BAD[bad]
    with pytest.raises(error) as caught:
        DOORS[door](make(untouched), untouched / "keys")
    assert type(caught.value) is error


@pytest.mark.parametrize("door", READERS | WRITERS)
def test_a_file_is_not_a_model(untouched: Path, door: str) -> None:
    with pytest.raises(ModelNotFoundError, match="is a file; give the directory"):
        DOORS[door](untouched / "my model" / "MLmodel", untouched / "keys")


@pytest.mark.parametrize("place", ["memory://bucket/model", "runs:/1/model", "models:/name@best"])
@pytest.mark.parametrize("door", WRITERS)
def test_what_changes_a_model_wants_it_to_be_here(untouched: Path, door: str, place: str) -> None:
    with pytest.raises(InvalidArgumentError, match="only a model in a local directory"):
        DOORS[door](place, untouched / "keys")


def run_command(name: str, folder: Path, place: str) -> tuple[int, str]:
    command = [part.format(folder=folder) for part in COMMANDS[name]]
    result = CliRunner().invoke(app, [*command, "--model-uri", place], input='{"inputs": [[1.0]]}')
    return result.exit_code, result.stderr


@pytest.mark.parametrize("good", ["text", "uri", "uri-of-localhost"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_path_and_a_file_uri(folder: Path, name: str, good: str) -> None:
    code, told = run_command(name, folder, GOOD[good](folder))
    assert code == 0, told


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        pytest.param("other-host", "another machine", id="other-host"),
        pytest.param("missing-uri", "there is no model directory", id="missing"),
        pytest.param("empty", "expected a path or a URI", id="empty"),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_what_is_no_place(
    untouched: Path, name: str, bad: str, expected: str
) -> None:
    code, told = run_command(name, untouched, BAD[bad][0](untouched))
    assert code in (Exit.USAGE, Exit.MODEL)
    assert expected in told
