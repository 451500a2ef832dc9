"""What a model needs, as the caller of a save says it, and the four files that record it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name

from pyfunc.env.installed.distributions import installed_version
from pyfunc.env.requirements.deduplication import merge_duplicates
from pyfunc.env.requirements.environment_files import (
    default_conda_env,
    write_files,
)
from pyfunc.env.requirements.lines import (
    RequirementLines,
    parse_argument,
    parse_requirement,
    without_credentials,
)
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelFormatError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.yaml_reading import read_yaml_mapping
from pyfunc.version import VERSION

__all__ = [
    "MLFLOW_NAMES",
    "OWN_NAME",
    "EnvironmentSpec",
    "Loader",
    "python_version",
    "runtime_requirement",
]

Loader = Literal["pyfunc", "mlflow"]
OWN_NAME = "pyfunc-format"
MLFLOW_NAMES = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})


def python_version() -> str:
    """Return the running Python version as ``major.minor.micro``."""
    return "{}.{}.{}".format(*sys.version_info[:3])


def runtime_requirement(loader: Loader) -> str:
    """Return the requirement line for the library that is to load the model."""
    if loader == "pyfunc":
        return f"{OWN_NAME}=={VERSION}"
    version = installed_version("mlflow")
    return "mlflow" if version is None else f"mlflow=={version}"


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """The checked environment arguments of one save.

    Attributes:
        conda: the conda environment of the caller, a copy, or None.
        pip: what replaces all other requirements, or None.
        extra: what is added to defaults and inferred requirements.
    """

    conda: dict[str, object] | None
    pip: RequirementLines | None
    extra: RequirementLines

    @classmethod
    def from_arguments(
        cls,
        *,
        conda_env: object = None,
        pip_requirements: object = None,
        extra_pip_requirements: object = None,
    ) -> EnvironmentSpec:
        """Return the arguments checked and read; nothing is written.

        Args:
            conda_env: a conda environment as dict, or the path of its YAML file.
            pip_requirements: the complete list: an iterable of ``str`` or the path of a
                requirements file as ``str``. Nothing is inferred and no default is added.
            extra_pip_requirements: what comes on top of defaults and inferred ones.

        Raises:
            InvalidArgumentError: more than one is given, or one holds a line that no
                installer understands.
            InvalidTypeError: an argument is of another type than said above.
            ModelNotFoundError: a named file does not exist.
        """
        given = {
            "conda_env": conda_env,
            "pip_requirements": pip_requirements,
            "extra_pip_requirements": extra_pip_requirements,
        }
        names = [name for name, value in given.items() if value is not None]
        if len(names) > 1:
            raise InvalidArgumentError(
                f"only one of conda_env, pip_requirements and extra_pip_requirements can be "
                f"given, got {' and '.join(names)}"
            )
        spec = cls(
            None if conda_env is None else _read_conda(conda_env),
            None
            if pip_requirements is None
            else parse_argument(pip_requirements, name="pip_requirements"),
            parse_argument(extra_pip_requirements, name="extra_pip_requirements"),
        )
        spec._check()
        return spec

    @property
    def needs_inference(self) -> bool:
        """Whether requirements have to be inferred: the caller gave no complete list."""
        return self.conda is None and self.pip is None

    def _check(self) -> None:
        if self.conda is not None:
            _pip_lines(self.conda)
        merge_duplicates(self.pip.requirements if self.pip else self.extra.requirements)

    def resolve(
        self,
        *,
        defaults: Sequence[str] = (),
        inferred: Sequence[str] | None = None,
        loader: Loader = "pyfunc",
    ) -> RequirementLines:
        """Return the lines of ``requirements.txt`` and of ``constraints.txt``.

        Raises:
            InvalidArgumentError: two requirements contradict each other.
        """
        runtime = runtime_requirement(loader)
        if self.conda is not None:
            given = _pip_lines(self.conda)
            lines = _with_runtime(given.requirements, runtime)
        else:
            given = self.extra if self.pip is None else self.pip
            first = sorted({*defaults, *(inferred or ())}) if self.pip is None else []
            lines = _with_runtime([*first, *given.requirements], runtime)
            lines = _without_clashes(merge_duplicates(lines))
        if given.constraints:
            lines.append("-c constraints.txt")
        return RequirementLines(tuple(lines), given.constraints)

    def write(
        self,
        directory: Path,
        *,
        defaults: Sequence[str] = (),
        inferred: Sequence[str] | None = None,
        loader: Loader = "pyfunc",
    ) -> RequirementLines:
        """Write the environment files into ``directory`` and return what they require.

        Args:
            directory: exists; ``conda.yaml``, ``python_env.yaml``, ``requirements.txt`` and,
                where there are constraints, ``constraints.txt`` are written there.
            defaults: what the flavor always needs.
            inferred: what inference found; ignored when the caller gave a complete list.
            loader: which library is to load the model and is therefore required.

        Raises:
            InvalidArgumentError: two requirements contradict each other.
        """
        lines = self.resolve(defaults=defaults, inferred=inferred, loader=loader)
        if self.conda is None:
            conda = default_conda_env(lines.requirements, python_version())
        else:
            conda = _with_pip_section(self.conda, lines.requirements)
        write_files(directory, lines, conda, python_version())
        return lines


def _with_runtime(lines: Iterable[str], runtime: str) -> list[str]:
    lines = list(lines)
    named = {_runtime_name(line) for line in lines}
    # A list that names mlflow is complete for us too: our loader needs none of it, and an
    # environment of ours brings this library itself.
    satisfied = named & MLFLOW_NAMES or (OWN_NAME in named and runtime.startswith(OWN_NAME))
    return lines if satisfied else [runtime, *lines]


def _runtime_name(line: str) -> str:
    requirement = parse_requirement(line)
    if requirement is not None:
        return canonicalize_name(requirement.name)
    compact = line.replace(" ", "").lower()
    return "mlflow" if "/mlflow" in compact or "mlflow@git" in compact else ""


def _without_clashes(lines: list[str]) -> list[str]:
    names = {line: canonicalize_name(r.name) for line in lines if (r := parse_requirement(line))}
    if "databricks-connect" not in names.values():
        return lines
    return [line for line in lines if names.get(line) not in ("pyspark", "pyspark-connect")]


def _read_conda(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        conda = deepcopy(value)
    elif isinstance(value, str | Path):
        conda = _read_conda_file(Path(value))
    else:
        raise InvalidTypeError(
            "conda_env must be a dict or the path of a conda environment file, got "
            f"{type(value).__name__} {shorten(value)}"
        )
    if not isinstance(conda.get("dependencies"), list):
        raise InvalidArgumentError(
            "conda_env: expected a list under 'dependencies', got "
            f"{shorten(conda.get('dependencies'))}"
        )
    conda["dependencies"] = [_checked_dependency(item) for item in conda["dependencies"]]
    if isinstance(conda.get("channels"), list):
        conda["channels"] = [
            without_credentials(c) if isinstance(c, str) else c for c in conda["channels"]
        ]
    return conda


def _read_conda_file(path: Path) -> dict[str, object]:
    if not path.exists():
        raise ModelNotFoundError(f"conda_env: the file {str(path)!r} does not exist")
    try:
        return read_yaml_mapping(path)
    except ModelFormatError as error:
        raise InvalidArgumentError(f"conda_env: {error}") from error


def _checked_dependency(item: object) -> object:
    if isinstance(item, str):
        return without_credentials(item)
    pip = item.get("pip") if isinstance(item, dict) and len(item) == 1 else None
    if not isinstance(pip, list):
        raise InvalidArgumentError(
            "conda_env: an entry of 'dependencies' must be a string or {'pip': [...]}, got "
            f"{shorten(item)}"
        )
    return item


def _dependencies(conda: dict[str, object]) -> list[object]:
    found = conda["dependencies"]
    assert isinstance(found, list)  # checked as the environment was read
    return found


def _pip_lines(conda: dict[str, object]) -> RequirementLines:
    requirements: list[str] = []
    constraints: list[str] = []
    for item in _dependencies(conda):
        if isinstance(item, dict):
            found = parse_argument(item["pip"], name="conda_env pip section")
            requirements += found.requirements
            constraints += found.constraints
    return RequirementLines(tuple(requirements), tuple(constraints))


def _with_pip_section(conda: dict[str, object], lines: Sequence[str]) -> dict[str, object]:
    dependencies: list[object] = []
    placed = False
    for item in _dependencies(conda):
        if not isinstance(item, dict):
            dependencies.append(item)
        elif not placed:
            dependencies.append({"pip": list(lines)})
            placed = True
    if not placed:
        dependencies.append({"pip": list(lines)})
    return {**conda, "dependencies": dependencies}
