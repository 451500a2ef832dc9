"""What the suites find: workloads, who did them in which time, and what was wanted.

Every ``bench_*.py`` has ``measure(effort)``, which yields a `Workload` or a `Failure` as soon as
it has one. Tables, JSON and charts are made of these alone. Times are seconds of one piece of
work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = [
    "Effort",
    "Failure",
    "Figure",
    "Goal",
    "Measure",
    "OURS",
    "Report",
    "Workload",
    "least_figure",
]

OURS = "pyfunc"
LONGEST = 300
Measure = Literal["cpu", "wall", "p99", "memory"]


@dataclass(frozen=True)
class Effort:
    """How hard to measure: the least of ``rounds``, each of about ``seconds`` for one case.

    ``size`` is what part of their full size the largest workloads have.
    """

    rounds: int = 8
    seconds: float = 0.2
    size: float = 1.0

    def of(self, full: int) -> int:
        """Return the part of ``full`` that this effort is worth; at least 1."""
        return max(1, int(full * self.size))


@dataclass(frozen=True)
class Figure:
    """What one subject took: seconds of one piece of work, of which ``count`` were done.

    ``wall`` is the time of a round by ``count``, so that it is one by the rate where several are
    done at once. 99 of 100 were done within ``p99``. ``memory`` is bytes that are resident.
    """

    cpu: float | None = None
    wall: float | None = None
    count: int = 1
    p99: float | None = None
    memory: float | None = None


def least_figure(rounds: Sequence[Figure]) -> Figure:
    """Return the least of each measure in any of the rounds, and the greatest count."""

    def least(measure: Measure) -> float | None:
        found = [getattr(one, measure) for one in rounds]
        return min((value for value in found if value is not None), default=None)

    count = max(one.count for one in rounds)
    return Figure(least("cpu"), least("wall"), count, least("p99"), least("memory"))


@dataclass(frozen=True)
class Goal:
    """What the first subject may take at most: ``ratio`` times the ``measure`` of ``against``."""

    against: str
    ratio: float
    measure: Measure = "cpu"


@dataclass(frozen=True)
class Workload:
    """One piece of work and all who did it, ours first.

    ``floor`` names the figure of the least work that anybody has to do for it. ``measure`` is the
    one that counts. What is better read as how many are done in a second has ``rate``; what the
    README and the chart show has ``headline``.
    """

    name: str
    figures: Mapping[str, Figure]
    floor: str | None = None
    goals: tuple[Goal, ...] = ()
    measure: Measure = "cpu"
    rate: bool = False
    headline: bool = False

    @property
    def subject(self) -> str:
        """The one whose work is looked at: the first."""
        return next(iter(self.figures))

    def ratio(self, against: str, measure: Measure | None = None) -> float | None:
        """Return how many times as much as ``against`` the subject takes; None if unknown."""
        measure = measure or self.measure
        found = (self.figures.get(name) for name in (self.subject, against))
        own, other = (None if one is None else getattr(one, measure) for one in found)
        return None if own is None or not other else float(own / other)

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Workload:
        """Return the workload that `dataclasses.asdict` made the form of."""
        figures = {name: Figure(**one) for name, one in form["figures"].items()}
        goals = tuple(Goal(**one) for one in form["goals"])
        return cls(**{**form, "figures": figures, "goals": goals})

    def is_met(self, goal: Goal) -> bool | None:
        """Return whether ``goal`` is met; None if that was not measured."""
        found = self.ratio(goal.against, goal.measure)
        return None if found is None else found <= goal.ratio


@dataclass(frozen=True)
class Failure:
    """What could not be measured, and why."""

    what: str
    why: str

    def shortened(self) -> Failure:
        """Return it with the end of the text alone, in one line, and files without folders."""
        text = re.sub(
            r"(?<![\w./])\.{0,2}/(?:[\w.+@-]+/)*([\w.+@-]+)", r"\1", " ".join(self.why.split())
        )
        return Failure(self.what, text if len(text) <= LONGEST else f"... {text[-LONGEST:]}")


@dataclass
class Report:
    """All that one run found: by suite, with the machine, the versions and the time."""

    date: str
    machine: str
    effort: Effort
    versions: dict[str, str] = field(default_factory=dict)
    suites: dict[str, list[Workload]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def headlines(self) -> list[Workload]:
        """The workloads that the README and the chart show."""
        found = [one for suite in self.suites.values() for one in suite]
        return [one for one in found if one.headline]

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return the report that `to_json` made the text of."""
        form = json.loads(text)
        suites = {
            name: [Workload.from_dict(one) for one in found]
            for name, found in form.pop("suites").items()
        }
        failures = [Failure(**one) for one in form.pop("failures")]
        return cls(effort=Effort(**form.pop("effort")), suites=suites, failures=failures, **form)
