"""A loaded model: one object with ``predict``, whatever library made the model.

Rules: format.md 4.4. Everything that does not depend on the data is worked out once.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pyfunc.directory.mlmodel import FLAVOR_NAME, MLMODEL_FILE
from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    ModelNotFoundError,
    PyfuncError,
    SchemaError,
    UntrustedModelError,
    shorten,
)
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.model.example_forms import frame_to_example_form, single_stream_input

if TYPE_CHECKING:
    from pyfunc.code.scope import CodeScope
    from pyfunc.model.description import Model
    from pyfunc.model.rows import RowPredictor
    from pyfunc.schema import ParamSchema, Schema
    from pyfunc.schema.enforce.plan import Plan

__all__ = ["DescribedOnly", "PyFuncModel", "SampleHandler"]

_logger = logging.getLogger("pyfunc.predict")
_UNREAD = object()
_Loaded = TypeVar("_Loaded", bound="PyFuncModel")


class SampleHandler(Protocol):
    """What answers single requests with a model."""

    def predict_sample(self, sample: object, *, debug: bool = False) -> object:
        """Return the answer to one request."""

    def close(self) -> None:
        """Give back the modules of the handler's code."""


class PyFuncModel:
    """A model of any kind, as ``load_model`` returns it; as a context manager it is closed.

    Attributes:
        metadata: the MLmodel file as a :class:`~pyfunc.Model`.
        model_config: the configuration after overrides; empty if there is none.
        digest: SHA-256 of the manifest of the files that it was loaded from; None if there is
            none or it was not looked at.
    """

    digest: str | None = None

    def __init__(
        self,
        model_meta: Model | None,
        model_impl: object,
        predict_fn: str = "predict",
        predict_stream_fn: str | None = None,
        model_id: str | None = None,
        *,
        model_config: dict[str, Any] | None = None,
        scope: CodeScope | None = None,
        read_example: Callable[[], object] | None = None,
        coerce: str | None = None,
        again: tuple[Callable[..., PyFuncModel], Path, tuple[object, ...]] | None = None,
    ) -> None:
        if model_meta is None:
            raise PyfuncError("a model needs what its MLmodel file says, got None")
        self._again = again
        self.metadata = model_meta
        self._model_id = model_id
        section = model_meta.flavors.get(FLAVOR_NAME, {})
        given = section.get("config") if model_config is None else model_config
        self.model_config: dict[str, Any] = given if isinstance(given, dict) else {}
        self._model_impl: Any = model_impl
        self._methods = predict_fn, predict_stream_fn
        self._predict_fn = _required_method(model_impl, predict_fn)
        self._accepts_params = _names_params(self._predict_fn)
        self._stream_fn = (
            None if predict_stream_fn is None else _required_method(model_impl, predict_stream_fn)
        )
        self._scope = scope
        if scope is not None:
            scope.end_with(self)
        self._handler: SampleHandler | None = None
        self._coerce = coerce
        self._read_example = read_example
        self._input_example: object = _UNREAD
        signature = model_meta.signature
        self._validates_itself = bool(
            getattr(signature, "_is_signature_from_type_hint", False)
            or getattr(model_impl, "validates_itself", False)
        )
        self._like_example = bool(getattr(signature, "_is_type_hint_from_example", False))
        self._params_schema = None if signature is None else signature.params
        self._input_schema = None if signature is None else signature.inputs
        if self._like_example:
            self._load_example()

    @property
    def scope(self) -> CodeScope | None:
        """Where the code of the model is imported, or None if it has none of its own."""
        return self._scope

    @property
    def loader_module(self) -> str | None:
        """The module that loaded the model, as the MLmodel file names it."""
        return self.metadata.flavors.get(FLAVOR_NAME, {}).get("loader_module")

    @property
    def model_id(self) -> str | None:
        """The id that a tracking server gave the model, or None."""
        return self._model_id or self.metadata.model_id

    @property
    def input_schema(self) -> Schema | None:
        """The schema that the input is held against, or None."""
        return self._input_schema

    @property
    def params_schema(self) -> ParamSchema | None:
        """The schema that the parameters are held against, or None."""
        return self._params_schema

    @property
    def input_example(self) -> Any:
        """The input example that was saved with the model, or None."""
        return self._load_example()

    @input_example.setter
    def input_example(self, value: object) -> None:
        self._input_example = value

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Return the predictions for ``data``.

        Args:
            data: fits the signature; it is cast as the signature says, and never changed. A
                model without one takes anything.
            params: values for the parameters of the signature; the others have their defaults.

        Raises:
            SchemaError: the data does not fit; lists every problem.
            Exception: whatever the model itself raises.
        """
        data, params = self._check_input(data, params)
        if self._scope is None:
            return self._call(self._predict_fn, data, params)
        with self._scope.active():
            return self._call(self._predict_fn, data, params)

    @cached_property
    def row_predictor(self) -> RowPredictor | None:
        """What predicts rows of numbers without a frame, as :meth:`predict` does; None if nothing.

        Only for a model without code of its own whose signature has columns of one number type
        and no parameters.
        """
        from pyfunc.model.rows import RowPredictor

        schema, scope = self._input_schema, self._scope
        if schema is None or self._validates_itself or self._like_example:
            return None
        if self._params_schema is not None or (scope is not None and scope.directories):
            return None
        return RowPredictor.of(self._model_impl, self._methods[0], schema)

    def predict_stream(
        self, data: object, params: Mapping[str, object] | None = None
    ) -> Iterator[Any]:
        """Return an iterator over the parts of the prediction for one input.

        Nothing happens before the first part is asked for; errors appear there.

        Raises:
            PyfuncError: the model has no stream, or ``data`` is not a single input.
        """
        if self._stream_fn is None:
            raise PyfuncError(
                "this model does not support predict_stream\n"
                "hint: define predict_stream in the model class and save it again"
            )
        data, params = self._check_input(data, params)
        data = single_stream_input(data)
        if self._scope is None:
            yield from self._call(self._stream_fn, data, params)
            return
        # The scope must not stay active while the caller works between two parts.
        with self._scope.active():
            parts = iter(self._call(self._stream_fn, data, params))
        try:
            while True:
                with self._scope.active():
                    part = next(parts, _UNREAD)
                if part is _UNREAD:
                    return
                yield part
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                with self._scope.active():
                    close()

    @property
    def request_handler(self) -> SampleHandler | None:
        """The request handler that was saved with the model, or None."""
        return self._handler

    def use_handler(self, handler: SampleHandler) -> None:
        """Answer ``predict_sample`` with ``handler`` from now on."""
        self._handler = handler

    def predict_sample(self, sample: object, debug: bool = False) -> Any:
        """Return what the model's request handler makes of one request.

        The same function answers ``POST /predict`` of a server.

        Args:
            sample: the payload, as JSON is read into Python.
            debug: write what goes in and out of each step to the log.

        Raises:
            PyfuncError: the model has no handler.
            HandlerError: a function of the handler failed; its exception is the cause.
            SchemaError: what ``pre_inference`` returned does not fit the signature.
        """
        if self._handler is None:
            raise PyfuncError(
                "this model was saved without a request handler\n"
                "hint: save it with handler=, or call predict",
                INVALID_PARAMETER_VALUE,
            )
        return self._handler.predict_sample(sample, debug=debug)

    def unwrap_python_model(self) -> Any:
        """Return the user's own model object.

        Raises:
            PyfuncError: the model was not made from one.
        """
        model = getattr(self._model_impl, "python_model", None)
        if model is None:
            raise PyfuncError("this model was not saved from a PythonModel or a callable")
        return model

    def get_raw_model(self) -> Any:
        """Return the object of the library that made the model.

        Raises:
            NotImplementedError: its loader does not give it out.
        """
        raw = getattr(self._model_impl, "get_raw_model", None)
        if raw is not None:
            return raw()
        raise NotImplementedError(f"{self.loader_module} does not give out the raw model")

    def close(self) -> None:
        """Give back the modules of the model's code; it must not be called afterwards."""
        if self._scope is not None:
            self._scope.close()
        if self._handler is not None:
            self._handler.close()

    def __enter__(self: _Loaded) -> _Loaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _plan(self) -> Plan | None:
        """The compiled input schema, or None where nothing is enforced."""
        if self._input_schema is None or self._validates_itself:
            return None
        from pyfunc.schema import compile_plan

        return compile_plan(self._input_schema, coerce=self._coerce)

    def _check_input(
        self, data: object, params: Mapping[str, object] | None
    ) -> tuple[object, Mapping[str, object] | None]:
        plan = self._plan
        if plan is not None:
            try:
                data = plan.enforce(data)
            except SchemaError as error:
                from pyfunc.schema import as_predict_error

                raise as_predict_error(error) from error.__cause__
            if self._like_example:
                data = frame_to_example_form(data, self._load_example())
        if params is not None or self._params_schema is not None:
            params = self._check_params(params)
        return data, params

    def _check_params(self, params: Mapping[str, object] | None) -> Mapping[str, object] | None:
        from pyfunc.schema import enforce_params

        return enforce_params(params, self._params_schema)

    def _call(
        self, method: Callable[..., Any], data: object, params: Mapping[str, object] | None
    ) -> Any:
        if self._accepts_params:
            return method(data, params=params)
        if params:
            _logger.warning("params %s are ignored: this model takes none", sorted(params))
        return method(data)

    def _load_example(self) -> object:
        if self._input_example is _UNREAD:
            self._input_example = None if self._read_example is None else self._read_example()
        return self._input_example

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a model that MLflow has loaded."""
        if "_PyFuncModel__model_impl" not in state:
            vars(self).update(state)
            return
        stream = state.get("_predict_stream_fn")
        PyFuncModel.__init__(
            self,
            state["_model_meta"],
            state["_PyFuncModel__model_impl"],
            state["_predict_fn"].__name__,
            None if stream is None else stream.__name__,
        )

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Return how the model is loaded again from where it is: what a copy or a pickle does.

        Raises:
            ModelNotFoundError: it is not there any more.
        """
        if self._again is None:
            return type(self), *self.parts()
        load, root, options = self._again
        if not (root / MLMODEL_FILE).is_file():
            raise ModelNotFoundError(
                f"{root}: the model was moved or removed after it was loaded, so it cannot be "
                "copied or pickled\nhint: load it from where it is now"
            )
        return load, (str(root), *options)

    def parts(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments and the state that make an equal model, with no look at a file."""
        example = {"_input_example": self.input_example} if self._like_example else {}
        state = {"model_config": self.model_config, "_coerce": self._coerce, **example}
        kept = {name: value for name, value in state.items() if value}
        return (self.metadata, self._model_impl, *self._methods), kept

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PyFuncModel):
            return NotImplemented
        return self.metadata == other.metadata

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        described = {"flavor": self.loader_module}
        if self.metadata.run_id is not None:
            described["run_id"] = self.metadata.run_id
        if self.metadata.artifact_path is not None:
            described["artifact_path"] = self.metadata.artifact_path
        return dump_yaml({"mlflow.pyfunc.loaded_model": described})


class DescribedOnly:
    """The implementation of a model that was read with ``trust="none"``: it cannot predict."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def predict(self, model_input: object) -> object:
        """Refuse.

        Raises:
            UntrustedModelError: always.
        """
        raise UntrustedModelError(
            f"{self._root}: was read with trust='none', so that nothing of it runs"
        )


def _required_method(model_impl: object, name: object) -> Callable[..., Any]:
    method = getattr(model_impl, name, None) if isinstance(name, str) else None
    if not callable(method) or (isinstance(name, str) and name.startswith("__")):
        raise PyfuncError(
            f"the loaded model has no method {shorten(name)}; predict_fn or predict_stream_fn "
            "in MLmodel must name one",
            INTERNAL_ERROR,
        )
    return method  # type: ignore[no-any-return]


def _names_params(method: Callable[..., object]) -> bool:
    try:
        found = inspect.signature(method).parameters.get("params")
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    return found is not None and found.kind is not inspect.Parameter.VAR_KEYWORD
