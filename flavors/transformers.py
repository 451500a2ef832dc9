"""Pipelines of transformers: the model and its components, each as the library writes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame, describe_weights
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.protocol import SaveArguments
from pyfunc.flavors.text_pipelines import TASKS, TextPredictor, signature_of_task
from pyfunc.model.description import MLMODEL_FILE
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    from typing_extensions import Unpack

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

describe = describe_weights

_MODEL_FOLDER = "model"
_COMPONENTS = ("tokenizer", "feature_extractor", "image_processor", "processor")


def save_model(
    transformers_model: object,
    path: str | os.PathLike[str],
    *,
    task: str | None = None,
    model_config: Mapping[str, object] | None = None,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the pipeline ``transformers_model`` to the new model directory ``path``.

    Args:
        transformers_model: a pipeline, or a dict of its parts (``model``, ``tokenizer`` ...),
            which needs ``task``. Of some tasks the pipeline is saved for :func:`load_model` only.
        path: must not exist, or be an empty directory.
        task: the task of a pipeline that is given in parts.
        model_config: keyword arguments of the pipeline's calls.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    pipeline = _as_pipeline(library, transformers_model, task)
    found = [(name, getattr(pipeline, name, None)) for name in _COMPONENTS]
    parts = {name: part for name, part in found if part is not None}
    predicts = pipeline.task in TASKS
    if predicts and arguments.get("signature") is None and arguments.get("input_example") is None:
        arguments["signature"] = signature_of_task(pipeline.task)

    def write(directory: Path) -> None:
        pipeline.model.save_pretrained(str(directory / _MODEL_FOLDER))
        for name, part in parts.items():
            part.save_pretrained(str(directory / "components" / name))

    _frame.save(
        pipeline,
        path,
        arguments,
        write=write,
        section={
            "task": pipeline.task,
            "instance_type": type(pipeline).__name__,
            "pipeline_model_type": type(pipeline.model).__name__,
            "source_model_name": str(getattr(pipeline.model, "name_or_path", "")),
            "torch_dtype": str(pipeline.model.dtype),
            "transformers_version": library.__version__,
            "model_binary": _MODEL_FOLDER,
            "components": list(parts),
            **{f"{name}_type": type(part).__name__ for name, part in parts.items()},
        },
        python_function={} if predicts else None,
        predictor=lambda: TextPredictor(pipeline, model_config),
        model_config=model_config,
    )


def load_opened(opened: OpenedModel) -> TextPredictor:
    """Return the pipeline in an opened directory, ready to predict.

    Raises:
        ModelFormatError: the pipeline has a task that is not predicted with here.
    """
    task = opened.flavor(FLAVOR_NAME).get("task")
    if task not in TASKS:
        raise ModelFormatError(
            f"expected one of {', '.join(TASKS)}, got {shorten(task)}\n"
            "hint: pyfunc.flavors.transformers.load_model gives the pipeline of any task",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.task",
        )
    return TextPredictor(_read(opened), opened.model_config)


def _as_pipeline(library: ModuleType, given: object, task: str | None) -> Any:
    if isinstance(given, library.Pipeline):
        return given
    if not isinstance(given, Mapping):
        raise InvalidTypeError(
            f"expected a transformers.Pipeline or a dict of its parts, got {shorten(type(given))}"
        )
    if task is None or "model" not in given:
        raise InvalidArgumentError("a pipeline given in parts needs 'model' and a task")
    return library.pipeline(task, **given)


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    section = opened.flavor(FLAVOR_NAME)
    relative = flavor_key(opened, FLAVOR_NAME, "model_binary")
    task = flavor_key(opened, FLAVOR_NAME, "task")
    kind = flavor_key(opened, FLAVOR_NAME, "pipeline_model_type")
    model_folder = opened.files.resolve(
        relative, key=f"flavors.{FLAVOR_NAME}.model_binary", kind="dir"
    )
    # Weights may be a pickle.
    check_code_may_run(f"its folder {relative}", opened.root)
    with library_errors_named(opened, relative):
        model = getattr(library, kind).from_pretrained(str(model_folder), local_files_only=True)
        parts = {
            name: _read_part(library, opened, name)
            for name in section.get("components") or ()
            if name in _COMPONENTS
        }
        return library.pipeline(task, model=model, **parts)


def _read_part(library: ModuleType, opened: OpenedModel, name: str) -> object:
    folder = opened.files.resolve(
        f"components/{name}", key=f"flavors.{FLAVOR_NAME}.components", kind="dir"
    )
    auto = {
        "tokenizer": "AutoTokenizer",
        "feature_extractor": "AutoFeatureExtractor",
        "image_processor": "AutoImageProcessor",
        "processor": "AutoProcessor",
    }[name]
    return getattr(library, auto).from_pretrained(str(folder), local_files_only=True)


_frame = Frame(
    FLAVOR_NAME,
    ["transformers", "torch"],
    read=_read,
    predictor=lambda pipeline: TextPredictor(pipeline, None),
    load_opened=load_opened,
)

load_model = _frame.load_model
log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
