"""What MLflow's loaders wrap models of libraries in, as pickles hold it.

Such pickles come from models that hold loaded models: their state is MLflow's, and what it becomes
here predicts as a model that this library has loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyfunc.flavors.onnx_session import OnnxPredictor
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.sklearn import SklearnPredictor
from pyfunc.flavors.torch_predictor import TorchPredictor
from pyfunc.flavors.xgboost import XgboostPredictor

__all__ = [
    "CatboostWrapper",
    "LightgbmWrapper",
    "OnnxWrapper",
    "SklearnWrapper",
    "TorchWrapper",
    "XgboostWrapper",
]

State = Mapping[str, Any]


class CatboostWrapper(NativePredictor):
    """MLflow's wrapper of a CatBoost model."""

    def __setstate__(self, state: State) -> None:
        super().__init__(state["cb_model"])


class LightgbmWrapper(NativePredictor):
    """MLflow's wrapper of a LightGBM model."""

    def __setstate__(self, state: State) -> None:
        super().__init__(state["lgb_model"])


class OnnxWrapper(OnnxPredictor):
    """MLflow's wrapper of an ONNX session."""

    def __setstate__(self, state: State) -> None:
        super().__init__(state["rt"])


class SklearnWrapper(SklearnPredictor):
    """MLflow's wrapper of a scikit-learn model."""

    def __setstate__(self, state: State) -> None:
        super().__init__(state["sklearn_model"])


class TorchWrapper(TorchPredictor):
    """MLflow's wrapper of a PyTorch module."""

    def __setstate__(self, state: State) -> None:
        import torch

        super().__init__(torch, state["pytorch_model"], str(state.get("device") or "cpu"))


class XgboostWrapper(XgboostPredictor):
    """MLflow's wrapper of an XGBoost model."""

    def __setstate__(self, state: State) -> None:
        super().__init__(state["xgb_model"])
