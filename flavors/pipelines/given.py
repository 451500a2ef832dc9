"""What a caller gives to save a pipeline, checked, before anything is written."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.pipelines.llm_signatures import LLM_PREFIX, LlmTask, llm_task_named
from pyfunc.flavors.pipelines.parts import COMPONENTS, check_task_is_there, dtype_argument
from pyfunc.flavors.pipelines.tasks import task_named
from pyfunc.flavors.protocol import SaveArguments

__all__ = ["as_pipeline", "check_template", "describe_task", "find_llm_task", "write_example"]

_PARTS = {"model", *COMPONENTS, "torch_dtype", "dtype"}


def as_pipeline(library: ModuleType, given: object, task: str | None) -> Any:
    """Return the pipeline that was given, or that is made of the parts or the folder given.

    Raises:
        InvalidTypeError: it is none of these.
        InvalidArgumentError: a part or the task is missing, or the library cannot make it.
    """
    if isinstance(given, library.Pipeline):
        made: Any = given
    elif isinstance(given, Mapping):
        _check_parts(given)
        made = _made(library, dict(given), task)
    elif isinstance(given, (str, os.PathLike)):
        if not os.path.isfile(os.path.join(given, "config.json")):
            raise InvalidArgumentError(
                f"transformers_model: expected a folder with a config.json, got {shorten(given)}"
            )
        made = _made(library, {"model": os.fspath(given)}, task)
    else:
        raise InvalidTypeError(
            "expected a transformers.Pipeline, a dict of its parts or the folder of a model, got "
            f"{shorten(type(given))}"
        )
    if type(made.model).__module__.partition(".")[0] == "peft":
        raise InvalidArgumentError(
            "an adapter of PEFT alone is no model\n"
            "hint: save what model.merge_and_unload() returns"
        )
    return made


def find_llm_task(task: str | None, pipeline_task: str) -> LlmTask | None:
    """Return the task ``llm/v1/*`` that was asked for, or None.

    Raises:
        InvalidArgumentError: there is no such task, or the pipeline cannot do it.
    """
    if task is None or not task.startswith(LLM_PREFIX):
        return None
    found = llm_task_named(task)
    if found.pipeline_task != pipeline_task:
        raise InvalidArgumentError(
            f"task: {task} needs a pipeline of the task {found.pipeline_task}, got one of "
            f"{pipeline_task}"
        )
    return found


def check_template(template: object, pipeline_task: str) -> None:
    """Check that a template for prompts has one ``{prompt}``, and the task takes one.

    Raises:
        InvalidTypeError: it is no text.
        InvalidArgumentError: it does not, or has something else to fill in.
    """
    if template is None:
        return
    if not isinstance(template, str):
        raise InvalidTypeError(f"prompt_template: expected a text, got {shorten(template)}")
    if not task_named(pipeline_task).takes_template:
        raise InvalidArgumentError(
            f"prompt_template: the task {pipeline_task} takes none\n"
            "hint: text-generation, text2text-generation, summarization, fill-mask and "
            "feature-extraction do"
        )
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise InvalidArgumentError(f"prompt_template: {error}") from error
    if fields != ["prompt"]:
        raise InvalidArgumentError(
            f"prompt_template: expected one {{prompt}} and nothing else in braces, got "
            f"{shorten(template)}"
        )


def describe_task(arguments: SaveArguments, asked_task: str | None, /, **said: str | None) -> None:
    """Say in the metadata of ``arguments`` what is ``said`` of the model, beside what is there.

    Args:
        arguments: of the save; its metadata, or that of its description, stay.
        asked_task: as it was given; a task in the metadata must be the same.
        **said: what the metadata has afterwards, where it is not None.

    Raises:
        InvalidArgumentError: the metadata names another task.
        InvalidTypeError: the metadata is no mapping, and has to be one.
    """
    metadata = arguments.get("metadata")
    given_model = arguments.get("mlflow_model")
    if metadata is None and given_model is not None:
        metadata = given_model.metadata
    named = metadata.get("task") if isinstance(metadata, Mapping) else None
    if named and named != asked_task:
        raise InvalidArgumentError(
            f"metadata: its task is {shorten(named)}, the argument task {shorten(asked_task)}\n"
            "hint: give the same as both"
        )
    new = {key: value for key, value in said.items() if value is not None}
    if not new:
        return
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidTypeError(f"metadata: expected a mapping, got {shorten(metadata)}")
    arguments["metadata"] = {**(metadata or {}), **new}


def write_example(pipeline_task: str, example: object) -> object:
    """Return an input example as the signature of the task has it: a list of labels as JSON."""
    if task_named(pipeline_task) is not task_named("zero-shot-classification"):
        return example
    if isinstance(example, tuple) and len(example) == 2:
        return write_example(pipeline_task, example[0]), example[1]
    if not isinstance(example, Mapping):
        return example
    labels = example.get("candidate_labels")
    if isinstance(labels, (list, tuple, np.ndarray)):
        return {**example, "candidate_labels": json.dumps(list(labels))}
    return example


def _check_parts(given: Mapping[str, object]) -> None:
    unknown = sorted(set(given) - _PARTS)
    if unknown or "model" not in given:
        raise InvalidArgumentError(
            "transformers_model: expected a dict with 'model' and perhaps others of "
            f"{', '.join(sorted(_PARTS))}, "
            f"got {', '.join(map(str, given)) or 'an empty one'}"
        )


def _made(library: ModuleType, parts: dict[str, Any], task: str | None) -> Any:
    if task is None:
        raise InvalidArgumentError("task: a pipeline that is given in parts needs its task")
    name = llm_task_named(task).pipeline_task if task.startswith(LLM_PREFIX) else task
    problem = check_task_is_there(library, name, None)
    if problem is not None:
        raise InvalidArgumentError(f"task: {problem}")
    for key in ("torch_dtype", "dtype"):
        if key in parts:
            parts[dtype_argument(library)] = parts.pop(key)
    try:
        return library.pipeline(name, **parts)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"transformers_model: its parts make no pipeline of the task {name}: {error}"
        ) from error
