"""The tasks of pipelines: what each is given, how it is called, what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyfunc.flavors.pipelines import answers, forms, media
from pyfunc.flavors.pipelines.answers import Asked
from pyfunc.schema import ColSpec, DataType, ModelSignature, Schema, TensorSpec

__all__ = ["Task", "relaxed_inputs", "signature_of_task", "task_named"]

Call = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]


def _call_with_all(pipeline: Any, items: Sequence[Any], options: Mapping[str, Any]) -> Any:
    return pipeline(list(items), **options)


def _call_by_columns(pipeline: Any, items: Sequence[Any], options: Mapping[str, Any]) -> Any:
    columns = {key: [item[key] for item in items] for key in items[0]}
    return pipeline(**columns, **options)


def _call_one_by_one(pipeline: Any, items: Sequence[Any], options: Mapping[str, Any]) -> Any:
    return [pipeline(**{**options, **item}) for item in items]


def _call_as_it_takes(pipeline: Any, items: Sequence[Any], options: Mapping[str, Any]) -> Any:
    parameters = inspect.signature(type(pipeline).__call__).parameters
    found = []
    for item in items:
        if isinstance(item, Mapping) and item.keys() <= parameters.keys():
            found.append(pipeline(**{**options, **item}))
        else:
            value = next(iter(item.values())) if _is_single(item) else item
            found.append(pipeline(value, **options))
    return found


def _is_single(item: object) -> bool:
    return isinstance(item, Mapping) and len(item) == 1


@dataclass(frozen=True)
class Task:
    """One task of pipelines.

    Attributes:
        read: returns one item for each input, and refuses what is none.
        answer: returns what is predicted, from the output of the library for those items.
        inputs: the schema of what it is given, or None.
        outputs: the schema of what it answers, or None.
        call: gives the items to the pipeline, with options by keyword.
        defaults: options of the call where nobody gives them.
        takes_template: whether a template for prompts may be around its inputs.
    """

    read: Callable[[object], Sequence[object]]
    answer: Callable[[Any, Asked], object]
    inputs: Schema | None = None
    outputs: Schema | None = None
    call: Call = _call_with_all
    defaults: Mapping[str, object] = field(default_factory=dict)
    takes_template: bool = False


def task_named(name: str) -> Task:
    """Return the task of that name, or what does for a task that nothing is known of."""
    canonical = "translation" if name.startswith("translation_") else _ALIASES.get(name, name)
    return _TASKS.get(canonical, _OTHER)


def signature_of_task(name: str) -> ModelSignature | None:
    """Return the signature that models of a task have if nobody gives one, or None."""
    task = task_named(name)
    return None if task.inputs is None else ModelSignature(task.inputs, task.outputs)


def relaxed_inputs(name: str, inputs: Schema | None) -> Schema | None:
    """Return the schema of inputs that is enforced for a model of the task ``name``.

    The signature that MLflow saves for labels by their names demands a template for hypotheses,
    for which the library has one of its own.
    """
    task = task_named(name)
    if inputs is None or inputs != task.inputs or task is not _TASKS["zero-shot-classification"]:
        return inputs
    return Schema(
        [
            ColSpec(_TEXT, column, column != "hypothesis_template")
            for column in inputs.input_names()
        ]
    )


def _columns(**types: DataType) -> Schema:
    return Schema([ColSpec(kind, name) for name, kind in types.items()])


_TEXT, _NUMBER = DataType.string, DataType.double
_STRING = Schema([ColSpec(_TEXT)])
_BYTES = Schema([ColSpec(DataType.binary)])
_LABELS = _columns(label=_TEXT, score=_NUMBER)

_ALIASES = {"ner": "token-classification", "sentiment-analysis": "text-classification"}

_TASKS: Mapping[str, Task] = {
    "text-generation": Task(
        forms.read_texts, answers.generated_texts, _STRING, _STRING, takes_template=True
    ),
    "text2text-generation": Task(
        forms.read_joined_texts,
        answers.texts_at("generated_text"),
        _STRING,
        _STRING,
        takes_template=True,
    ),
    "summarization": Task(
        forms.read_texts, answers.texts_at("summary_text"), _STRING, _STRING, takes_template=True
    ),
    "translation": Task(forms.read_texts, answers.texts_at("translation_text"), _STRING, _STRING),
    "question-answering": Task(
        forms.read_questions,
        answers.texts_at("answer"),
        _columns(question=_TEXT, context=_TEXT),
        _STRING,
        call=_call_by_columns,
    ),
    "text-classification": Task(forms.read_pairs, answers.labels_with_scores, _STRING, _LABELS),
    "token-classification": Task(forms.read_texts, answers.labels_of_tokens, _STRING, _STRING),
    "fill-mask": Task(
        forms.read_texts, answers.best_tokens, _STRING, _STRING, takes_template=True
    ),
    "zero-shot-classification": Task(
        forms.read_label_requests,
        answers.sequences_with_labels,
        _columns(sequences=_TEXT, candidate_labels=_TEXT, hypothesis_template=_TEXT),
        _columns(sequence=_TEXT, labels=_TEXT, scores=_NUMBER),
        call=_call_one_by_one,
    ),
    "feature-extraction": Task(
        forms.read_texts,
        answers.vectors,
        _STRING,
        Schema([TensorSpec(np.dtype("float64"), (-1,), "double")]),
        takes_template=True,
    ),
    "image-classification": Task(
        media.read_images,
        answers.labels_with_scores,
        _STRING,
        _LABELS,
        defaults={"top_k": 1},
    ),
    "image-feature-extraction": Task(media.read_images, answers.vectors),
    "image-to-text": Task(media.read_images, answers.texts_at("generated_text")),
    "automatic-speech-recognition": Task(media.read_sounds, answers.transcripts, _BYTES, _STRING),
    "audio-classification": Task(
        media.read_sounds,
        answers.scores_with_labels,
        _BYTES,
        _columns(score=_NUMBER, label=_TEXT),
    ),
    "table-question-answering": Task(
        forms.read_table_questions,
        answers.texts_at("answer"),
        _columns(query=_TEXT, table=_TEXT),
        _STRING,
        call=_call_one_by_one,
    ),
}
# A mapping of parameters of the call is given by keyword, all else as it is.
_OTHER = Task(forms.rows_of, answers.as_they_are, call=_call_as_it_takes)
