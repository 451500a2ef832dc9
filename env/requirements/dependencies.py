"""Gives the file that installs what a model was saved with."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from pyfunc.directory.mlmodel import read_mlmodel
from pyfunc.env.requirements.conda_files import (
    has_pip_section,
    packages_of,
    pip_lines,
    read_conda_file,
)
from pyfunc.env.requirements.environment_files import CONDA_FILE, CONDA_KEY, REQUIREMENTS_FILE
from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    InvalidArgumentError,
    ModelFormatError,
)
from pyfunc.files.locations import resolve_model
from pyfunc.files.paths import confine

__all__ = ["get_model_dependencies"]

logger = logging.getLogger("pyfunc.env")


def get_model_dependencies(
    model_uri: str | os.PathLike[str], format: Literal["pip", "conda"] = "pip"
) -> str:
    """Return the absolute path of the requirements or conda file of a model.

    Args:
        model_uri: the model, as for ``load_model``.
        format: ``pip`` gives ``requirements.txt``; a model without one gets a file in a new
            temporary folder, with the pip section of its conda file. ``conda`` gives the conda
            file that the MLmodel file names.

    Raises:
        InvalidArgumentError: ``format`` is something else.
        ModelNotFoundError: there is no such directory, or its MLmodel file is missing and needed.
        ModelFormatError: neither a requirements file nor a pip section exists
            (``RESOURCE_DOES_NOT_EXIST``), or a file cannot be read.
        ModelPathError: the conda file lies outside the model.
    """
    if format not in ("pip", "conda"):
        raise InvalidArgumentError(
            f"format: expected 'pip' or 'conda', got {format!r}", INVALID_PARAMETER_VALUE
        )
    directory = resolve_model(model_uri)
    if format == "conda":
        return str(_conda_file_of(directory))
    path = directory / REQUIREMENTS_FILE
    if not path.is_file():
        path = _extract_pip_section(directory)
    logger.info("Install what the model was saved with: %s install -r %s", _pip(), path)
    return str(path)


def _pip() -> str:
    shell = sys.modules.get("IPython")
    in_notebook = shell is not None and shell.get_ipython() is not None
    return "%pip" if in_notebook else "pip"


def _conda_file_of(directory: Path) -> Path:
    """Return the conda file that the MLmodel file of a model names; it need not exist."""
    name = read_mlmodel(directory).environment_file("conda") or CONDA_FILE
    return confine(directory, name, key=CONDA_KEY, kind="file", must_exist=False)


def _extract_pip_section(directory: Path) -> Path:
    logger.info("The model has no requirements.txt; using the pip section of its conda file.")
    conda_path = _conda_file_of(directory)
    conda = read_conda_file(conda_path)
    try:
        lines = pip_lines(conda, path=conda_path) if has_pip_section(conda) else None
    except ModelFormatError:
        lines = None
    if lines is None:
        raise ModelFormatError(
            "expected a pip section, as the model has no requirements.txt",
            path=conda_path,
            key="dependencies",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )
    others = packages_of(conda)
    if others:
        logger.warning("Left out, as pip cannot install them: %s.", ", ".join(others))
    target = Path(tempfile.mkdtemp(prefix="pyfunc-requirements-")) / REQUIREMENTS_FILE
    target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return target
