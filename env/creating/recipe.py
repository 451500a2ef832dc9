"""What an isolated environment for a saved model consists of, read from the model's files."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.directory.mlmodel import MLmodel, read_mlmodel_if_any
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.inference.model_modules import uses_mlflow_itself
from pyfunc.env.requirements.conda_files import (
    channels_of,
    has_pip_section,
    packages_of,
    parse_conda_file,
    pip_lines,
)
from pyfunc.env.requirements.environment_files import (
    CONDA_FILE,
    REQUIREMENTS_FILE,
    VIRTUALENV_FILE,
)
from pyfunc.env.requirements.lines import (
    check_line,
    is_by_hand,
    parse_include,
    parse_requirement,
)
from pyfunc.env.requirements.of_model import read_model_lines
from pyfunc.env.requirements.places import Place, check_restorable, parse_place, without_editable
from pyfunc.env.specification import MLFLOW_NAMES, OWN_NAME, python_version
from pyfunc.errors import InvalidArgumentError, ModelFormatError
from pyfunc.files.paths import confine
from pyfunc.files.yaml_reading import MAX_YAML_BYTES

__all__ = ["Recipe", "read_recipe"]

logger = logging.getLogger("pyfunc.env")

_BUILD = re.compile(r"(python|pip|setuptools|wheel)(<=|>=|==|!=|<|>|=)?([\d.]+)?")


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
        files: those of the requirements that name a file of the model.
        digests: SHA-256 of these files.
        names: where they are in the model.
    """

    python: str
    build: tuple[str, ...]
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def key(self, *parts: str) -> str:
        """Return a short name for the content, the machine and ``parts``."""
        content = json.dumps([asdict(self), sys.platform, platform.machine(), *parts])
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    def with_copies(self, files: ModelFiles, folder: Path) -> Recipe:
        """Return the recipe with the files of the model copied below ``folder``, as checked.

        An installer opens them much later, by their paths.

        Raises:
            ModelIntegrityError: a file is not the one that ``files`` lists.
        """
        copies: dict[str, str] = {}
        for number, (line, name) in enumerate(zip(self.files, self.names, strict=True)):
            path = folder / str(number) / Path(name).name
            path.parent.mkdir()
            path.write_bytes(files.read(name, key=f"line {line!r}"))
            original = files.resolve(name, key=f"line {line!r}", kind="file").absolute()
            written = line.replace(original.as_uri(), path.as_uri())
            copies[line] = written.replace(str(original), str(path))
        return replace(self, requirements=tuple(copies.get(r, r) for r in self.requirements))

    def check_restorable(self) -> Recipe:
        """Return the recipe if an installer can find everything that it names.

        Raises:
            InvalidArgumentError: something came from a place that only the machine knows where
                the model was saved; all of it is named.
        """
        missing = [line for line in self.requirements if is_by_hand(line)]
        if missing:
            raise InvalidArgumentError(
                f"{REQUIREMENTS_FILE}: nothing can install what the model needs:\n"
                + "".join(f"  - {line.partition(': ')[2]}\n" for line in missing)
                + "hint: say where it is now with pip_requirements_override, or save the model "
                "again with the code in code_paths"
            )
        for line in self.requirements:
            if line not in self.files:
                check_restorable(line, source=REQUIREMENTS_FILE)
        return self


