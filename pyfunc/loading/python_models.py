"""Loading models that were saved from Python objects or scripts (format.md 4.6)."""

from __future__ import annotations

import logging
import ntpath
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyfunc.chat.classes import is_chat, unwrap_mlflow
from pyfunc.code.calling import errors_named, told
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import (
    ModelFormatError,
    ModelIncompleteError,
    PyfuncError,
    UntrustedModelError,
    shorten,
)
from pyfunc.model.adopting import recipe_of
from pyfunc.model.hints import pyfunc
from pyfunc.model.opened import OpenedModel
from pyfunc.model.pickle_loading import load_pickle, minor_version
from pyfunc.model.pickle_writing import decompress
from pyfunc.model.python_model import FunctionModel, PythonModelContext
from pyfunc.model.runner import PythonModelRunner, prepare_model
from pyfunc.model.script import run_model_script
from pyfunc.trust import check_code_may_run, check_pickles_are_allowed, current_policy

if TYPE_CHECKING:
    from pyfunc.chat.runner import ChatRunner
    from pyfunc.schema import ModelSignature

__all__ = ["load_opened"]

_logger = logging.getLogger("pyfunc.loading")
_KEY = "flavors.python_function"


def load_opened(opened: OpenedModel) -> PythonModelRunner | ChatRunner:
    """Return the python model of an opened directory, prepared by its ``load_context``.

    Raises:
        ModelIncompleteError: a part is missing, broken or fails.
        IncompatiblePythonError: the pickle holds code of another Python version.
        UntrustedModelError: the environment forbids running code of models.
    """
    if opened.section.get("model_code_path"):
        python_model = _from_script(opened)
    else:
        python_model = _from_pickle(opened)
        unwrap_mlflow(python_model)
    if not callable(getattr(python_model, "predict", None)):
        raise ModelIncompleteError(
            f"expected an object with a predict method, got {shorten(type(python_model))}",
            path=opened.root,
        )
    context = PythonModelContext(_artifact_paths(opened), opened.model_config)
    _prepare(python_model, context, opened)
    return _runner_of(python_model, context, opened.meta.signature)


def _runner_of(
    python_model: object, context: PythonModelContext, signature: ModelSignature | None
) -> PythonModelRunner | ChatRunner:
    if not is_chat(python_model):
        return PythonModelRunner(python_model, context, signature)
    from pyfunc.chat.kinds import chat_of
    from pyfunc.chat.runner import ChatRunner

    return ChatRunner(chat_of(python_model), context, signature)


def _prepare(python_model: object, context: PythonModelContext, opened: OpenedModel) -> None:
    def failed(error: Exception) -> PyfuncError:
        text = f"load_context of the model failed: {told(error)}"
        return ModelIncompleteError(text, path=opened.root).caught_as(error)

    with errors_named(failed), opened.scope.active():
        prepare_model(python_model, context)


def _from_script(opened: OpenedModel) -> object:
    check_code_may_run("its script", opened.root)
    # Written as an absolute path of the machine that saved it; only the name counts.
    written = str(opened.section["model_code_path"])
    name = ntpath.basename(posixpath.basename(written))
    path = opened.files.resolve(name, key=f"{_KEY}.model_code_path", kind="file")
    config = opened.model_config
    folders = opened.scope.directories
    recipe = recipe_of(opened.files, folders, script=path, model_config=config)
    model = run_model_script(path, scope=opened.scope, model_config=config, recipe=recipe)
    if callable(getattr(model, "predict", None)):
        return model
    return FunctionModel(pyfunc(model), opened.meta.signature)


def _from_pickle(opened: OpenedModel) -> object:
    relative = opened.section.get("python_model")
    if relative is None:
        raise ModelFormatError(
            "expected the path of the pickled model, missing",
            path=opened.root / MLMODEL_FILE,
            key=f"{_KEY}.python_model",
        )
    check_pickles_are_allowed(opened.root)
    data = opened.files.read(relative, key=f"{_KEY}.python_model")
    path = opened.root / relative
    compression = opened.section.get("python_model_compression")
    if compression is not None and not current_policy().allows_code:
        # What a few bytes unpack to has no bound, and nothing vouches for these.
        raise UntrustedModelError(
            f"{path}: a compressed pickle is not read with trust={current_policy().mode!r}"
        )
    data = decompress(data, compression, path)
    _check_cloudpickle(opened.section)
    return load_pickle(opened, data, path=path)


def _check_cloudpickle(section: Mapping[str, object]) -> None:
    saved = section.get("cloudpickle_version")
    if saved is None:
        return
    from pyfunc.env.installed.distributions import installed_version

    running = installed_version("cloudpickle")
    if running is not None and minor_version(saved) != minor_version(running):
        _logger.warning(
            "the model was pickled with cloudpickle %s, this is cloudpickle %s", saved, running
        )


def _artifact_paths(opened: OpenedModel) -> dict[str, str]:
    paths: dict[str, str] = {}
    for name, entry in (opened.section.get("artifacts") or {}).items():
        key = f"{_KEY}.artifacts.{name}"
        if not isinstance(entry, Mapping) or "path" not in entry:
            raise ModelFormatError(
                f"expected a mapping with a path, got {shorten(entry)}",
                path=opened.root / MLMODEL_FILE,
                key=key,
            )
        paths[str(name)] = str(opened.files.resolve(entry["path"], key=f"{key}.path", kind="any"))
    return paths
