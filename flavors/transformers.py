"""Pipelines of transformers: the model and its components, each as the library writes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.flavors.frame import Frame, describe_weights
from pyfunc.flavors.loading import library_errors_named, load_native
from pyfunc.flavors.pipelines.given import (
    as_pipeline,
    check_template,
    describe_task,
    find_llm_task,
    write_example,
)
from pyfunc.flavors.pipelines.hub import find_sources, is_of_the_hub
from pyfunc.flavors.pipelines.llm import find_predict
from pyfunc.flavors.pipelines.parts import COMPONENTS, read_old_config, read_parts
from pyfunc.flavors.pipelines.predictor import PipelinePredictor
from pyfunc.flavors.pipelines.tasks import relaxed_inputs, signature_of_task
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyfunc.flavors.protocol import LoadArguments
    from pyfunc.schema import ModelSignature

__all__ = [
    "FLAVOR_NAME",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "transformers"

_MODEL_FOLDER = "model"
_TEMPLATE = "prompt_template"

_logger = logging.getLogger("pyfunc.flavors")


def save_model(
    transformers_model: object,
    path: str | os.PathLike[str],
    *,
    processor: Any = None,
    task: str | None = None,
    torch_dtype: object = None,
    model_config: Mapping[str, object] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the pipeline ``transformers_model`` to the new model directory ``path``.

    Args:
        transformers_model: a pipeline; or a dict of its parts (``model``, ``tokenizer`` ...) or
            the folder of a model, which need ``task``.
        path: must not exist, or be an empty directory.
        processor: a processor to be saved beside the parts of the pipeline.
        task: the task of a pipeline that is not given as one; or ``llm/v1/chat``,
            ``llm/v1/completions`` or ``llm/v1/embeddings``, and the model takes and gives the
            requests and answers of OpenAI's interface.
        torch_dtype: the type of the weights when they are loaded; by default as they are now.
        model_config: keyword arguments of the pipeline's calls.
        prompt_template: text around every input, with ``{prompt}`` where that is.
        save_pretrained: False saves no weights of a model of the Hugging Face hub, but its
            repository and commit, from where they are loaded.
        **arguments: what every flavor takes; without a signature that of the task is saved.

    Raises:
        InvalidArgumentError: the arguments do not go together; nothing is written.
        PyfuncError: as for every flavor.
    """
    library = _frame.library()
    pipeline = as_pipeline(library, transformers_model, task)
    llm = find_llm_task(task, pipeline.task)
    check_template(prompt_template, pipeline.task)
    describe_task(
        arguments, task, task=None if llm is None else llm.name, prompt_template=prompt_template
    )
    if llm is not None:
        _set_signature(arguments, llm.signature, llm.name)
    if arguments.get("input_example") is not None:
        arguments["input_example"] = write_example(pipeline.task, arguments["input_example"])
    if prompt_template is not None and pipeline.task == "text-generation":
        model_config = {"return_full_text": False, **(model_config or {})}
    parts = _parts(pipeline, processor)
    sources = {} if save_pretrained else _sources(pipeline.model, parts)
    _frame.save(
        pipeline,
        path,
        arguments,
        write=lambda directory: None if sources else _write(pipeline, parts, directory),
        section={
            **_section(pipeline, parts, library.__version__),
            **(sources or {"model_binary": _MODEL_FOLDER}),
            **({} if torch_dtype is None else {"torch_dtype": str(torch_dtype)}),
            **({} if llm is None else {"inference_task": llm.name}),
        },
        python_function={},
        predictor=lambda: PipelinePredictor(
            pipeline, model_config, prompt_template=prompt_template
        ),
        model_config=model_config,
        default_signature=signature_of_task(pipeline.task),
    )


