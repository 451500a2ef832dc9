"""Every cell of the table of trust modes (reliability 4.5), through ``load_model``."""

from __future__ import annotations

import importlib
import pickle
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from plain_model import Constant

import pyfunc
import pyfunc.flavors.sklearn as sklearn_flavor
from pyfunc.errors import InvalidArgumentError, ModelIntegrityError, UntrustedModelError

Mode = Literal["full", "digest", "signature", "allowlist", "none"]
Kind = str

MLMODEL = """\
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_model: python_model.pkl
    python_version: {python}
utc_time_created: '2026-01-01 00:00:00.000000'
"""
PLAIN_CLASSES = {
    "plain-pickle": "plain_model.Constant",
    "sklearn-pickle": "sklearn.dummy.DummyRegressor",
}
PLAIN_GLOBALS = list(PLAIN_CLASSES.values())


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYFUNC_TRUST", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


def write_plain(root: Path) -> None:
    root.mkdir()
    (root / "MLmodel").write_text(MLMODEL.format(python=platform.python_version()))
    (root / "python_model.pkl").write_bytes(pickle.dumps(Constant(7.0)))


def write_sklearn(root: Path) -> None:
    from sklearn.dummy import DummyRegressor

    model = DummyRegressor(strategy="constant", constant=7.0).fit([[0.0]], [7.0])
    sklearn_flavor.save_model(
        model, root, serialization_format="pickle", pip_requirements=["scikit-learn"]
    )


def write_by_value(root: Path) -> None:
    def predict(model_input: list[float]) -> list[float]:
        return [7.0] * len(model_input)

    pyfunc.save_model(root, python_model=predict, pip_requirements=[])


def write_loader_module(root: Path) -> None:
    source = root.parent / "planted_loader.py"
    source.write_text(
        "class Model:\n    def predict(self, data):\n        return [7.0]\n\n"
        "def _load_pyfunc(path):\n    return Model()\n"
    )
    pyfunc.save_model(
        root, loader_module="planted_loader", code_paths=[str(source)], pip_requirements=[]
    )


def write_script(root: Path) -> None:
    source = root.parent / "script.py"
    source.write_text("import pyfunc\npyfunc.set_model(lambda model_input: [7.0])\n")
    pyfunc.save_model(root, python_model=str(source), pip_requirements=[])


def write_plain_with_code(root: Path) -> None:
    write_plain(root)
    text = (root / "MLmodel").read_text()
    line = "    python_model: python_model.pkl\n"
    (root / "MLmodel").write_text(text.replace(line, line + "    code: code\n"))
    (root / "code").mkdir()
    (root / "code" / "helper.py").write_text("VALUE = 1\n")


KINDS: dict[Kind, Callable[[Path], None]] = {
    "plain-pickle": write_plain,
    "sklearn-pickle": write_sklearn,
    "by-value-pickle": write_by_value,
    "loader-module": write_loader_module,
    "model-code": write_script,
    "code-paths": write_plain_with_code,
}
NAMES_ONLY = {"plain-pickle", "sklearn-pickle"}


