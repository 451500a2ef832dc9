"""The parts of a pipeline: read from the folders of a model, or from the commits that it names.

Weights may be a pickle, and a folder may have code: who calls has asked whether that may run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from packaging.version import Version

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import ModelFormatError, ModelIncompleteError, shorten
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.model.opened import OpenedModel

__all__ = [
    "COMPONENTS",
    "check_task_is_there",
    "dtype_argument",
    "read_old_config",
    "read_parts",
]

COMPONENTS: Mapping[str, str] = {
    "feature_extractor": "AutoFeatureExtractor",
    "tokenizer": "AutoTokenizer",
    "image_processor": "AutoImageProcessor",
    "processor": "AutoProcessor",
}
"""Part of a pipeline -> the class that reads it where its own is not of the library."""

_FLAVOR = "transformers"
_OLD_CONFIG = "components/inference_config.txt"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Keys of what needs a model that is elsewhere.
_ELSEWHERE = ("peft_adaptor", "local_base_model_path")


def read_parts(opened: OpenedModel, library: ModuleType) -> dict[str, Any]:
    """Return the arguments that make the pipeline again: its task, its model and its components.

    Raises:
        ModelIncompleteError: the library here has no such task, or cannot read a part.
        ModelFormatError: a key of the flavor is missing or has a value that cannot work.
    """
    section = opened.flavor(_FLAVOR)
    task = str(flavor_key(opened, _FLAVOR, "task"))
    saved = section.get("transformers_version")
    problem = check_task_is_there(library, task, saved)
    if problem is not None:
        raise ModelIncompleteError(problem, path=opened.root / MLMODEL_FILE)
    for key in _ELSEWHERE:
        if section.get(key):
            raise _malformed(
                opened,
                key,
                "a model with all of its weights, got an adapter of PEFT\n"
                "hint: load it with mlflow.transformers, or save the merged model",
            )
    reader = _Reader(opened, library, section)
    names = dict.fromkeys(section.get("components") or ())
    if "processor_type" in section:
        names["processor"] = None
    return {
        "task": task,
        "model": reader.model(),
        **{name: reader.component(name) for name in names if name in COMPONENTS},
    }


def check_task_is_there(library: ModuleType, task: str, saved: object) -> str | None:
    """Return why pipelines of ``task`` cannot be made by the library here; None if they can.

    Args:
        library: the module ``transformers``.
        task: as a pipeline names it.
        saved: the version of the library that a model was saved with, or None.
    """
    known = library.pipelines.get_supported_tasks()
    if task in known or (task.startswith("translation_") and "translation" in known):
        return None
    needed = f"=={saved}" if saved else f"<{Version(library.__version__).major}"
    return (
        f"transformers {library.__version__} has no pipelines of the task {task!r}"
        f"{f', the model was saved with {saved}' if saved else ''}\n"
        f"hint: pip install 'transformers{needed}'"
    )


def read_old_config(opened: OpenedModel) -> dict[str, object]:
    """Return the options of calls that MLflow before 2.6 kept in a file; none without one.

    Raises:
        ModelFormatError: it is no mapping in JSON.
    """
    file = opened.files.resolve(_OLD_CONFIG, key=_OLD_CONFIG, must_exist=False)
    if not file.is_file():
        return {}
    try:
        found = json.loads(opened.files.read(_OLD_CONFIG, key=_OLD_CONFIG))
    except ValueError as error:
        raise ModelFormatError(f"is no JSON: {error}", path=file) from error
    if not isinstance(found, dict):
        raise ModelFormatError(f"expected a mapping, got {shorten(found)}", path=file)
    return found


def dtype_argument(library: ModuleType) -> str:
    """Return what the library calls the type of the weights."""
    return "dtype" if Version(library.__version__) >= Version("4.56") else "torch_dtype"


class _Reader:
    """Reads the parts of one model."""

    def __init__(
        self, opened: OpenedModel, library: ModuleType, section: Mapping[str, object]
    ) -> None:
        self._opened = opened
        self._library = library
        self._section = section
        self._revision = section.get("source_model_revision")

    def model(self) -> Any:
        kind = str(flavor_key(self._opened, _FLAVOR, "pipeline_model_type"))
        if self._revision is None:
            place, where = self._folder(flavor_key(self._opened, _FLAVOR, "model_binary"))
        else:
            place, where = self._commit("source_model_name", "source_model_revision")
        with library_errors_named(self._opened, place):
            found, more = self._model_class(kind, where)
            return found.from_pretrained(**where, **more, **self._dtype())

    def component(self, name: str) -> Any:
        if self._revision is None:
            place, where = self._folder(f"components/{name}", "components")
        else:
            place, where = self._commit(f"{name}_name", f"{name}_revision")
        own = getattr(self._library, str(self._section.get(f"{name}_type")), None)
        with library_errors_named(self._opened, place):
            if own is not None:
                return own.from_pretrained(**where)
            auto = getattr(self._library, COMPONENTS[name])
            return auto.from_pretrained(**where, trust_remote_code=True)

    def _model_class(self, kind: str, where: Mapping[str, object]) -> tuple[Any, dict[str, bool]]:
        own = getattr(self._library, kind, None)
        if own:
            return own, {}
        trusted = {"trust_remote_code": True}  # the policy in force has let its code run
        config = self._library.AutoConfig.from_pretrained(**where, **trusted)
        for auto, name in (getattr(config, "auto_map", None) or {}).items():
            if name.rpartition(".")[2] == kind:
                return getattr(self._library, auto), trusted
        raise ModelIncompleteError(
            f"neither transformers {self._library.__version__} nor the model has a class {kind}",
            path=self._opened.root / MLMODEL_FILE,
        )

    def _folder(self, relative: object, key: str = "model_binary") -> tuple[str, dict[str, Any]]:
        folder = self._opened.files.resolve(relative, key=f"flavors.{_FLAVOR}.{key}", kind="dir")
        return str(relative), {
            "pretrained_model_name_or_path": str(folder),
            "local_files_only": True,
        }

    def _commit(self, name_key: str, revision_key: str) -> tuple[str, dict[str, Any]]:
        name = str(flavor_key(self._opened, _FLAVOR, name_key))
        revision = flavor_key(self._opened, _FLAVOR, revision_key)
        if not _COMMIT.fullmatch(revision):
            raise _malformed(
                self._opened, revision_key, f"the 40 digits of a commit, got {shorten(revision)}"
            )
        where = {"pretrained_model_name_or_path": name, "revision": revision}
        return f"{name}@{revision}", where

    def _dtype(self) -> dict[str, object]:
        text = self._section.get("torch_dtype")
        if not text:
            return {}
        torch = import_library("torch", extra=_FLAVOR)
        found = getattr(torch, str(text).removeprefix("torch."), None)
        if not isinstance(found, torch.dtype):
            raise _malformed(
                self._opened, "torch_dtype", f"the name of a torch.dtype, got {shorten(text)}"
            )
        return {dtype_argument(self._library): found}


def _malformed(opened: OpenedModel, key: str, expected: str) -> ModelFormatError:
    return ModelFormatError(
        f"expected {expected}", path=opened.root / MLMODEL_FILE, key=f"flavors.{_FLAVOR}.{key}"
    )
