"""The process that loads a model, tries it and asks its server; started by ``entry``.

It runs where the model would run: in the environment that was made for it, with an empty working
directory. Each step is written as soon as it is done, so that a crash leaves those before it.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.chat.loaded import has_stream
from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.loading.entry import load_model
from pyfunc.validation.outside import ReadWatch
from pyfunc.validation.report import Status, Step

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel
    from pyfunc.schema import Schema
    from pyfunc.validation.asking import Question

__all__ = ["main"]

_NO_EXAMPLE = "save the model with input_example=, which is then tried here"
_NOT_SAID = range(400, 500)  # what the request is to blame for
_SHOWN_FRAMES = 4
_SHOWN_ANSWER = 500


class _Probe:
    def __init__(self, directory: Path, sample: str | None) -> None:
        self._directory = directory
        self._sample = sample
        self._watch = ReadWatch([directory, Path.cwd()])
        self._model: PyFuncModel | None = None
        self._example: object = None
        self._params: dict[str, object] | None = None
        self._answer: object = None
        self._is_answered = False

    def steps(self) -> Iterator[Step]:
        yield _timed("load", self._load)
        if self._model is None:
            return
        yield _timed("predict", self._predict)
        if self._is_answered:
            yield _timed("schema", self._compare_answer)
        yield _timed("outside", self._look_outside)
        yield from self._serve()
        if self._model.request_handler is not None:
            yield _timed("handler", self._handle)

    def _load(self, name: str) -> Step:
        with self._watch:
            self._model = load_model(str(self._directory), suppress_warnings=True)
        return Step(name, "ok", f"by {self._model.loader_module}")

    def _predict(self, name: str) -> Step:
        model = self._loaded()
        self._example = model.input_example
        if self._example is None:
            return Step(name, "warning", "the model has no input example", _NO_EXAMPLE)
        self._params = model.metadata.load_input_example_params(str(self._directory))
        with self._watch:
            self._answer = model.predict(self._example, self._params)
        self._is_answered = True
        return Step(name, "ok", f"the input example gives {type(self._answer).__name__}")

    def _loaded(self) -> PyFuncModel:
        assert self._model is not None, "asked only once it is loaded"
        return self._model

    def _compare_answer(self, name: str) -> Step:
        signature = self._loaded().metadata.signature
        if signature is None or signature.inputs is None:
            remedy = "save the model with signature= or input_example=, so that input is checked"
            return Step(name, "warning", "the model has no signature", remedy)
        if signature.outputs is None:
            remedy = "save the model with signature=infer_signature(example, answer)"
            return Step(name, "warning", "the signature says nothing of the answer", remedy)
        problem = _find_misfit(self._answer, signature.outputs)
        if problem is None:
            return Step(name, "ok", "the answer is what the signature says")
        remedy = "save the model with the signature of what predict returns, or return that"
        return Step(name, "failed", problem, remedy)

    def _look_outside(self, name: str) -> Step:
        found = sorted(self._watch.found)
        if not found:
            return Step(name, "ok", "nothing outside the model was read")
        remedy = (
            "save files with artifacts=, and modules with code_paths= or infer_code_paths=True"
        )
        detail = f"{len(found)} file(s) outside the model were read: {', '.join(found)}"
        return Step(name, "warning", detail, remedy)

    def _serve(self) -> Iterator[Step]:
        body = self._loaded().metadata.get_serving_input(str(self._directory))
        if body is None:
            yield Step("serve", "skipped", "there is no example of a request", _NO_EXAMPLE)
            return
        try:
            questions = dict(self._questions(body))
        except MissingDependencyError as error:
            yield Step("serve", "failed", str(error), error.hint)
            return
        for name, question in questions.items():
            yield _timed(name, partial(self._ask, question))

    def _questions(self, body: str) -> Iterator[tuple[str, Question]]:
        from pyfunc.validation.asking import Question
        from pyfunc.validation.requests import inference_body, stream_body, table_text

        yield "serve json", Question("/invocations", body.encode())
        text = table_text(self._example, self._params)
        if text is not None:
            yield "serve csv", Question("/invocations", text, "text/csv")
        tensors = inference_body(self._example, self._params, self._loaded().input_schema)
        if tensors is not None:
            yield "serve open inference", Question("/v2/models/model/infer", tensors)
        if has_stream(self._loaded()):
            body_of_one = stream_body(self._example, self._params)
            yield "serve stream", Question("/invocations/stream", body_of_one)

    def _ask(self, question: Question, name: str) -> Step:
        from pyfunc.serving.app import create_app
        from pyfunc.validation.asking import ask

        [answer] = ask(create_app(self._loaded(), name="model"), [question])
        size = len(answer.body)
        shown = answer.body[:_SHOWN_ANSWER].decode("utf-8", "replace")
        if answer.status == 200 and not _tells_error(answer.body):
            return Step(name, "ok", f"{question.path} answers", size=size)
        detail = f"{question.path} answers {answer.status}: {shown}"
        if answer.status in _NOT_SAID and name not in ("serve json", "serve stream"):
            remedy = "this protocol cannot say the example; clients have to ask in JSON"
            return Step(name, "warning", detail, remedy, size=size)
        remedy = "a client would get this; save an example that the server can be asked"
        return Step(name, "failed", detail, remedy, size=size)

    def _handle(self, name: str) -> Step:
        from pyfunc.handlers.samples import samples_of

        remedy = "give one request of the handler as a sample"
        if self._sample is not None:
            samples = [json.loads(Path(self._sample).read_bytes())]
        else:
            samples = [] if self._example is None else samples_of(self._example)
        if not samples:
            return Step(name, "warning", "there is no sample to try the handler with", remedy)
        try:
            self._loaded().predict_sample(samples[0])
        except Exception as error:  # whatever code of the handler raises
            # Of the model's own example a handler need not know anything.
            status: Status = "warning" if self._sample is None else "failed"
            return replace(_failed(name, error), status=status, remedy=remedy)
        return Step(name, "ok", "the handler answers")


def _find_misfit(answer: object, outputs: Schema) -> str | None:
    """Return how ``answer`` differs from ``outputs``, None if it does not."""
    import numpy as np
    import pandas as pd

    from pyfunc.schema import infer_schema, validate_schema

    # As at a save, where an array of one axis counts as a column.
    is_vector = isinstance(answer, np.ndarray) and answer.ndim == 1
    form = pd.Series(answer) if is_vector and not outputs.is_tensor_spec() else answer
    try:
        if infer_schema(form) != outputs:
            validate_schema(form, outputs)
    except PyfuncError as error:
        return f"expected {outputs}: {error}"
    return None


def _tells_error(body: bytes) -> bool:
    """Return whether a stream, which starts with status 200, ends with an error."""
    return b"event: error" in body or b'"error_code"' in body[:_SHOWN_ANSWER]


def _timed(name: str, step: Callable[[str], Step]) -> Step:
    started = time.perf_counter()
    try:
        found = step(name)
    except Exception as error:  # whatever code of the model raises is what was asked for
        found = _failed(name, error)
    return replace(found, seconds=time.perf_counter() - started)


def _failed(name: str, error: Exception) -> Step:
    places = traceback.extract_tb(error.__traceback__)[-_SHOWN_FRAMES:]
    where = "".join(f"\n  {place.filename}:{place.lineno} in {place.name}" for place in places)
    hint = error.hint if isinstance(error, PyfuncError) else ""
    return Step(name, "failed", f"{type(error).__name__}: {error}{where}", hint)


def main(arguments: list[str]) -> int:
    """Write the steps for the model as lines of JSON; end with 0 whatever they found."""
    directory, result, *sample = arguments
    with open(result, "a", encoding="utf-8") as file:
        for step in _Probe(Path(directory), sample[0] if sample else None).steps():
            file.write(json.dumps(asdict(step)) + "\n")
            file.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
