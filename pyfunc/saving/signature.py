"""Finding the signature of a model that is being saved: from hints, or by trying its example.

Rules: format.md 3.8 and 5.5.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyfunc.env.inference.observing import ImportObserver, is_asked_for
from pyfunc.errors import PyfuncError, PyfuncWarning
from pyfunc.model.example_forms import frame_to_example_form
from pyfunc.model.hints import TypeHints, is_from_example, schemas_from_hints
from pyfunc.model.python_model import PythonModel, PythonModelContext
from pyfunc.model.runner import PythonModelRunner, prepare_model
from pyfunc.schema import (
    AnyType,
    ColSpec,
    InputExample,
    ModelSignature,
    ParamSchema,
    Schema,
    compile_plan,
    enforce_params,
    enforce_schema,
    infer_param_schema,
    infer_schema,
    validate_against_hint,
)
from pyfunc.schema.signature import check_readable
from pyfunc.schema.signature_file import check_served, telling_of_example

__all__ = ["Trial", "check_example", "find_signature"]

_logger = logging.getLogger("pyfunc.saving")


@dataclass(frozen=True)
class Trial:
    """A model that can be tried before it is saved, and the context it would be given.

    Attributes:
        python_model: the model.
        artifacts: what its context has.
        model_config: what its context has.
        imports: names of the modules that the model has imported while it was tried.
    """

    python_model: object
    artifacts: Mapping[str, str]
    model_config: Mapping[str, object] | None
    imports: set[str] = field(default_factory=set)

    def predict(self, data: object, params: dict[str, object] | None) -> object:
        """Return what the model answers; ``imports`` then has what it imported for that."""
        with self.prepared() as (model, context):
            return PythonModelRunner(model, context, None).predict(data, params)

    @contextlib.contextmanager
    def prepared(self) -> Iterator[tuple[object, PythonModelContext]]:
        """Give the model, prepared, and its context; ``imports`` then has what was imported."""
        with ImportObserver(is_asked_for) as observer:
            try:
                yield self._prepared()
            finally:
                self.imports.update(observer.seen)

    def _prepared(self) -> tuple[object, PythonModelContext]:
        """Return the model, prepared; what ``load_context`` sets does not reach the original."""
        try:
            model = _copied(self.python_model)
        except Exception:  # an object of the user may refuse to be copied
            model = self.python_model
        if type(model) is not type(self.python_model):
            model = self.python_model
        context = PythonModelContext(self.artifacts, self.model_config)
        prepare_model(model, context)
        return model, context


def _copied(model: object) -> object:
    """Return a copy whose attributes are its own where ``load_context`` may change them."""
    own = getattr(type(model), "load_context", None)
    if own is None or own is PythonModel.load_context:
        return copy.copy(model)
    try:
        return copy.deepcopy(model)
    except Exception:  # an attribute refuses to be copied; the others do not
        made = copy.copy(model)
        for name, value in vars(model).items():
            with contextlib.suppress(Exception):
                setattr(made, name, copy.deepcopy(value))
        return made


def find_signature(
    trial: Trial,
    hints: TypeHints,
    example: InputExample | None,
    given: ModelSignature | bool | None,
) -> ModelSignature | None:
    """Return the signature to save, or None.

    Args:
        trial: the model; called only if there is an example and no other source.
        hints: the type hints of its predict.
        example: an :class:`~pyfunc.schema.InputExample`, or None.
        given: what the caller said: a signature that can be read back, None to find one, False
            not to try the example. Type hints that are checked make the signature in any case,
            as in MLflow.
    """
    found = _find(trial, hints, example, given)
    if found is None:
        return None
    if found is given:
        if example is not None:
            check_example(found, example)
        return found
    try:
        check_readable(found)
        if example is not None:
            check_served(found, example.serving_json)
    except PyfuncError as error:
        _logger.warning(
            "%s: %s",
            "the input example cannot be sent to a server"
            if found._is_signature_from_type_hint
            else "no signature is saved, for a server could not use the one that was inferred",
            error,
        )
        return found if found._is_signature_from_type_hint else None
    return found


def _find(
    trial: Trial,
    hints: TypeHints,
    example: InputExample | None,
    given: ModelSignature | bool | None,
) -> ModelSignature | None:
    from_hints = _from_hints(hints, example)
    if from_hints is not None:
        if isinstance(given, ModelSignature) and given.params is not None:
            from_hints.params = given.params
        if isinstance(given, ModelSignature) and given != from_hints:
            _logger.warning("the type hints of predict replace the signature that was given")
        if example is not None and not _output_fits(trial, hints, example):
            from_hints.outputs = Schema([ColSpec(AnyType())])
        return from_hints
    if isinstance(given, ModelSignature):
        return given
    if given is False or example is None:
        return None
    return _from_example(trial, hints, example)


def check_example(signature: ModelSignature, example: InputExample) -> None:
    """Check that an input example, and the request made of it, fit the signature.

    Raises:
        PyfuncError: it does not; the code is ``INVALID_PARAMETER_VALUE``.
    """
    plan = None
    with telling_of_example():
        if signature.inputs is not None:
            plan = compile_plan(signature.inputs)
            plan.enforce(example.inference_data)
        if signature.params is not None:
            enforce_params(example.params, signature.params)
    check_served(signature, example.serving_json, plan)


def _from_hints(hints: TypeHints, example: InputExample | None) -> ModelSignature | None:
    inputs, outputs = schemas_from_hints(hints)
    if inputs is None:
        return None
    signature = ModelSignature(inputs, outputs, _params_schema(example))
    signature._is_signature_from_type_hint = True
    return signature


def _params_schema(example: InputExample | None) -> ParamSchema | None:
    if example is None or not example.params:
        return None
    return infer_param_schema(example.params)


def _output_fits(trial: Trial, hints: TypeHints, example: InputExample) -> bool:
    """Return whether what predict gives for the example is what its hint says."""
    try:
        output = trial.predict(example.inference_data, example.params)
    except Exception as error:
        _logger.warning("predict fails on the input example: %s", error)
        return True
    if hints.output is None:
        return True
    try:
        validate_against_hint(output, hints.output)
    except PyfuncError as error:
        _logger.warning("the output of predict is not what its type hint says: %s", error)
        return False
    return True


def _from_example(trial: Trial, hints: TypeHints, example: InputExample) -> ModelSignature | None:
    data = example.inference_data
    try:
        inputs = _quietly_infer(data)
        prepared = enforce_schema(data, inputs)
        like_example = is_from_example(hints.input)
        if like_example:
            prepared = frame_to_example_form(prepared, data)
        prediction = trial.predict(prepared, example.params)
        signature = ModelSignature(
            inputs, _output_schema(prediction, inputs), _params_schema(example)
        )
        signature._is_type_hint_from_example = like_example
    except Exception as error:
        _logger.warning(
            "no signature could be inferred from the input example: %s: %s",
            type(error).__name__,
            error,
        )
        return None
    return signature


def _quietly_infer(value: object) -> Schema:
    """Infer a schema without the advice that a person who calls infer_signature gets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyfuncWarning)
        return infer_schema(value)


def _output_schema(prediction: object, inputs: Schema) -> Schema:
    import numpy as np
    import pandas as pd

    is_vector = isinstance(prediction, np.ndarray) and prediction.ndim == 1
    if is_vector and not inputs.is_tensor_spec():
        prediction = pd.Series(prediction)
    try:
        return _quietly_infer(prediction)
    except Exception as error:
        _logger.warning("the output of predict has no schema: %s", error)
        return Schema([ColSpec(AnyType())])
