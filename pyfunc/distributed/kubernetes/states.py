"""How an object of a cluster is, as one word and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pyfunc.deploy.kubernetes.findings import Tree, as_tree

__all__ = ["ObjectStatus", "State", "judge"]

State = Literal["absent", "waiting", "running", "done", "failed", "there"]


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """How an object is.

    Attributes:
        kind: of the object.
        name: of it.
        state: ``there`` is all that is said of what does not run.
        told: its numbers, such as ``2 of 3 ready``, or why it failed.
    """

    kind: str
    name: str
    state: State
    told: str = ""


def judge(kind: str, found: Tree | None) -> tuple[State, str]:
    """Return the state of an object that the server answered with, None if there is none."""
    if found is None:
        return "absent", ""
    judged = _JUDGES.get(kind)
    if judged is None:
        return "there", ""
    return judged(as_tree(found.get("spec")), as_tree(found.get("status")))


def _of_deployment(spec: Tree, status: Tree) -> tuple[State, str]:
    wanted, ready = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    failed = _condition(status, "Progressing", "False")
    told = f"{ready} of {wanted} ready"
    if failed is not None and ready < wanted:
        return "failed", f"{told}; {failed}"
    return ("running" if ready >= wanted else "waiting"), told


def _of_job(spec: Tree, status: Tree) -> tuple[State, str]:
    wanted, done = _count(spec, "completions", 1), _count(status, "succeeded")
    active, lost = _count(status, "active"), _count(status, "failed")
    told = f"{done} of {wanted} done, {active} active, {lost} failed"
    failed = _condition(status, "Failed", "True")
    if failed is not None:
        return "failed", f"{told}; {failed}"
    if _condition(status, "Complete", "True") is not None:
        return "done", told
    return ("running" if active else "waiting"), told


def _of_inference_service(spec: Tree, status: Tree) -> tuple[State, str]:
    del spec
    if _condition(status, "Ready", "True") is not None:
        return "running", str(status.get("url", ""))
    return "waiting", _condition(status, "Ready", "False") or ""


def _of_claim(spec: Tree, status: Tree) -> tuple[State, str]:
    del spec
    phase = str(status.get("phase", "Pending"))
    return ("there" if phase == "Bound" else "failed" if phase == "Lost" else "waiting"), phase


def _count(tree: Tree, name: str, default: int = 0) -> int:
    value = tree.get(name)
    return value if isinstance(value, int) else default


def _condition(status: Tree, kind: str, value: str) -> str | None:
    """Return the reason and message of a condition if it has that value, else None."""
    conditions = status.get("conditions")
    for item in conditions if isinstance(conditions, list) else ():
        condition = as_tree(item)
        if condition.get("type") == kind and condition.get("status") == value:
            parts = (condition.get("reason"), condition.get("message"))
            return ": ".join(str(part) for part in parts if part)
    return None


_JUDGES: Mapping[str, Callable[[Tree, Tree], tuple[State, str]]] = {
    "Deployment": _of_deployment,
    "InferenceService": _of_inference_service,
    "Job": _of_job,
    "PersistentVolumeClaim": _of_claim,
}
