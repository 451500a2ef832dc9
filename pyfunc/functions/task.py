"""Tasks: a function and an action, with the parameters that are the same for all its runs."""

from __future__ import annotations

from collections.abc import Mapping

from pyfunc.errors import InvalidTypeError, Problem, SchemaError, shorten
from pyfunc.functions.entity import Entity

__all__ = ["TASK_PARAMETERS", "Task", "check_task_parameters"]

# What a platform is told about where a function runs; on this machine it is only kept.
TASK_PARAMETERS: Mapping[str, type] = {
    "affinity": dict,
    "autoscaling": dict,
    "backoff_limit": int,
    "envs": list,
    "node_selector": list,
    "priority_class": str,
    "profile": str,
    "replicas": int,
    "resources": dict,
    "runtime_class": str,
    "schedule": str,
    "secrets": list,
    "service_type": str,
    "tolerations": list,
    "volumes": list,
}

_OF_ONE: Mapping[str, tuple[str, ...]] = {
    "job": ("backoff_limit", "schedule"),
    "serve": ("autoscaling", "replicas", "service_type"),
}


class Task(Entity):
    """How a function is run by one action; made by ``Function.run``."""

    entity_type = "task"
    spec_fields = ("function", *TASK_PARAMETERS)


def check_task_parameters(action: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a task of that action that are not None.

    Raises:
        InvalidTypeError: there is no parameter of a name.
        SchemaError: values are of other types; all of them are named.
    """
    others = {name for other, names in _OF_ONE.items() if other != action for name in names}
    unknown = sorted(given.keys() - (TASK_PARAMETERS.keys() - others))
    if unknown:
        raise InvalidTypeError(
            f"run() got unexpected arguments: {', '.join(unknown)}\n"
            "hint: arguments of the function itself stand in parameters= and inputs="
        )
    found = {name: value for name, value in given.items() if value is not None}
    problems = [*_find_problems(found)]
    if problems:
        raise SchemaError(problems, subject="the parameters of the task do not fit")
    return found


def _find_problems(given: Mapping[str, object]) -> list[Problem]:
    problems = [
        Problem(name, TASK_PARAMETERS[name].__name__, shorten(value))
        for name, value in given.items()
        if not isinstance(value, TASK_PARAMETERS[name]) or isinstance(value, bool)
    ]
    limit = given.get("backoff_limit")
    if isinstance(limit, int) and limit < 0:
        problems.append(Problem("backoff_limit", "0 or more", str(limit)))
    envs = given.get("envs")
    for position, item in enumerate(envs if isinstance(envs, list) else []):
        texts = (item.get("name"), item.get("value")) if isinstance(item, dict) else ()
        if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
            expected = "{'name': str, 'value': str}"
            problems.append(Problem(f"envs[{position}]", expected, shorten(item)))
    return problems
