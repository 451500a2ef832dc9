"""Models of every library under every mode of trust; ``--libraries`` says whose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc
import pyfunc.flavors
from pyfunc.errors import InvalidArgumentError, UntrustedModelError

pytestmark = pytest.mark.filterwarnings("ignore")

# What loads where no code of a model may run; all else is refused there.
DATA_ONLY = frozenset(["catboost", "onnx", "prophet", "xgboost"])
DATA_ONLY_CASES = frozenset(["lightgbm-booster", "sklearn-skops", "sklearn-proba"])


def is_data(case: Any) -> bool:
    return case.flavor in DATA_ONLY or case.id in DATA_ONLY_CASES


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of trust are for the whole process."""
    for name in ("PYFUNC_TRUST", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], tuple[Any, Path]]:
    """Save each model once; tests get a copy of it where they change something."""
    found: dict[str, tuple[Any, Path]] = {}

    def save(case: Any) -> tuple[Any, Path]:
        if case.id not in found:
            built = case.build()
            path = tmp_path_factory.mktemp("saved") / "model"
            flavor = pyfunc.flavors.find_flavor(case.flavor)
            flavor.save_model(built.model, path, **case.save_arguments(built))
            found[case.id] = built, path
        return found[case.id]

    return save


def doors(case: Any) -> list[Callable[..., object]]:
    native = pyfunc.flavors.find_flavor(case.flavor).load_model
    return [lambda path, **o: pyfunc.load_model(path, suppress_warnings=True, **o), native]


def test_none_loads_nothing(case: Any, saved: Any) -> None:
    _, path = saved(case)
    assert pyfunc.load_model(path, trust="none").metadata.flavors[case.flavor]
    with pytest.raises(UntrustedModelError, match="none"):
        doors(case)[1](path, trust="none")


def test_a_digest_loads_everything_that_it_is_of(
    case: Any, saved: Any, assert_same: Any, tmp_path: Path
) -> None:
    built, path = saved(case)
    digest = pyfunc.verify(path).digest
    options: dict[str, Any] = {"trust": "digest", "expected_digest": digest}
    loaded = pyfunc.load_model(path, suppress_warnings=True, **options)
    assert_same(loaded.predict(built.data), built.expected)
    assert doors(case)[1](path, **options) is not None
    shutil.copytree(path, tmp_path / "changed")
    (tmp_path / "changed" / "requirements.txt").write_text("evil")
    pyfunc.refresh(tmp_path / "changed")
    for door in doors(case):
        with pytest.raises(UntrustedModelError, match="digest"):
            door(tmp_path / "changed", **options)


@pytest.mark.parametrize("how", ["allowlist", "variable"])
def test_an_allowlist_loads_what_is_data_only(
    case: Any, saved: Any, assert_same: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    built, path = saved(case)
    if how == "variable":
        monkeypatch.setenv("PYFUNC_TRUST", "allowlist")
    options: dict[str, Any] = {"trust": "allowlist" if how == "allowlist" else "full"}
    if is_data(case):
        loaded = pyfunc.load_model(path, suppress_warnings=True, **options)
        assert_same(loaded.predict(built.data), built.expected)
        assert doors(case)[1](path, **options) is not None
        return
    for door in doors(case):
        with pytest.raises(UntrustedModelError):
            door(path, **options)


def test_without_pickles_nothing_that_holds_code_is_loaded(
    case: Any, saved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = saved(case)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    if is_data(case):
        assert pyfunc.load_model(path, suppress_warnings=True) is not None
        return
    for door in doors(case):
        with pytest.raises(UntrustedModelError):
            door(path)


def test_a_signature_needs_a_key(case: Any, saved: Any) -> None:
    _, path = saved(case)
    for door in doors(case):
        with pytest.raises(InvalidArgumentError, match="public_key"):
            door(path, trust="signature")
