"""What MLflow's loaders wrap models of libraries in, as pickles hold it.

Such pickles come from models that hold loaded models. Those that MLflow wrote have the state of
its wrappers, those that were written here call them with what they are made of. What either
becomes predicts as a model that this library has loaded, and can be pickled again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pyfunc.flavors.catboost import CatboostPredictor
from pyfunc.flavors.lightgbm import LightgbmPredictor
from pyfunc.flavors.onnx_session import OnnxPredictor
from pyfunc.flavors.sklearn import SklearnPredictor
from pyfunc.flavors.statsmodels import StatsmodelsPredictor
from pyfunc.flavors.torch_predictor import TorchPredictor
from pyfunc.flavors.xgboost import XgboostPredictor

__all__ = [
    "CatboostWrapper",
    "LightgbmWrapper",
    "OnnxWrapper",
    "SklearnWrapper",
    "StatsmodelsWrapper",
    "TorchWrapper",
    "XgboostWrapper",
]


class _Wrapper:
    """Takes the state of MLflow's class, and is made of the same parts.

    Attributes:
        parts: what MLflow calls them, in the order of its constructor.
    """

    parts: ClassVar[tuple[str, ...]]

    def wrapped(self) -> tuple[object, ...]:
        """Return them; the predictor that a wrapper derives from does."""
        raise NotImplementedError

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(vars(type(self)(*(state.get(part) for part in self.parts))))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.wrapped()


class CatboostWrapper(CatboostPredictor, _Wrapper):
    """MLflow's wrapper of a CatBoost model."""

    parts = ("cb_model",)


class LightgbmWrapper(LightgbmPredictor, _Wrapper):
    """MLflow's wrapper of a LightGBM model."""

    parts = ("lgb_model",)


class OnnxWrapper(OnnxPredictor):
    """MLflow's wrapper of an ONNX session."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state["rt"])


class SklearnWrapper(SklearnPredictor, _Wrapper):
    """MLflow's wrapper of a scikit-learn model."""

    parts = ("sklearn_model",)


class StatsmodelsWrapper(StatsmodelsPredictor, _Wrapper):
    """MLflow's wrapper of results of statsmodels."""

    parts = ("statsmodels_model",)


class TorchWrapper(TorchPredictor, _Wrapper):
    """MLflow's wrapper of a PyTorch module."""

    parts = ("pytorch_model", "device")

    def __init__(self, module: object, device: str | None) -> None:
        import torch

        super().__init__(torch, module, str(device or "cpu"))


class XgboostWrapper(XgboostPredictor, _Wrapper):
    """MLflow's wrapper of an XGBoost model."""

    parts = ("xgb_model",)
