"""What an isolated environment for a saved model consists of, read from the model's files."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.directory.mlmodel import MLmodel, read_mlmodel_if_any
from pyfunc.env.inference.model_modules import uses_mlflow_itself
from pyfunc.env.requirements.environment_files import (
    CONDA_FILE,
    REQUIREMENTS_FILE,
    VIRTUALENV_FILE,
)
from pyfunc.env.requirements.lines import check_line, is_archive_name, parse_requirement
from pyfunc.env.requirements.of_model import read_model_lines
from pyfunc.env.specification import MLFLOW_NAMES, OWN_NAME, python_version
from pyfunc.errors import InvalidArgumentError, ModelFormatError
from pyfunc.files.paths import confine, open_regular_file
from pyfunc.files.yaml_reading import read_yaml_mapping

__all__ = ["Recipe", "read_recipe"]

logger = logging.getLogger("pyfunc.env")

_BUILD = re.compile(r"(python|pip|setuptools|wheel)(<=|>=|==|!=|<|>|=)?([\d.]+)?")
_CONDA_ITEM = re.compile(r"[A-Za-z0-9][\w.:/@+\[\]=<>!~*|, -]*")
_INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)(\s+|=)?(.*)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what an environment holds.

    Attributes:
        python: the wanted Python version.
        build: requirements of the build tools.
        requirements: requirement and option lines; paths in them are absolute.
        constraints: constraint lines.
        conda: the non-pip dependencies of the conda file, for the conda manager.
        channels: the channels of the conda file.
        digests: SHA-256 of the files of the model that requirement lines name.
    """

    python: str
    build: tuple[str, ...]
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    def key(self, *parts: str) -> str:
        """Return a short name for the content, the machine and ``parts``."""
        content = json.dumps([asdict(self), sys.platform, platform.machine(), *parts])
        return hashlib.sha256(content.encode()).hexdigest()[:24]


def read_recipe(
    directory: Path, mlmodel: MLmodel | None = None, *, install_mlflow: bool | None = None
) -> Recipe:
    """Return the recipe for the model in ``directory``; nothing of it is run.

    Args:
        directory: the model.
        mlmodel: its MLmodel file, if that has been read already.
        install_mlflow: True keeps a requirement of MLflow, or adds one of the version that the
            model was saved with. By default a plain one is left out unless the model's code
            uses parts of MLflow that this library has no stand-in for. A line for this library
            is always left out: the environment gets the running version.

    Raises:
        InvalidArgumentError: a line is nothing that an installer understands; it is named.
        ModelFormatError: a file cannot be read.
        ModelPathError: a line names a file outside the model.
    """
    if mlmodel is None:
        mlmodel = read_mlmodel_if_any(directory)
    conda = _read_optional(directory, mlmodel.environment_file("conda") or CONDA_FILE)
    virtualenv = _read_virtualenv(directory, mlmodel)
    if virtualenv is not None:
        python, build, lines = virtualenv
    else:
        python, build, lines = _read_conda_parts(conda, directory)
    found = read_model_lines(directory, "\n".join(lines))
    keep_mlflow = (
        uses_mlflow_itself(directory, mlmodel) if install_mlflow is None else install_mlflow
    )
    requirements = [
        _placed(line, directory)
        for line in _checked(found.requirements)
        if not _is_runtime(line, keep_mlflow=keep_mlflow)
    ]
    if install_mlflow and not any(map(_is_mlflow, requirements)):
        requirements.append(_saved_mlflow(mlmodel))
    constraints = [
        line
        for line in _checked(found.constraints)
        if not _is_runtime(line, keep_mlflow=keep_mlflow)
    ]
    others, channels = _conda_dependencies(conda)
    return Recipe(
        python=python,
        build=tuple(_checked(build)),
        requirements=tuple(requirements),
        constraints=tuple(constraints),
        conda=others,
        channels=channels,
        digests=tuple(_digest(line) for line in requirements if line.startswith("/")),
    )


def _is_path(line: str, name: str) -> bool:
    if line.startswith("-") or "://" in line:
        return False
    # "a-1.0.zip" could be the name of a package as well; installers take it for a file.
    return is_archive_name(name) or parse_requirement(line) is None


def _digest(line: str) -> str:
    with open_regular_file(line.partition(" ;")[0].partition("[")[0]) as file:
        return hashlib.sha256(file.read()).hexdigest()


def _is_runtime(line: str, *, keep_mlflow: bool) -> bool:
    requirement = parse_requirement(line)
    if requirement is None:
        return False
    name = canonicalize_name(requirement.name)
    return name == OWN_NAME or (
        name in MLFLOW_NAMES and not keep_mlflow and not requirement.extras
    )


def _is_mlflow(line: str) -> bool:
    requirement = parse_requirement(line)
    return requirement is not None and canonicalize_name(requirement.name) in MLFLOW_NAMES


