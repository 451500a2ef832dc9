"""Requirements that go before those of a model when its environment is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pyfunc.env.creating.recipe import Recipe
from pyfunc.env.requirements.lines import name_of, parse_requirement
from pyfunc.env.specification import OWN_NAME
from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["override_requirements"]


def override_requirements(recipe: Recipe, lines: Sequence[str]) -> Recipe:
    """Return ``recipe`` with ``lines`` in place of what it says of the same packages.

    Lines for other packages come on top. Constraints on the packages are dropped with their
    requirements. A line for this library is left out: the environment gets the running version.

    Raises:
        InvalidArgumentError: a line is not a requirement (PEP 508); all of them are named.
    """
    found = {line.strip(): parse_requirement(line.strip()) for line in lines}
    problems = [f"  - {shorten(line)}" for line, item in found.items() if item is None]
    if problems:
        raise InvalidArgumentError(
            "pip_requirements_override: these are no requirements (PEP 508):\n"
            + "\n".join(problems)
        )
    added = [item for item in found.values() if item is not None and _name(item) != OWN_NAME]
    names = {_name(item) for item in added}
    return replace(
        recipe,
        requirements=(*_others(recipe.requirements, names), *map(str, added)),
        constraints=tuple(_others(recipe.constraints, names)),
    )


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _others(lines: Sequence[str], names: set[str]) -> list[str]:
    return [line for line in lines if name_of(line) not in names]
