"""What the steps of a validation found, as values, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Status", "Step", "Validation"]

Status = Literal["ok", "warning", "failed", "skipped"]

_HEADERS = ("step", "result", "seconds", "size", "what")


@dataclass(frozen=True, slots=True)
class Step:
    """One question that was asked of a model.

    Attributes:
        name: a stable name, such as ``load``.
        status: ``ok``; ``warning`` if something is missing that may be needed; ``failed``; or
            ``skipped`` if the question does not arise or an earlier step failed.
        detail: what was found.
        remedy: what to do about it; empty if nothing.
        seconds: how long it took.
        size: bytes: of the model, of the environment that was made, or of the answer.
    """

    name: str
    status: Status
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0
    size: int | None = None

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Step:
        """Return the step that ``asdict`` made ``fields`` of."""
        return cls(**fields)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Validation:
    """What :func:`pyfunc.validate` found.

    Attributes:
        path: the model directory.
        env_manager: what made the environment that it ran in; ``local`` for the running one.
        steps: what was asked, in order.
    """

    path: str
    env_manager: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Step, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if step.status == "failed")

    @property
    def warnings(self) -> tuple[Step, ...]:
        """The steps that found something missing."""
        return tuple(step for step in self.steps if step.status == "warning")

    def to_dict(self) -> dict[str, object]:
        """Return all of it as plain values."""
        steps = [asdict(step) for step in self.steps]
        return {"path": self.path, "env_manager": self.env_manager, "ok": self.ok, "steps": steps}

    def to_json(self) -> str:
        """Return all of it as one JSON object."""
        return json.dumps(self.to_dict())

    def to_table(self) -> str:
        """Return a table for people, with the remedies below it."""
        rows = [_HEADERS, *map(_row, self.steps)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADERS) - 1)]
        lines = [
            "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in rows
        ]
        remedies = [f"{step.name}: {step.remedy}" for step in self.steps if step.remedy]
        verdict = "works" if self.ok else f"does not work: {len(self.failures)} step(s) failed"
        return "\n".join([*lines, "", *remedies, f"{self.path} {verdict}", ""])

    def __str__(self) -> str:
        return self.to_table()


def _row(step: Step) -> tuple[str, ...]:
    size = "" if step.size is None else str(step.size)
    first = step.detail.splitlines()[0] if step.detail else ""
    return step.name, step.status, f"{step.seconds:.2f}", size, first