def read_recipe(
    directory: Path,
    mlmodel: MLmodel | None = None,
    *,
    install_mlflow: bool | None = None,
    files: ModelFiles | None = None,
) -> Recipe:
    """Return the recipe for the model in ``directory``; nothing of it is run.

    Args:
        directory: the model.
        mlmodel: its MLmodel file, if that has been read already.
        files: reads its files, and checks what it reads; by default nothing is checked.
        install_mlflow: True keeps a requirement of MLflow, or adds one of the version that the
            model was saved with. By default a plain one is left out unless the model's code
            uses parts of MLflow that this library has no stand-in for. A line for this library
            is always left out: the environment gets the running version.

    Raises:
        InvalidArgumentError: a line is nothing that an installer understands; it is named.
        ModelFormatError: a file cannot be read.
        ModelPathError: a line names a file outside the model.
        ModelIntegrityError: a file is not the one that ``files`` lists.
    """
    files = files or ModelFiles(directory, None)
    if mlmodel is None:
        read_any = files.manifest is None
        mlmodel = read_mlmodel_if_any(directory) if read_any else files.read_mlmodel()
    conda_name = mlmodel.environment_file("conda") or CONDA_FILE
    conda = _read_optional(files, conda_name)
    virtualenv = _read_virtualenv(files, mlmodel)
    if virtualenv is not None:
        python, build, lines = virtualenv
    else:
        python, build, lines = _read_conda_parts(conda, files, directory / conda_name)
    found = read_model_lines(files, "\n".join(lines))
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
    return Recipe(
        python=python,
        build=tuple(_checked(build)),
        requirements=tuple(requirements),
        constraints=tuple(constraints),
        conda=tuple(packages_of(conda)),
        channels=tuple(channels_of(conda)),
        files=tuple(_placed(line, directory) for line in found.requirements if parse_place(line)),
        digests=tuple(_digests(found.requirements, files)),
        names=tuple(_inside(place) for line in found.requirements if (place := parse_place(line))),
    )


def _digests(lines: Iterable[str], files: ModelFiles) -> Iterator[str]:
    for line in lines:
        place = parse_place(line)
        if place is not None:
            content = files.read(_inside(place), key=f"line {line!r}")
            yield hashlib.sha256(content).hexdigest()


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


def _checked(lines: Iterable[str]) -> Iterator[str]:
    for line in map(without_editable, lines):
        check_line(line, source=REQUIREMENTS_FILE)
        if parse_include(line) is not None or line.startswith(("-e", "--editable")):
            raise InvalidArgumentError(
                f"{REQUIREMENTS_FILE}: line {line!r} cannot be installed from a saved model\n"
                "hint: name a published version or a file inside the model"
            )
        yield line


def _placed(line: str, directory: Path) -> str:
    """Return ``line`` with a path to a file of the model made absolute."""
    place = parse_place(line)
    if place is None:
        return line
    path = confine(
        directory,
        _inside(place),
        key=f"line {line!r}",
        file=directory / REQUIREMENTS_FILE,
        kind="file",
    ).absolute()
    if " " not in str(path) or place.name is None:
        return f"{path}{place.extras}{place.rest}"
    # Not every installer reads a path with spaces; all read an address.
    return f"{place.name}{place.extras} @ {path.as_uri()}{place.rest}"


def _inside(place: Place) -> str:
    """Return the path as MLmodel would have it."""
    return place.path.replace("\\", "/").removeprefix("./")


def _read_optional(files: ModelFiles, name: str) -> dict[str, object] | None:
    path = files.resolve(name, key="env", must_exist=False)
    if not files.holds(name):
        return None
    return parse_conda_file(files.read(name, key="env", max_bytes=MAX_YAML_BYTES), path=path)


def _read_virtualenv(
    files: ModelFiles, mlmodel: MLmodel
) -> tuple[str, list[str], list[str]] | None:
    name = mlmodel.environment_file("virtualenv") or VIRTUALENV_FILE
    data = _read_optional(files, name)
    if data is None:
        return None
    path = files.root / name
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
    conda: dict[str, object] | None, files: ModelFiles, path: Path
) -> tuple[str, list[str], list[str]]:
    """Return Python version, build tools and pip lines of a model without python_env.yaml."""
    python = None
    build: list[str] = []
    unused: list[str] = []
    for item in packages_of(conda):
        if (match := _BUILD.fullmatch(item)) is None:
            unused.append(item)
        elif match[1] == "python":
            python = _conda_python(match, item)
        else:
            build.append(item.replace("=", "==") if match[2] == "=" else item)
    if unused:
        logger.warning("Only conda installs %s; left out here.", ", ".join(unused))
    if python is None:
        python = python_version()
        logger.warning("The model names no Python version; using the running %s.", python)
    pip = pip_lines(conda, path=path)
    if not has_pip_section(conda) and files.holds(REQUIREMENTS_FILE):
        pip = [f"-r {REQUIREMENTS_FILE}"]
    return python, build, pip


def _conda_python(match: re.Match[str], item: str) -> str:
    if match[2] not in ("=", "==", "<=", ">=") or not match[3]:
        raise ModelFormatError(
            f"expected a pinned Python such as python=3.10.13, got {item!r}", key="dependencies"
        )
    return match[3]
