"""One model being served: what every protocol needs to turn a request into an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyfunc.chat.loaded import family_of, has_stream
from pyfunc.code.calling import errors_named
from pyfunc.errors import ModelFailedError, PyfuncError
from pyfunc.schema import RequestReader
from pyfunc.schema.wire.json_rows import RowReader
from pyfunc.serving.http.endpoint import HttpService
from pyfunc.serving.http.failures import as_pyfunc_error
from pyfunc.serving.http.metrics import NO_METRICS, Meter
from pyfunc.serving.settings import ServingSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyfunc.model.loaded import PyFuncModel
    from pyfunc.model.rows import RowPredictor
    from pyfunc.schema import RequestLimits

__all__ = ["ModelService", "Rows", "as_model_error", "predict"]

_ROW_DEPTH = 4  # of the JSON that holds a row, in any of its forms


class ModelService(HttpService):
    """A model, the limits it is served within, and the threads it runs on.

    Attributes:
        model: the loaded model.
        name: what the protocols call it.
        settings: the limits and options.
        reader: reads requests in MLflow's forms.
        hinted: the model's signature comes from a type hint.
        streams: the model has a ``predict_stream``.
        chat: which kind of chat it is, None if it is none.
        rows: how rows of numbers are predicted without a frame; None if they are not.
    """

    settings: ServingSettings

    def __init__(
        self, model: PyFuncModel, name: str, settings: ServingSettings, meter: Meter = NO_METRICS
    ) -> None:
        super().__init__(settings, meter)
        signature = model.metadata.signature
        self.model = model
        self.name = name
        self.hinted = bool(getattr(signature, "_is_signature_from_type_hint", False))
        self.streams = has_stream(model)
        self.chat = family_of(model)
        self.reader = RequestReader(
            model.input_schema,
            model.params_schema,
            from_type_hint=self.hinted,
            allow_nan=settings.allow_nan,
            max_depth=settings.max_depth,
            limits=settings.limits,
        )
        self.rows = None
        if model.row_predictor and not settings.batching and settings.max_depth >= _ROW_DEPTH:
            self.rows = Rows(model.row_predictor, settings.limits)

    def failure(self) -> ModelFailedError:
        """Return a new error that says that the model failed."""
        return ModelFailedError("the model failed")


class Rows:
    """Rows of numbers on their way to a model that takes them as an array.

    Attributes:
        reader: reads them from a request.
    """

    def __init__(self, predictor: RowPredictor, limits: RequestLimits) -> None:
        self.reader = RowReader(predictor.names, predictor.dtype, limits)
        self._predict = predictor.predict

    def predict(self, row: npt.NDArray[np.generic]) -> object:
        """Return the prediction for an array of rows.

        Raises:
            PyfuncError: the model's own error is its cause.
        """
        with errors_named(as_model_error):
            return self._predict(row)


def as_model_error(error: BaseException) -> PyfuncError:
    """Return what the client is told of an exception that left the model."""
    return as_pyfunc_error(error, ModelFailedError("the model failed"))


def predict(model: PyFuncModel, data: object, params: dict[str, Any] | None) -> Any:
    """Return the prediction.

    Raises:
        PyfuncError: the data does not fit, or the model's own error as a cause.
    """
    with errors_named(as_model_error):
        return model.predict(data, params)