class Place:
    """One model of each kind with a manifest and a signature, and the keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM
        (folder / "key.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        public = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / "key.pub").write_bytes(key.public_key().public_bytes(pem, public))
        self.digests: dict[Kind, str] = {}
        for kind, write in KINDS.items():
            (folder / kind).mkdir()
            write(self.model(kind))
            self.digests[kind] = pyfunc.refresh(self.model(kind)).digest
            pyfunc.sign(self.model(kind), private_key=folder / "key.pem")

    def model(self, kind: Kind) -> Path:
        return self.folder / kind / "model"

    def options(self, mode: Mode, kind: Kind) -> dict[str, Any]:
        needs: dict[str, dict[str, Any]] = {
            "digest": {"expected_digest": self.digests[kind]},
            "signature": {"public_key": self.folder / "key.pub"},
            "allowlist": {"allowed_globals": PLAIN_GLOBALS},
        }
        return {"trust": mode, **needs.get(mode, {})}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("cells"))


def predicts(root: Path, **options: Any) -> bool:
    return list(pyfunc.load_model(root, **options).predict([1.0])) == [7.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["full", "digest", "signature"])
def test_4_5_a_trusted_model_loads(place: Place, mode: Mode, kind: Kind) -> None:
    data = [[1.0]] if kind == "sklearn-pickle" else [1.0]
    model = pyfunc.load_model(place.model(kind), **place.options(mode, kind))
    assert list(model.predict(data)) == [7.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["digest", "key"])
def test_4_5_a_wrong_digest_or_key_refuses(
    place: Place, kind: Kind, wrong: str, tmp_path: Path
) -> None:
    if wrong == "digest":
        options = {**place.options("digest", kind), "expected_digest": "0" * 64}
    else:
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        (tmp_path / "other.pub").write_bytes(
            other.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        options = {**place.options("signature", kind), "public_key": tmp_path / "other.pub"}
    with pytest.raises(UntrustedModelError):
        pyfunc.load_model(place.model(kind), **options)


@pytest.mark.parametrize("kind", sorted(NAMES_ONLY))
def test_4_5_allowlist_loads_names_that_are_listed(place: Place, kind: Kind) -> None:
    options = place.options("allowlist", kind)
    data = [[1.0]] if kind == "sklearn-pickle" else [1.0]
    assert list(pyfunc.load_model(place.model(kind), **options).predict(data)) == [7.0]
    options["allowed_globals"] = [name for name in PLAIN_GLOBALS if name != PLAIN_CLASSES[kind]]
    with pytest.raises(UntrustedModelError, match=PLAIN_CLASSES[kind]):
        pyfunc.load_model(place.model(kind), **options)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NAMES_ONLY))
def test_4_5_allowlist_refuses_code(place: Place, kind: Kind) -> None:
    with pytest.raises(UntrustedModelError, match="code"):
        pyfunc.load_model(place.model(kind), **place.options("allowlist", kind))


@pytest.mark.parametrize("kind", KINDS)
def test_4_5_none_describes_and_does_not_predict(place: Place, kind: Kind) -> None:
    model = pyfunc.load_model(place.model(kind), **place.options("none", kind))
    assert model.metadata.flavors["python_function"]["loader_module"]
    with pytest.raises(UntrustedModelError, match="none"):
        model.predict([1.0])


@pytest.fixture(params=KINDS)
def unlisted(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> tuple[Kind, Path]:
    """Return a model of each kind as MLflow writes it: without our folder."""
    shutil.copytree(place.model(request.param), tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / ".pyfunc")
    return request.param, tmp_path / "model"


def test_4_5_no_manifest(place: Place, unlisted: tuple[Kind, Path]) -> None:
    kind, root = unlisted
    for mode in ("digest", "signature"):
        with pytest.raises(UntrustedModelError):
            pyfunc.load_model(root, **place.options(mode, kind))
    pyfunc.load_model(root, **place.options("full", kind))
    pyfunc.load_model(root, **place.options("none", kind))
    if kind in NAMES_ONLY:
        pyfunc.load_model(root, **place.options("allowlist", kind))
    else:
        with pytest.raises(UntrustedModelError, match="code"):
            pyfunc.load_model(root, **place.options("allowlist", kind))


# --- the environment


ORDER: list[Mode] = ["none", "allowlist", "digest", "signature", "full"]


@pytest.mark.parametrize("ceiling", ORDER)
@pytest.mark.parametrize("asked", ORDER)
def test_the_variable_lowers_and_never_raises(
    place: Place, monkeypatch: pytest.MonkeyPatch, asked: Mode, ceiling: Mode
) -> None:
    """A model of code loads only where both, what is asked and the ceiling, let code run."""
    monkeypatch.setenv("PYFUNC_TRUST", ceiling)
    kind = "by-value-pickle"
    options = {
        **place.options("digest", kind), **place.options("signature", kind),
        "allowed_globals": PLAIN_GLOBALS, "trust": asked,
    }  # fmt: skip
    if {asked, ceiling} & {"none"}:
        with pytest.raises(UntrustedModelError, match="none"):
            predicts(place.model(kind), **options)
    elif {asked, ceiling} & {"allowlist"}:
        with pytest.raises(UntrustedModelError, match="code"):
            predicts(place.model(kind), **options)
    else:
        assert predicts(place.model(kind), **options)


@pytest.mark.parametrize("ceiling", ["full", "allowlist", "none"])
def test_a_lowered_mode_still_holds_the_digest(
    place: Place, monkeypatch: pytest.MonkeyPatch, ceiling: Mode
) -> None:
    monkeypatch.setenv("PYFUNC_TRUST", ceiling)
    options = {**place.options("digest", "plain-pickle"), "expected_digest": "0" * 64}
    with pytest.raises(UntrustedModelError, match="expected the manifest digest"):
        pyfunc.load_model(place.model("plain-pickle"), **options)


def test_a_ceiling_that_needs_what_was_not_given_refuses(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ceiling, needed in (("digest", "expected_digest"), ("signature", "public_key")):
        monkeypatch.setenv("PYFUNC_TRUST", ceiling)
        with pytest.raises(InvalidArgumentError, match=f"needs {needed}"):
            pyfunc.load_model(place.model("plain-pickle"))
    monkeypatch.setenv("PYFUNC_TRUST", "everything")
    with pytest.raises(InvalidArgumentError, match="PYFUNC_TRUST"):
        pyfunc.load_model(place.model("plain-pickle"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["full", "digest", "signature", "allowlist"])
def test_the_switch_of_mlflow_closes_everything_that_runs_code(
    place: Place, monkeypatch: pytest.MonkeyPatch, mode: Mode, kind: Kind
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")  # which opens it in MLflow
    with pytest.raises(UntrustedModelError, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        pyfunc.load_model(place.model(kind), **place.options(mode, kind))


# --- the flavors' own way in


@pytest.mark.parametrize("mode", ORDER)
def test_a_flavor_s_own_load_obeys(place: Place, mode: Mode) -> None:
    root, options = place.model("sklearn-pickle"), place.options(mode, "sklearn-pickle")
    if mode == "none":
        with pytest.raises(UntrustedModelError, match="none"):
            sklearn_flavor.load_model(root, **options)
    else:
        assert sklearn_flavor.load_model(root, **options).predict([[1.0]]) == [7.0]
    wrong = {**options, "expected_digest": "0" * 64}
    with pytest.raises(UntrustedModelError):
        sklearn_flavor.load_model(root, **wrong)


def test_a_skops_file_is_held_to_the_caller_s_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of trusted types that a model brings itself counts where its code may run."""
    from sklearn.preprocessing import FunctionTransformer

    name = "shutil.get_terminal_size"
    model = FunctionTransformer(shutil.get_terminal_size)
    sklearn_flavor.save_model(
        model, tmp_path / "m", skops_trusted_types=[name], pyfunc_predict_fn="transform",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    load: Callable[..., Any] = sklearn_flavor.load_model
    assert load(tmp_path / "m").func is shutil.get_terminal_size
    assert load(tmp_path / "m", trust="allowlist", dangerously_allowed_globals=[name]).func
    with pytest.raises(UntrustedModelError, match="get_terminal_size"):
        load(tmp_path / "m", trust="allowlist")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(UntrustedModelError, match="get_terminal_size"):
        load(tmp_path / "m")


# --- a child process


def isolated(root: Path, **options: Any) -> Any:
    return pyfunc.load_model(root, env="isolated", env_manager="local", **options)


@pytest.mark.parametrize("mode", ["full", "digest", "signature"])
def test_a_child_process_loads_what_is_trusted(place: Place, mode: Mode) -> None:
    kind = "by-value-pickle"
    model = isolated(place.model(kind), **place.options(mode, kind))
    try:
        assert model.predict([1.0]) == [7.0]
    finally:
        model.close()


def test_a_child_process_obeys_the_mode(place: Place) -> None:
    for kind in ("by-value-pickle", "loader-module", "model-code"):
        with pytest.raises(UntrustedModelError, match="code"):
            isolated(place.model(kind), **place.options("allowlist", kind))
    wrong = {**place.options("digest", "model-code"), "expected_digest": "0" * 64}
    with pytest.raises(UntrustedModelError, match="digest"):
        isolated(place.model("model-code"), **wrong)


def test_a_child_process_loads_the_very_files_that_were_checked(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated_module: Any = importlib.import_module("pyfunc.loading.isolated")
    root = tmp_path / "model"
    shutil.copytree(place.model("model-code"), root)
    prepare = isolated_module.prepare_environment

    def change_before(*arguments: Any, **options: Any) -> Any:
        (root / "script.py").write_text("raise SystemExit('this must not run')\n")
        pyfunc.refresh(root)
        return prepare(*arguments, **options)

    monkeypatch.setattr(isolated_module, "prepare_environment", change_before)
    for mode in ("full", "signature"):
        shutil.rmtree(root)
        shutil.copytree(place.model("model-code"), root)
        options = place.options(mode, "model-code")
        with pytest.raises(UntrustedModelError, match="digest"):
            isolated(root, **options)


def test_nothing_is_installed_where_no_code_may_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated_module: Any = importlib.import_module("pyfunc.loading.isolated")
    monkeypatch.setattr(
        isolated_module, "prepare_environment", lambda *_, **__: pytest.fail("installed")
    )
    root = place.model("plain-pickle")
    either: list[dict[str, Any]] = [{"trust": "allowlist"}, {}]
    for options in either:
        if not options:
            monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        with pytest.raises(UntrustedModelError, match="its environment"):
            pyfunc.load_model(root, env="isolated", env_manager="uv", **options)


def test_nothing_is_installed_from_files_that_were_changed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated_module: Any = importlib.import_module("pyfunc.loading.isolated")
    shutil.copytree(place.model("by-value-pickle"), tmp_path / "model")
    size = (tmp_path / "model" / "requirements.txt").stat().st_size
    (tmp_path / "model" / "requirements.txt").write_bytes(b"#" * size)
    conda = tmp_path / "model" / "conda.yaml"
    conda.write_bytes(conda.read_bytes().replace(b"name", b"game"))
    monkeypatch.setattr(
        isolated_module, "prepare_environment", lambda *_, **__: pytest.fail("installed")
    )
    with pytest.raises(ModelIntegrityError):
        pyfunc.load_model(tmp_path / "model", env="isolated", env_manager="uv")
