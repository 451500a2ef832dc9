"""A pipeline behind the interface that every loaded model has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyfunc.errors import InvalidArgumentError
from pyfunc.flavors.pipelines.answers import Asked
from pyfunc.flavors.pipelines.tasks import task_named

__all__ = ["PipelinePredictor", "Predict", "options_named"]

Predict = Callable[[Any, object, Mapping[str, object]], object]

# What is done with the texts of a model, and is nothing that its pipeline knows.
_OUR_OPTIONS = ("include_prompt", "collapse_whitespace")


class PipelinePredictor:
    """A pipeline that predicts.

    Args:
        pipeline: the ``transformers.Pipeline``.
        model_config: keyword arguments of its calls.
        prompt_template: text around every input, with ``{prompt}`` in its place.
        predict: predicts instead of it, if inputs and answers are not those of its task.
    """

    def __init__(
        self,
        pipeline: Any,
        model_config: Mapping[str, object] | None = None,
        *,
        prompt_template: str | None = None,
        predict: Predict | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._options = dict(model_config or {})
        self._template = prompt_template
        self._predict = predict or self._predict_task

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return one answer for each input, in the form of the task.

        Args:
            data: what the task takes: a frame, a mapping, a list of them, or a list of values.
            params: keyword arguments of the call, over those of the configuration.

        Raises:
            InvalidTypeError: ``data`` is nothing that the task takes.
            InvalidArgumentError: so, or the pipeline knows an option not.
        """
        return self._predict(self.pipeline, data, {**self._options, **(params or {})})

    def _predict_task(self, pipeline: Any, data: object, options: Mapping[str, object]) -> object:
        task = task_named(str(pipeline.task))
        items = self._prompted(task.read(data)) if task.takes_template else task.read(data)
        asked = Asked(items, {**task.defaults, **options})
        theirs = {key: value for key, value in asked.options.items() if key not in _OUR_OPTIONS}
        with options_named(pipeline, theirs):
            found = task.call(pipeline, items, theirs) if items else []
        return task.answer(found, asked)

    def _prompted(self, items: Sequence[object]) -> Sequence[object]:
        if self._template is None:
            return items
        return [self._template.format(prompt=item) for item in items]

    def get_raw_model(self) -> object:
        """Return the pipeline."""
        return self.pipeline


class options_named:  # noqa: N801 - used like a function, in a with statement
    """Raises an error that names the options, if the body fails since one of them is unknown.

    Args:
        pipeline: what is called.
        options: the keyword arguments of the call.
    """

    def __init__(self, pipeline: object, options: Mapping[str, object]) -> None:
        self._pipeline = pipeline
        self._options = options

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the error that names them, if ``error`` is about them."""
        if self._options and isinstance(error, (TypeError, ValueError)) and _is_of_options(error):
            raise InvalidArgumentError(
                f"{type(self._pipeline).__name__} was given {', '.join(sorted(self._options))} by "
                f"the configuration or the parameters, and knows not all of them: {error}"
            ) from error


def _is_of_options(error: Exception) -> bool:
    text = str(error)
    return "model_kwargs" in text or "unexpected keyword argument" in text
