"""Tasks: a function and an action, with the parameters that are the same for all its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pyfunc.deploy.actions import INSTRUCTIONS, PARAMETERS, Action, parameter_names
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, Problem, SchemaError, shorten
from pyfunc.functions.entity import Entity

__all__ = ["Action", "Task", "check_action", "check_task_parameters"]


class Task(Entity):
    """How a function is run by one action; made by ``Function.run``."""

    entity_type = "task"
    spec_fields = ("function", *PARAMETERS)


def check_action(action: object) -> Action:
    """Return ``action`` if there are tasks of it.

    Raises:
        InvalidArgumentError: there are none.
    """
    for known in get_args(Action):
        if action == known:
            found: Action = known
            return found
    names = " or ".join(map(repr, get_args(Action)))
    raise InvalidArgumentError(f"action: expected {names}, got {shorten(action)}")


def check_task_parameters(action: Action, given: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a task of that action that are not None.

    Raises:
        InvalidTypeError: there is no parameter of a name.
        SchemaError: values cannot be; all of them are named, with their places.
    """
    unknown = sorted(given.keys() - {*parameter_names(action)})
    if unknown:
        raise InvalidTypeError(
            f"run() got unexpected arguments: {', '.join(unknown)}\n"
            "hint: arguments of the function itself stand in parameters= and inputs="
        )
    found = {name: value for name, value in given.items() if value is not None}
    problems = _find_problems(action, found) if found else []
    if problems:
        raise SchemaError(problems, subject="the parameters of the task do not fit")
    return found


def _find_problems(action: Action, given: Mapping[str, object]) -> list[Problem]:
    from pyfunc.deploy.instructions import find_problems_in_instructions
    from pyfunc.deploy.kubernetes.findings import Findings
    from pyfunc.deploy.kubernetes.parameters import read_parameters

    findings = Findings()
    for_pods = {name: value for name, value in given.items() if name != INSTRUCTIONS}
    read_parameters(findings, action, for_pods)
    if INSTRUCTIONS in given:
        findings.problems += find_problems_in_instructions(given[INSTRUCTIONS])
    return findings.problems
