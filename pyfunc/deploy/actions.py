"""What a task of a function may do, and the names of its parameters: one table for all rooms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = ["INSTRUCTIONS", "PARAMETERS", "Action", "parameter_names"]

Action = Literal["build", "job", "serve"]

INSTRUCTIONS = "instructions"
"""The one parameter that is not for pods."""

_OF_ALL = (
    "affinity",
    "envs",
    "node_selector",
    "priority_class",
    "profile",
    "resources",
    "runtime_class",
    "secrets",
    "tolerations",
    "volumes",
)
_OF_ONE: Mapping[Action, tuple[str, ...]] = {
    "build": (INSTRUCTIONS,),
    "job": ("backoff_limit", "schedule"),
    "serve": ("autoscaling", "replicas", "service_type"),
}
PARAMETERS = (*_OF_ALL, *(name for names in _OF_ONE.values() for name in names))
"""The names of the parameters of all tasks."""


def parameter_names(action: Action) -> tuple[str, ...]:
    """Return the names of the parameters that a task of that action has."""
    return (*_OF_ALL, *_OF_ONE[action])
