"""How many actors a cluster can hold while something of it is left to read the data.

Ray waits without end where actors have taken every CPU: the tasks that read their input need one
(https://github.com/ray-project/ray/issues/44687).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["Need", "Node", "Size", "check_count", "check_pool", "choose_pool", "most_actors"]

Size = int | tuple[int, int]
_READING = 1  # CPUs of a task that reads


@dataclass(frozen=True, slots=True)
class Node:
    """What one machine of a cluster has."""

    cpus: float
    gpus: float = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What one actor takes."""

    cpus: float = 1
    gpus: float = 0


def most_actors(nodes: Sequence[Node], need: Need) -> int | None:
    """Return how many actors fit, wherever Ray puts them, so that one machine can still read.

    None is no limit: an actor takes nothing.
    """
    fitting = [_fitting(node, need) for node in nodes]
    # As many as it takes to leave less than a task of reading needs, on each that could read.
    blocking = [_blocking(node, need) for node in nodes if node.cpus >= _READING]
    if not blocking:
        return 0
    least_that_blocks = None if None in blocking else sum(filter(None, blocking))
    total = None if None in fitting else sum(filter(None, fitting))
    if least_that_blocks is None:
        return total
    return least_that_blocks - 1 if total is None else min(total, least_that_blocks - 1)


def _fitting(node: Node, need: Need) -> int | None:
    """Return how many actors fit on a machine; None is no limit."""
    parts = [(node.cpus, need.cpus), (node.gpus, need.gpus)]
    counts = [_exact(there) // _exact(taken) for there, taken in parts if taken]
    return int(min(counts)) if counts else None


def _blocking(node: Node, need: Need) -> int | None:
    """Return how many actors keep a machine from reading; None if no number of them does."""
    if not need.cpus:
        return None
    count = int((_exact(node.cpus) - _READING) // _exact(need.cpus)) + 1
    fitting = _fitting(node, need)
    return None if fitting is not None and count > fitting else count


def _exact(number: float) -> Fraction:
    return Fraction(str(number))  # 0.1 is a tenth, as Ray counts it


def choose_pool(nodes: Sequence[Node], need: Need) -> int:
    """Return how many actors to have: all that :func:`most_actors` allows.

    Raises:
        InvalidArgumentError: not even one fits.
    """
    most = most_actors(nodes, need)
    if most is None:
        return max(1, int(sum(node.cpus for node in nodes)))
    return _checked(1, most, nodes, need)


def check_pool(size: Size, nodes: Sequence[Node], need: Need) -> Size:
    """Return ``size`` unchanged if that many actors leave a CPU to read with.

    Raises:
        InvalidArgumentError: it is no size, or Ray would wait without end; says both numbers.
    """
    ends: tuple[int, ...] = size if isinstance(size, tuple) else (size, size)
    if len(ends) != 2 or not all(_is_count(end) for end in ends) or ends[0] > ends[1]:
        raise InvalidArgumentError(
            "concurrency: expected a number of actors, or a pair of the least and the most, "
            f"got {shorten(size)}"
        )
    most = most_actors(nodes, need)
    if most is not None:
        _checked(ends[1], most, nodes, need)
    return size


def check_count(name: str, value: object) -> None:
    """Check that ``value`` is an integer of at least 1.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not _is_count(value):
        raise InvalidArgumentError(f"{name}: expected an integer of at least 1, got {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _checked(wanted: int, most: int, nodes: Sequence[Node], need: Need) -> int:
    """Return the most actors there can be, if those wanted are no more."""
    if wanted <= most:
        return most
    cpus, gpus = (sum(values) for values in zip(*((n.cpus, n.gpus) for n in nodes), strict=True))
    there = f"{cpus:g} CPU(s)" + (f" and {gpus:g} GPU(s)" if need.gpus else "")
    each = f"{need.cpus:g} CPU(s)" + (f" and {need.gpus:g} GPU(s)" if need.gpus else "")
    hint = f"concurrency={most}" if most else "a smaller num_cpus, such as num_cpus=0"
    raise InvalidArgumentError(
        f"{wanted} actor(s) of {each} would make Ray wait without end: the cluster has {there}, "
        f"one of which reads the data, so at most {most} fit(s)\nhint: {hint}"
    )