def _saved_mlflow(mlmodel: MLmodel) -> str:
    """Return a requirement of MLflow as it was when the model was saved, if that is known."""
    try:
        version = Version(mlmodel.mlflow_version or "")
    except InvalidVersion:
        return "mlflow"
    # What was saved from MLflow's sources names a version that is not published.
    return "mlflow" if version.is_devrelease or version.local else f"mlflow=={version}"


def _checked(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        check_line(line, source=REQUIREMENTS_FILE)
        if _INCLUDE.fullmatch(line) or line.startswith(("-e", "--editable")):
            raise InvalidArgumentError(
                f"{REQUIREMENTS_FILE}: line {line!r} cannot be installed from a saved model\n"
                "hint: name a published version or a file inside the model"
            )
        yield line


def _placed(line: str, directory: Path) -> str:
    """Return ``line`` with a path to a file of the model made absolute."""
    name, semicolon, marker = line.partition(" ;")
    if not _is_path(line, name.strip()):
        return line
    place, bracket, extras = name.strip().removeprefix("./").partition("[")
    path = confine(
        directory,
        place,
        key=f"line {line!r}",
        file=directory / REQUIREMENTS_FILE,
        kind="file",
    )
    return f"{path.absolute()}{bracket}{extras}{semicolon}{marker}"


def _read_optional(directory: Path, name: str) -> dict[str, object] | None:
    path = confine(directory, name, key="env", must_exist=False)
    return read_yaml_mapping(path) if path.is_file() else None


def _read_virtualenv(directory: Path, mlmodel: MLmodel) -> tuple[str, list[str], list[str]] | None:
    name = mlmodel.environment_file("virtualenv") or VIRTUALENV_FILE
    data = _read_optional(directory, name)
    if data is None:
        return None
    path = directory / name
    python = data.pop("python", None)
    if python is not None and not isinstance(python, str):
        raise ModelFormatError(
            f"expected a string, got {type(python).__name__}", path=path, key="python"
        )
    lists = [_strings(data.pop(k, None), path, k) for k in ("build_dependencies", "dependencies")]
    if data:
        raise ModelFormatError(f"unknown keys {sorted(data)}", path=path)
    return python or python_version(), lists[0], lists[1]


def _strings(value: object, path: Path, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ModelFormatError(
            f"expected a list of strings, got {type(value).__name__}", path=path, key=key
        )
    return value


def _read_conda_parts(
    conda: dict[str, object] | None, directory: Path
) -> tuple[str, list[str], list[str]]:
    """Return Python version, build tools and pip lines of a model without python_env.yaml."""
    python = None
    build: list[str] = []
    pip: list[str] | None = None
    unused: list[str] = []
    for item in _conda_items(conda):
        if isinstance(item, dict):
            pip = _pip_section(item, directory)
        elif not isinstance(item, str) or (match := _BUILD.fullmatch(item)) is None:
            unused.append(str(item))
        elif match[1] == "python":
            python = _conda_python(match, item)
        else:
            build.append(item.replace("=", "==") if match[2] == "=" else item)
    if unused:
        logger.warning("Only conda installs %s; left out here.", ", ".join(unused))
    if python is None:
        python = python_version()
        logger.warning("The model names no Python version; using the running %s.", python)
    if pip is None:
        exists = (directory / REQUIREMENTS_FILE).is_file()
        pip = [f"-r {REQUIREMENTS_FILE}"] if exists else []
    return python, build, pip


def _conda_items(conda: dict[str, object] | None) -> list[object]:
    items = (conda or {}).get("dependencies")
    return items if isinstance(items, list) else []


def _pip_section(item: dict[str, object], directory: Path) -> list[str]:
    if list(item) != ["pip"]:
        raise ModelFormatError(
            f"expected a string or a pip section, got {item}",
            path=directory / CONDA_FILE,
            key="dependencies",
        )
    return _strings(item["pip"], directory / CONDA_FILE, "dependencies.pip")


def _conda_python(match: re.Match[str], item: str) -> str:
    if match[2] not in ("=", "==", "<=", ">=") or not match[3]:
        raise ModelFormatError(
            f"expected a pinned Python such as python=3.10.13, got {item!r}", key="dependencies"
        )
    return match[3]


def _conda_dependencies(
    conda: dict[str, object] | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    items = tuple(item for item in _conda_items(conda) if isinstance(item, str))
    channels = (conda or {}).get("channels")
    names = tuple(map(str, channels)) if isinstance(channels, list) else ()
    for item in (*items, *names):
        # They become arguments of a command: nothing that looks like an option.
        if not _CONDA_ITEM.fullmatch(item):
            raise InvalidArgumentError(
                f"conda file: line {item!r} is neither a conda package nor a channel"
            )
    return items, names
