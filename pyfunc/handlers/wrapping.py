"""A model with a request handler inside a model whose ``predict`` runs it (handlers.md A9).

MLflow passes over a handler. The model around it is one of Python code that MLflow knows, and
hands every row or element of its input to the handler of the model inside. It carries a wheel of
this library, a single file, which runs the handler where the library is not installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pyfunc.directory.mlmodel import FLAVOR_NAME, SCRIPT_LOADER
from pyfunc.directory.verification import write_manifest
from pyfunc.env.creating.own_wheel import read_own_source
from pyfunc.env.requirements.environment_files import (
    CONDA_FILE,
    CONSTRAINTS_FILE,
    REQUIREMENTS_FILE,
    VIRTUALENV_FILE,
)
from pyfunc.env.specification import OWN_NAME
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.paths import size_of
from pyfunc.handlers.project import HANDLER_FLAVOR, WRAPPED_KEY, HandlerProject
from pyfunc.model.description import Model, add_to_model

__all__ = ["INNER_FOLDER", "wrap_handled", "wrap_model"]

INNER_FOLDER = "artifacts/model"

_SCRIPT_NAME = "handled_model.py"
_ENVIRONMENT = (CONDA_FILE, VIRTUALENV_FILE, REQUIREMENTS_FILE, CONSTRAINTS_FILE)
_ATTRIBUTE = "model"
_SCRIPT = f'''"""The model in {INNER_FOLDER} behind its request handler, as {OWN_NAME} wrote it."""

import sys

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class HandledModel(PythonModel):
    def load_context(self, context):
        try:
            import pyfunc
        except ModuleNotFoundError:
            sys.path.append(context.artifacts["runtime"])
            import pyfunc
        self.{_ATTRIBUTE} = pyfunc.load_model(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        from pyfunc.handlers import samples_of

        return [self.{_ATTRIBUTE}.predict_sample(sample) for sample in samples_of(model_input)]


set_model(HandledModel())
'''


def wrap_handled(handler: HandlerProject | None, directory: Path) -> None:
    """Do what the save was asked for: wrap the complete model in ``directory``, or leave it."""
    if handler is not None and handler.wraps:
        wrap_model(directory)


def wrap_model(directory: Path) -> Model:
    """Make the complete model in ``directory`` the inner one; return the outer one.

    Every row of a frame and every element of a list is a sample of the handler; the prediction
    is a list of its answers. The outer model has the environment of the inner one, and no
    signature: that of the inner one is for what the handler makes.

    Raises:
        InvalidArgumentError: the model has no handler, or is inside another one already.
    """
    inner = Model.load(directory)
    section = inner.flavors.get(HANDLER_FLAVOR)
    if not isinstance(section, dict) or section.get(WRAPPED_KEY):
        raise InvalidArgumentError("wrap_as_pyfunc: the model has no request handler of its own")
    folder = _move_inside(directory)
    for name in _ENVIRONMENT:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, directory / name)
    (directory / _SCRIPT_NAME).write_text(_SCRIPT, encoding="utf-8")
    wheel = read_own_source().write_wheel(folder.parent).relative_to(directory).as_posix()
    outer = Model(artifact_path=inner.artifact_path, metadata=inner.metadata)
    add_to_model(
        outer,
        SCRIPT_LOADER,
        conda_env=CONDA_FILE,
        python_env=VIRTUALENV_FILE,
        streamable=False,
        model_code_path=_SCRIPT_NAME,
        artifacts={
            "model": {"path": INNER_FOLDER, "uri": INNER_FOLDER},
            "runtime": {"path": wheel, "uri": wheel},
        },
    )
    outer.flavors[FLAVOR_NAME]["code"] = None
    outer.add_flavor(HANDLER_FLAVOR, **_outer_section(section))
    outer.model_size_bytes = size_of(directory) or None
    outer.write_into(directory)
    write_manifest(directory)
    return outer


def _move_inside(directory: Path) -> Path:
    entries = list(directory.iterdir())
    waiting = directory / ".inner"  # the model inside may have artifacts of its own
    waiting.mkdir()
    for entry in entries:
        entry.rename(waiting / entry.name)
    folder = directory / INNER_FOLDER
    folder.parent.mkdir()
    return waiting.rename(folder)


def _outer_section(section: dict[str, object]) -> dict[str, object]:
    project = f"{INNER_FOLDER}/{section['project']}"
    return {**section, "project": project, WRAPPED_KEY: _ATTRIBUTE}
