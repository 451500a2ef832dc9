"""statsmodels results, pickled as the library itself does it."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, load_native, open_from_inside
from pyfunc.flavors.pickled_parts import load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
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
    "save_model",
]

FLAVOR_NAME = "statsmodels"

_FILE = "model.statsmodels"


class StatsmodelsPredictor(NativePredictor):
    """Results of a fit; those of a time series predict from ``start`` to ``end``."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
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
    statsmodels_model: Any,
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
    library = import_library("statsmodels", extra=FLAVOR_NAME)
    if not callable(getattr(statsmodels_model, "save", None)):
        raise InvalidTypeError(
            f"expected the results of a statsmodels fit, got {shorten(type(statsmodels_model))}"
        )

    def write(directory: Path) -> None:
        # The library removes the data from the object itself.
        saved = copy.deepcopy(statsmodels_model) if remove_data else statsmodels_model
        saved.save(str(directory / _FILE), remove_data)

    native = NativeModel(
        FLAVOR_NAME,
        {"data": _FILE, "statsmodels_version": library.__version__},
        {"data": _FILE},
        get_default_pip_requirements(),
        write,
        predictor=lambda: StatsmodelsPredictor(statsmodels_model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the results in the model at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> StatsmodelsPredictor:
    """Return the model in an opened directory, ready to predict."""
    return StatsmodelsPredictor(_read(opened))


def _load_pyfunc(path: str) -> StatsmodelsPredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return pickle, the only format of the library."""
    return Serialization("pickle", False)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["statsmodels"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _read(opened: OpenedModel) -> Any:
    import_library("statsmodels", extra=FLAVOR_NAME)
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    return load_pickled(opened, relative, key=f"flavors.{FLAVOR_NAME}.data")


def _is_time_series(results: Any) -> bool:
    model = getattr(results, "model", None)
    return any(kind.__name__ == "TimeSeriesModel" for kind in type(model).__mro__)
