"""statsmodels results, pickled as the library itself does it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.loading import flavor_key
from pyfunc.flavors.pickled_parts import load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "StatsmodelsPredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "statsmodels"

_FILE = "model.statsmodels"


class StatsmodelsPredictor(NativePredictor):
    """Results of a fit; those of a time series predict from ``start`` to ``end``."""

    mlflow_wrapper = "mlflow.statsmodels", "_StatsmodelsModelWrapper"

    def predict(self, data: Any, params: Mapping[str, object] | None = None) -> object:
        """Return the predictions; ``params`` are ignored.

        Raises:
            InvalidArgumentError: a time series is given something else than a frame of one row
                with the columns ``start`` and ``end``.
        """
        if not _is_time_series(self.model):
            return self.model.predict(data)
        columns = list(getattr(data, "columns", ()))
        if "start" not in columns or "end" not in columns or len(data) != 1:
            raise InvalidArgumentError(
                "a time series model predicts for a frame of one row with the columns 'start' "
                f"and 'end', got {shorten(columns)} with {len(data)} rows"
            )
        return self.model.predict(start=data["start"].iloc[0], end=data["end"].iloc[0])


def save_model(
    statsmodels_model: object,
    path: str | os.PathLike[str],
    *,
    remove_data: bool = False,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the results ``statsmodels_model`` to the new model directory ``path``.

    Args:
        statsmodels_model: what ``fit`` returned. statsmodels has no format but pickle.
        path: must not exist, or be an empty directory.
        remove_data: leave the training data out of the file; the object that is given keeps it.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not hasattr(statsmodels_model, "save") or not callable(statsmodels_model.save):
        raise InvalidTypeError(
            f"expected the results of a statsmodels fit, got {shorten(type(statsmodels_model))}"
        )

    def write(directory: Path) -> None:
        # The library removes the data from the object itself.
        saved = copy.deepcopy(statsmodels_model) if remove_data else statsmodels_model
        saved.save(str(directory / _FILE), remove_data)

    _frame.save(
        statsmodels_model,
        path,
        arguments,
        write=write,
        section={"data": _FILE, "statsmodels_version": library.__version__},
        python_function={"data": _FILE},
    )


def _read(opened: OpenedModel) -> object:
    _frame.library()
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    return load_pickled(opened, relative, key=f"flavors.{FLAVOR_NAME}.data")


def _is_time_series(results: object) -> bool:
    model = getattr(results, "model", None)
    return any(kind.__name__ == "TimeSeriesModel" for kind in type(model).__mro__)


_frame = Frame(
    FLAVOR_NAME,
    ["statsmodels"],
    read=_read,
    predictor=StatsmodelsPredictor,
    stored=Serialization("pickle", False, "pickle"),
)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
describe = _frame.describe
