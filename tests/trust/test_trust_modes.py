"""Hostile models through ``load_model`` in every mode of trust (reliability 4.5)."""

from __future__ import annotations

import pickle
import platform
from pathlib import Path
from typing import Any, Literal

import pytest
from hostile_corpus import HOSTILE, Hostile, evil

import pyfunc
from pyfunc.directory.verification import build_manifest, refresh_manifest
from pyfunc.errors import PyfuncError, UntrustedModelError
from pyfunc.pickles.allowlist import BASE_GLOBALS

corpus = pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
WRONG_DIGEST = "0" * 64
GENEROUS = [f"{module}.{name}" for module, name in BASE_GLOBALS] + [
    "builtins.str", "builtins.list", "builtins.tuple", "builtins.dict", "pathlib.Path",
    "collections.deque", "decimal.Decimal",
]  # fmt: skip

MLMODEL = """\
flavors:
  python_function:
    env: conda.yaml
    loader_module: {loader}
    python_version: {python}
{more}
utc_time_created: '2026-01-01 00:00:00.000000'
"""


def write_model(root: Path, *, loader: str = "mlflow.pyfunc.model", more: str) -> Path:
    root.mkdir()
    python = platform.python_version()
    (root / "MLmodel").write_text(MLMODEL.format(loader=loader, python=python, more=more))
    (root / "conda.yaml").write_text("name: x\n")
    (root / "requirements.txt").write_text("")
    return root


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def write_pickled_model(tmp_path: Path, data: bytes) -> Path:
    root = write_model(tmp_path / "model", more="    python_model: python_model.pkl")
    (root / "python_model.pkl").write_bytes(data)
    refresh_manifest(root)
    return root


def load_and_predict(root: Path, **options: Any) -> None:
    model = pyfunc.load_model(root, suppress_warnings=True, **options)
    model.predict([1])


@corpus
@pytest.mark.parametrize("mode", ["allowlist", "digest", "none", "signature"])
def test_no_payload_runs(
    tmp_path: Path,
    marker: Path,
    hostile: Hostile,
    mode: Literal["allowlist", "digest", "none", "signature"],
) -> None:
    root = write_pickled_model(tmp_path, hostile.build(str(marker)))
    (tmp_path / "key.pem").write_text("no key")
    needs: dict[str, dict[str, Any]] = {
        "allowlist": {
            "allowed_globals": GENEROUS,
            "dangerously_allowed_globals": ["time.time"],
        },
        "digest": {"expected_digest": WRONG_DIGEST},
        "none": {},
        "signature": {"public_key": tmp_path / "key.pem"},
    }
    with pytest.raises(PyfuncError):
        load_and_predict(root, trust=mode, **needs[mode])
    assert not marker.exists()


@pytest.mark.parametrize("mode", ["allowlist", "none"])
def test_the_environment_can_lower_the_trust(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    root = write_pickled_model(tmp_path, evil(str(marker)))
    monkeypatch.setenv("PYFUNC_TRUST", mode)
    with pytest.raises(PyfuncError):
        load_and_predict(root)
    assert not marker.exists()


def test_the_environment_cannot_raise_the_trust(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pickled_model(tmp_path, evil(str(marker)))
    monkeypatch.setenv("PYFUNC_TRUST", "full")
    with pytest.raises(PyfuncError):
        load_and_predict(root, trust="allowlist")
    assert not marker.exists()


def test_the_switch_of_mlflow_refuses_pickles(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pickled_model(tmp_path, evil(str(marker)))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(UntrustedModelError):
        load_and_predict(root)
    assert not marker.exists()


def write_code_model(tmp_path: Path, marker: Path, kind: str) -> Path:
    source = f"open({str(marker)!r}, 'w').close()\n"
    if kind == "loader-module":
        more = "    code: code\n    data: data"
        root = write_model(tmp_path / "model", loader="planted_loader", more=more)
        (root / "code").mkdir()
        (root / "code/planted_loader.py").write_text(source)
        (root / "data").mkdir()
    else:
        root = write_model(tmp_path / "model", more="    model_code_path: planted_script.py")
        (root / "planted_script.py").write_text(source)
    refresh_manifest(root)
    return root


@pytest.mark.parametrize("kind", ["loader-module", "script"])
@pytest.mark.parametrize("mode", ["allowlist", "digest", "none", "switch"])
def test_no_code_beside_the_pickle_runs(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    root = write_code_model(tmp_path, marker, kind)
    options: dict[str, Any] = {"trust": mode}
    if mode == "switch":
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        options = {}
    elif mode == "digest":
        options["expected_digest"] = WRONG_DIGEST
    with pytest.raises(PyfuncError):
        load_and_predict(root, **options)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["loader-module", "script"])
def test_the_planted_code_is_real(tmp_path: Path, marker: Path, kind: str) -> None:
    """With full trust it runs; without this the tests above would prove nothing."""
    root = write_code_model(tmp_path, marker, kind)
    with pytest.raises(PyfuncError):
        load_and_predict(root)
    assert marker.exists()


def test_the_right_digest_lets_the_pickle_run(tmp_path: Path, marker: Path) -> None:
    root = write_pickled_model(tmp_path, evil(str(marker)))
    digest = build_manifest(root).digest
    with pytest.raises(PyfuncError):
        load_and_predict(root, trust="digest", expected_digest=digest)
    assert marker.exists()


def test_m9_a_payload_with_a_new_manifest_is_refused_by_the_pinned_digest(
    tmp_path: Path, marker: Path
) -> None:

    root = write_pickled_model(tmp_path, pickle.dumps(1))
    pinned = build_manifest(root).digest
    (root / "python_model.pkl").write_bytes(evil(str(marker)))
    refresh_manifest(root)
    with pytest.raises(UntrustedModelError):
        load_and_predict(root, trust="digest", expected_digest=pinned)
    assert not marker.exists()


@corpus
def test_inspecting_runs_nothing(tmp_path: Path, marker: Path, hostile: Hostile) -> None:
    root = write_pickled_model(tmp_path, hostile.build(str(marker)))
    pyfunc.inspect(root)
    assert not marker.exists()
