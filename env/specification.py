"""What a model needs, as the caller of a save says it, and the four files that record it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name

from pyfunc.env.installed.distributions import find_distribution
from pyfunc.env.requirements.conda_files import (
    pip_lines,
    read_conda_argument,
    with_pip_section,
)
from pyfunc.env.requirements.deduplication import merge_duplicates, yield_to_given
from pyfunc.env.requirements.environment_files import (
    default_conda_env,
    write_files,
)
from pyfunc.env.requirements.lines import (
    RequirementLines,
    by_hand,
    is_by_hand,
    parse_argument,
    parse_requirement,
)
from pyfunc.env.requirements.places import parse_place
from pyfunc.env.requirements.sources import Source, pinned, read_source
from pyfunc.errors import InvalidArgumentError, shorten
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
    """Return the requirement line for the library that is to load the model.

    This library is only named with its version where it came from an index; otherwise the line
    is a comment that says how to install it, which environments made here need not follow.
    """
    if loader == "mlflow":
        return pinned("mlflow")
    distribution = find_distribution(OWN_NAME)
    source = Source("directory") if distribution is None else read_source(distribution)
    if source is None:
        return f"{OWN_NAME}=={VERSION}"
    target = f"'{OWN_NAME} @ {source.reference}'" if source.reference else "PATH_OF_ITS_SOURCE"
    return by_hand(f"{OWN_NAME}=={VERSION}", source.told, f"pip install {target}")


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
            None if conda_env is None else read_conda_argument(conda_env),
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

    def _given(self) -> RequirementLines:
        if self.conda is not None:
            return parse_argument(pip_lines(self.conda), name="conda_env pip section")
        return self.extra if self.pip is None else self.pip

    def _check(self) -> None:
        given = self._given()
        if self.conda is None:
            merge_duplicates(given.requirements)
        if self.needs_inference and given.ask_for_hashes:
            raise InvalidArgumentError(
                "extra_pip_requirements: with hashes, pip asks for those of every line, and "
                "inferred ones have none\nhint: give the complete list as pip_requirements"
            )

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
        given = self._given()
        runtime = runtime_requirement(loader)
        if given.ask_for_hashes and not is_by_hand(runtime):
            # pip would refuse the whole list for one line without a hash.
            runtime = by_hand(runtime, "whose hash is not known", f"pip install {runtime}")
        if self.conda is not None:
            lines = _with_runtime(given.requirements, runtime)
        else:
            first = [] if self.pip is not None else [*defaults, *(inferred or ())]
            kept = yield_to_given(sorted(set(first)), given)
            lines = _with_runtime([*kept, *given.requirements], runtime)
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
            InvalidArgumentError: two requirements contradict each other, or one is a file that
                is not in ``directory``.
        """
        lines = self.resolve(defaults=defaults, inferred=inferred, loader=loader)
        _check_places(lines, directory)
        if self.conda is None:
            conda = default_conda_env(lines.requirements, python_version())
        else:
            conda = with_pip_section(self.conda, lines.requirements)
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


def _check_places(lines: RequirementLines, directory: Path) -> None:
    for line in lines.requirements:
        place = parse_place(line)
        if place is not None and not (directory / place.path).exists():
            raise InvalidArgumentError(
                f"the requirement {shorten(line)} is a file that is not in the model, so its "
                "environment could not be made\nhint: save the file with the model, such as in "
                "code_paths, and name it as it lies there: 'code/name.whl'"
            )
