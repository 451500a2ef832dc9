"""What goes into a PyTorch module and comes out, and what saving leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.flavors import pytorch

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
ARRAY = np.ones((2, 4), dtype=np.float32)


@pytest.fixture(name="net")
def make_a_net() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Dropout(0.5))


@pytest.fixture(name="path")
def save_a_net(net: Any, tmp_path: Path) -> Path:
    pytorch.save_model(net, tmp_path / "m", serialization_format="pickle")
    return tmp_path / "m"


def test_a_frame_keeps_its_index(path: Path) -> None:
    frame = pd.DataFrame(ARRAY, index=["x", "y"])
    assert list(pyfunc.load_model(path).predict(frame).index) == ["x", "y"]


def test_predicting_is_repeatable_and_writes_nothing(path: Path) -> None:
    array = ARRAY.copy()
    array.flags.writeable = False
    model = pyfunc.load_model(path)
    np.testing.assert_array_equal(model.predict(array), model.predict(array))


@pytest.mark.parametrize("data", [[1.0], {"a": 1}], ids=["list", "dict"])
def test_lists_and_dicts_are_refused(path: Path, data: Any) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match="DataFrame or an array"):
        pyfunc.load_model(path).predict(data)


def test_the_device_is_chosen_at_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pytorch._load_pyfunc(str(path))
    with pytest.raises(pyfunc.InvalidArgumentError, match="model_config"):
        model.predict(ARRAY, {"device": "cpu"})
    assert pyfunc.load_model(path, model_config={"device": "meta"}).get_raw_model() is not None
    monkeypatch.setenv("MLFLOW_DEFAULT_PREDICTION_DEVICE", "meta")
    weights = next(pyfunc.load_model(path).get_raw_model().parameters())
    assert str(weights.device) == "meta"


def test_saving_leaves_the_module_as_it_was(net: Any, tmp_path: Path) -> None:
    assert net.training
    pytorch.save_model(net, tmp_path / "m", input_example=ARRAY)
    assert net.training
    assert all(layer.training for layer in net)


def test_an_exported_program_takes_any_number_of_rows(net: Any, tmp_path: Path) -> None:
    pytorch.save_model(net, tmp_path / "m", input_example=ARRAY)
    model = pyfunc.load_model(tmp_path / "m")
    assert model.predict(np.ones((5, 4), dtype=np.float32)).shape == (5, 2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param({}, "input_example", id="no-example"),
        pytest.param({"input_example": ["text"]}, "array or a frame", id="no-array"),
        pytest.param({"serialization_format": "onnx"}, "pt2", id="format"),
        pytest.param(
            {"serialization_format": "pickle", "export_model": True}, "export_model", id="both"
        ),
    ],
)
def test_what_cannot_be_exported(
    net: Any, tmp_path: Path, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match=text):
        pytorch.save_model(net, tmp_path / "m", **arguments)
    assert not (tmp_path / "m").exists()


def test_no_module_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match=r"torch\.nn\.Module"):
        pytorch.save_model("net", tmp_path / "m")


@pytest.mark.parametrize("written", ["pickle", "pt2"])
def test_a_module_needs_trust_in_its_code(net: Any, tmp_path: Path, written: Any) -> None:
    pytorch.save_model(net, tmp_path / "m", serialization_format=written, input_example=ARRAY)
    with pytest.raises(pyfunc.UntrustedModelError):
        pyfunc.load_model(tmp_path / "m", trust="allowlist")


def test_a_class_of_a_script_travels_by_value(tmp_path: Path) -> None:
    script = f"""
import numpy, torch
from pyfunc.flavors import pytorch
class Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x
pytorch.save_model(Twice(), {str(tmp_path / "m")!r}, serialization_format="pickle")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    np.testing.assert_array_equal(pyfunc.load_model(tmp_path / "m").predict(ARRAY), 2 * ARRAY)
