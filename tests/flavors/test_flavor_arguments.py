"""What every flavor's save_model and load_model take, tried with scikit-learn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import pyfunc
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.flavors import sklearn
from pyfunc.schema import infer_signature

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
Y = np.array([0, 0, 1, 1])


@pytest.fixture(name="model", scope="module")
def fit_a_model() -> Any:
    return LogisticRegression().fit(X, Y)


def meta(path: Path) -> pyfunc.Model:
    return pyfunc.Model.load(path)


def test_the_signature_is_found_by_predicting(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(model, tmp_path / "m", input_example=X.head(2))
    signature = meta(tmp_path / "m").signature
    assert signature is not None
    assert signature.inputs is not None
    assert signature.inputs.input_names() == ["a", "b"]
    assert signature.to_dict()["outputs"] == '[{"type": "long", "required": true}]'
    pd.testing.assert_frame_equal(pyfunc.load_model(tmp_path / "m").input_example, X.head(2))


def test_false_saves_no_signature(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(model, tmp_path / "m", input_example=X.head(2), signature=False)
    assert meta(tmp_path / "m").signature is None


def test_a_given_signature_is_kept(model: Any, tmp_path: Path) -> None:
    signature = infer_signature(X, pd.DataFrame({"y": Y.astype(float)}))
    sklearn.save_model(model, tmp_path / "m", signature=signature)
    assert meta(tmp_path / "m").signature == signature


def test_the_method_that_predicts_decides_about_the_signature(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(
        model, tmp_path / "m", input_example=X.head(2), pyfunc_predict_fn="predict_proba"
    )
    found = pyfunc.load_model(tmp_path / "m")
    np.testing.assert_allclose(found.predict(X), model.predict_proba(X))
    outputs = meta(tmp_path / "m").get_output_schema()
    assert outputs is not None
    assert outputs.is_tensor_spec()


def test_code_travels_with_the_model(model: Any, tmp_path: Path) -> None:
    code = tmp_path / "helper_of_flavor.py"
    code.write_text("VALUE = 1\n")
    sklearn.save_model(model, tmp_path / "m", code_paths=[str(code)])
    flavors = meta(tmp_path / "m").flavors
    assert flavors["sklearn"]["code"] == "code"
    assert flavors["python_function"]["code"] == "code"
    assert (tmp_path / "m" / "code" / "helper_of_flavor.py").exists()


def test_extra_files_travel_with_the_model(model: Any, tmp_path: Path) -> None:
    extra = tmp_path / "notes.txt"
    extra.write_text("n")
    sklearn.save_model(model, tmp_path / "m", extra_files=[str(extra)])
    assert meta(tmp_path / "m").flavors["sklearn"]["extra_files"] == [
        {"path": "extra_files/notes.txt"}
    ]
    assert (tmp_path / "m" / "extra_files" / "notes.txt").read_text() == "n"


def test_metadata_and_requirements_are_saved(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(
        model, tmp_path / "m", metadata={"team": "a"}, extra_pip_requirements=["tqdm==4.0"]
    )
    assert meta(tmp_path / "m").metadata == {"team": "a"}
    lines = (tmp_path / "m" / "requirements.txt").read_text().splitlines()
    assert "tqdm==4.0" in lines
    assert any(line.startswith("scikit-learn==") for line in lines)
    assert any(line.startswith("skops==") for line in lines)


def test_mlflow_can_be_the_loader(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(model, tmp_path / "m", loader="mlflow", pip_requirements=["numpy"])
    text = (tmp_path / "m" / "requirements.txt").read_text()
    assert text.startswith("mlflow")


def test_an_existing_model_is_kept_unless_told(model: Any, tmp_path: Path) -> None:
    sklearn.save_model(model, tmp_path / "m")
    before = meta(tmp_path / "m").model_uuid
    with pytest.raises(pyfunc.SaveConflictError):
        sklearn.save_model(model, tmp_path / "m")
    assert meta(tmp_path / "m").model_uuid == before
    sklearn.save_model(model, tmp_path / "m", overwrite=True)
    assert meta(tmp_path / "m").model_uuid != before


def test_a_model_without_the_method_is_saved_for_its_flavor_only(tmp_path: Path) -> None:
    sklearn.save_model(StandardScaler().fit(X), tmp_path / "m")
    assert list(meta(tmp_path / "m").flavors) == ["sklearn"]
    assert isinstance(sklearn.load_model(tmp_path / "m"), StandardScaler)
    with pytest.raises(pyfunc.PyfuncError, match="python_function"):
        pyfunc.load_model(tmp_path / "m")


def own_step(frame: Any) -> Any:
    return frame


def test_skops_refuses_what_is_not_trusted(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(own_step), LogisticRegression()).fit(X, Y)
    with pytest.raises(pyfunc.InvalidArgumentError, match="own_step") as caught:
        sklearn.save_model(model, tmp_path / "m")
    assert "skops_trusted_types" in str(caught.value)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        pytest.param(
            {"serialization_format": "joblib"}, "InvalidArgumentError", "skops", id="format"
        ),
        pytest.param({"artifacts": {}}, "InvalidTypeError", "artifacts", id="unknown"),
        pytest.param({"extra_files": "a.txt"}, "InvalidTypeError", "list of paths", id="extra"),
        pytest.param({"extra_files": ["no.txt"]}, "PyfuncError", "no.txt", id="missing-extra"),
        pytest.param({"signature": 1}, "InvalidTypeError", "signature", id="signature"),
        pytest.param(
            {"pip_requirements": [], "conda_env": {}}, "InvalidArgumentError", "one of", id="env"
        ),
    ],
)
def test_arguments_that_cannot_work_leave_nothing(
    model: Any, tmp_path: Path, arguments: dict[str, Any], error: str, text: str
) -> None:
    description = pyfunc.Model(flavors={"sklearn": {"data": "before"}}, metadata=1)
    before = description.to_json()
    with pytest.raises(getattr(pyfunc, error), match=text):
        sklearn.save_model(
            model, tmp_path / "m", mlflow_model=description, metadata=2, **arguments
        )
    assert not (tmp_path / "m").exists()
    assert description.to_json() == before


def test_the_library_s_object_is_loaded_under_the_same_rules(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sklearn.save_model(model, tmp_path / "m", serialization_format="pickle")
    digest = pyfunc.inspect(tmp_path / "m").digest
    assert sklearn.load_model(tmp_path / "m", trust="digest", expected_digest=digest) is not None
    with pytest.raises(pyfunc.UntrustedModelError):
        sklearn.load_model(tmp_path / "m", trust="digest", expected_digest="0" * 64)
    with pytest.raises(pyfunc.UntrustedModelError):
        sklearn.load_model(tmp_path / "m", trust="allowlist")
    with pytest.raises(pyfunc.InvalidTypeError, match="unheard"):
        sklearn.load_model(tmp_path / "m", unheard=1)  # type: ignore[call-arg]
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(pyfunc.UntrustedModelError, match="MLFLOW_ALLOW_PICKLE"):
        pyfunc.load_model(tmp_path / "m")


def test_a_skops_model_needs_no_trust(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sklearn.save_model(model, tmp_path / "m")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    found = pyfunc.load_model(tmp_path / "m", trust="allowlist")
    np.testing.assert_array_equal(found.predict(X), model.predict(X))


def test_a_model_s_own_trusted_types_count_for_nothing_under_an_allowlist(tmp_path: Path) -> None:
    name = f"{own_step.__module__}.own_step"
    model = make_pipeline(FunctionTransformer(own_step), LogisticRegression()).fit(X, Y)
    sklearn.save_model(model, tmp_path / "m", skops_trusted_types=[name])
    np.testing.assert_array_equal(pyfunc.load_model(tmp_path / "m").predict(X), model.predict(X))
    with pytest.raises(pyfunc.UntrustedModelError, match="own_step"):
        pyfunc.load_model(tmp_path / "m", trust="allowlist")
    with pytest.raises(pyfunc.InvalidArgumentError, match="own_step is not known to hold data"):
        pyfunc.load_model(tmp_path / "m", trust="allowlist", allowed_globals=[name])
    found = pyfunc.load_model(
        tmp_path / "m", trust="allowlist", dangerously_allowed_globals=[name]
    )
    np.testing.assert_array_equal(found.predict(X), model.predict(X))


@pytest.fixture(name="old")
def write_an_old_model(model: Any, tmp_path: Path) -> Path:
    """A directory as MLflow 1.9 left it: the file under ``data``, the environment a string."""
    sklearn.save_model(model, tmp_path / "old", serialization_format="pickle")
    shutil.rmtree(tmp_path / "old" / ".pyfunc")
    rewrite(
        tmp_path / "old",
        {
            "flavors": {
                "python_function": {
                    "data": "model.pkl",
                    "env": "conda.yaml",
                    "loader_module": "mlflow.sklearn",
                },
                "sklearn": {"pickled_model": "model.pkl", "sklearn_version": "0.23"},
            },
            "utc_time_created": "2020-01-01 00:00:00.000000",
        },
    )
    return tmp_path / "old"


def rewrite(path: Path, content: dict[str, Any]) -> None:
    (path / "MLmodel").write_text(dump_yaml(content), encoding="utf-8")


def test_an_old_model_loads(model: Any, old: Path) -> None:
    found = pyfunc.load_model(old, suppress_warnings=True)
    np.testing.assert_array_equal(found.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("section", "error", "text"),
    [
        pytest.param({"pickled_model": "gone.pkl"}, "ModelIncompleteError", "gone", id="gone"),
        pytest.param({"pickled_model": "../x.pkl"}, "ModelFormatError", "pickled_model", id="out"),
        pytest.param({"pickled_model": 3}, "ModelFormatError", "pickled_model", id="no-path"),
        pytest.param(
            {"pickled_model": "model.pkl", "serialization_format": "joblib"},
            "ModelFormatError",
            "serialization_format",
            id="format",
        ),
        pytest.param(
            {"pickled_model": "MLmodel", "serialization_format": "pickle"},
            "ModelIncompleteError",
            "pickle",
            id="no-pickle",
        ),
        pytest.param(
            {"pickled_model": "MLmodel", "serialization_format": "skops"},
            "ModelIncompleteError",
            "cannot read",
            id="no-skops",
        ),
        pytest.param(
            {
                "pickled_model": "MLmodel",
                "serialization_format": "skops",
                "skops_trusted_types": "all",
            },
            "ModelFormatError",
            "skops_trusted_types",
            id="no-list",
        ),
    ],
)
def test_a_malformed_section_is_an_error_that_names_it(
    old: Path, section: dict[str, Any], error: str, text: str
) -> None:
    content = json.loads(meta(old).to_json())
    content["flavors"]["sklearn"] = section
    rewrite(old, content)
    with pytest.raises(getattr(pyfunc, error), match=text):
        pyfunc.load_model(old, suppress_warnings=True)


def test_a_flavor_that_the_model_does_not_have(model: Any, tmp_path: Path) -> None:
    from pyfunc.flavors import xgboost

    sklearn.save_model(model, tmp_path / "m")
    with pytest.raises(pyfunc.FlavorNotFoundError, match="sklearn"):
        xgboost.load_model(tmp_path / "m")


def test_mlflow_s_way_to_load_works_from_the_directory_and_from_the_file(
    model: Any, tmp_path: Path
) -> None:
    sklearn.save_model(model, tmp_path / "m")
    for path in (tmp_path / "m", tmp_path / "m" / "model.skops"):
        found = sklearn._load_pyfunc(str(path))
        np.testing.assert_array_equal(found.predict(X), model.predict(X))
    with pytest.raises(pyfunc.ModelNotFoundError):
        sklearn._load_pyfunc(str(tmp_path))


def test_default_requirements_name_what_is_installed() -> None:
    assert [line.partition("==")[0] for line in sklearn.get_default_pip_requirements(True)] == [
        "scikit-learn",
        "cloudpickle",
    ]
    conda = sklearn.get_default_conda_env()
    assert conda["name"] == "mlflow-env"
    assert any("scikit-learn" in line for line in conda["dependencies"][-1]["pip"])