def load_model(
    model_uri: str | os.PathLike[str],
    *,
    return_type: Literal["pipeline", "components"] = "pipeline",
    device: object = None,
    **arguments: Unpack[LoadArguments],
) -> Any:
    """Return the pipeline of the model at ``model_uri``, or the dict of what it is made of.

    Args:
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
        return_type: ``components`` gives the keyword arguments of ``transformers.pipeline``.
        device: where the pipeline runs; by default as the library chooses.
        **arguments: as for the ``load_model`` of every flavor.

    Raises:
        ModelIncompleteError: the library here has no such task, or cannot read a part.
        PyfuncError: as for the ``load_model`` of every flavor.
    """
    if return_type not in ("pipeline", "components"):
        raise InvalidArgumentError(
            f"return_type: expected pipeline or components, got {shorten(return_type)}"
        )

    def read(opened: OpenedModel) -> Any:
        made = {} if device is None else {"device": device}
        if return_type == "components":
            return {**read_parts(opened, _frame.library()), **made}
        return _read(opened, **made)

    return load_native(model_uri, FLAVOR_NAME, read, arguments)


def load_opened(opened: OpenedModel) -> PipelinePredictor:
    """Return the pipeline in an opened directory, ready to predict.

    Raises:
        ModelIncompleteError: the library here has no such task, or cannot read a part.
    """
    section = opened.flavor(FLAVOR_NAME)
    pipeline = _read(opened)
    llm = section.get("inference_task")
    metadata = opened.meta.metadata
    signature = opened.meta.signature
    if signature is not None and llm is None:
        signature.inputs = relaxed_inputs(pipeline.task, signature.inputs)
    return PipelinePredictor(
        pipeline,
        read_old_config(opened) | (opened.model_config or {}),
        prompt_template=metadata.get(_TEMPLATE) if isinstance(metadata, Mapping) else None,
        predict=find_predict(llm, str(section.get("source_model_name") or "")) if llm else None,
    )


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return how the weights are stored, which is not known of those at the hub."""
    if section.get("source_model_revision"):
        return Serialization("hub", False)
    return describe_weights(section, files)


def _parts(pipeline: Any, processor: Any) -> dict[str, Any]:
    found = {name: getattr(pipeline, name, None) for name in COMPONENTS}
    if processor is not None:
        found["processor"] = processor
    return {name: part for name, part in found.items() if part is not None}


def _section(pipeline: Any, parts: Mapping[str, object], version: str) -> dict[str, object]:
    section = {
        "task": pipeline.task,
        "instance_type": type(pipeline).__name__,
        "pipeline_model_type": type(pipeline.model).__name__,
        "source_model_name": str(getattr(pipeline.model, "name_or_path", "")),
        "torch_dtype": str(pipeline.model.dtype),
        "transformers_version": version,
        "components": [name for name in parts if name != "processor"],
        **{f"{name}_type": type(part).__name__ for name, part in parts.items()},
    }
    framework = getattr(pipeline, "framework", None)  # of transformers before 5
    return section if framework is None else {**section, "framework": framework}


def _write(pipeline: Any, parts: Mapping[str, Any], directory: Path) -> None:
    pipeline.model.save_pretrained(str(directory / _MODEL_FOLDER))
    for name, part in parts.items():
        part.save_pretrained(str(directory / "components" / name))


def _set_signature(arguments: SaveArguments, fixed: ModelSignature, task: str) -> None:
    given = arguments.get("signature")
    to_dict = getattr(given, "to_dict", None)  # one of real MLflow says the same
    if given is not None and (to_dict is None or to_dict() != fixed.to_dict()):
        raise InvalidArgumentError(f"signature: models of the task {task} have one of their own")
    arguments["signature"] = fixed


def _sources(model: Any, parts: Mapping[str, object]) -> dict[str, str]:
    """Return where the model is at the hub; nothing, with a warning, if it is not from there."""
    if is_of_the_hub(str(model.name_or_path)):
        return find_sources(model, parts)
    _logger.warning(
        "save_pretrained=False, and %s is no repository of the hub: its weights are saved",
        shorten(model.name_or_path),
    )
    return {}


def _read(opened: OpenedModel, **more: object) -> Any:
    library = _frame.library()
    parts = read_parts(opened, library)
    with library_errors_named(opened, _MODEL_FOLDER):
        return library.pipeline(**parts, **more)


_frame = Frame(
    FLAVOR_NAME,
    ["transformers", "torch"],
    read=_read,
    predictor=PipelinePredictor,
    load_opened=load_opened,
)

log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
