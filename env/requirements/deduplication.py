"""Requirements that name one package twice become one line; contradictions are an error.

MLflow asks pip and an index; here the version ranges alone decide, so no network is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.env.requirements.lines import (
    RequirementLines,
    is_by_hand,
    name_of,
    parse_requirement,
)
from pyfunc.errors import InvalidArgumentError
from pyfunc.variables import SKIP_REQUIREMENTS_CHECK

__all__ = ["admits", "can_be_met", "merge_duplicates", "yield_to_given"]


def merge_duplicates(lines: Iterable[str]) -> list[str]:
    """Return ``lines`` with one line per package and marker, at the place of the first.

    Requirements come out in the canonical text of PEP 508; extras are united and version
    ranges combined. Lines that are no requirement (options, URLs, paths) are kept once, as
    they are.

    Raises:
        InvalidArgumentError: two lines contradict each other; both are named. The variable
            ``MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK`` makes one line of them all the same.
    """
    merged: dict[tuple[str, str], str | Requirement] = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            merged.setdefault(("", line), line)
            continue
        key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
        known = merged.get(key)
        merged[key] = requirement if known is None else _merge(known, requirement)
    return [str(item) for item in merged.values()]


def yield_to_given(inferred: Iterable[str], given: RequirementLines) -> list[str]:
    """Return ``inferred`` without what the caller's own lines say otherwise.

    A line stays beside one of the caller's if both can be met, since the two become one. A pin
    that the caller's constraints exclude loses its version.
    """
    bounds = [item for line in given.constraints if (item := parse_requirement(line))]
    return [
        _within(line, bounds)
        for line in inferred
        if not any(_replaces(rival, line) for rival in given.requirements)
    ]


def _replaces(given: str, inferred: str) -> bool:
    if name_of(given) != name_of(inferred) or name_of(given) is None:
        return False
    own, theirs = parse_requirement(inferred), _plain(given)
    if theirs is None or own is None or is_by_hand(inferred):
        return True
    if theirs.marker is not None and not theirs.marker.evaluate({"extra": ""}):
        return False
    if theirs.url is not None or (own.url is not None and theirs.specifier):
        return True
    return _is_contradiction(_combine(own, theirs))


def _plain(line: str) -> Requirement | None:
    """Return the requirement that ``line`` is, None if options or a path make it more."""
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _within(line: str, bounds: Iterable[Requirement]) -> str:
    own = parse_requirement(line)
    if own is None or own.url or is_by_hand(line):
        return line
    for bound in bounds:
        applies = bound.marker is None or bound.marker.evaluate({"extra": ""})
        is_excluded = not can_be_met(own.specifier & bound.specifier)
        if applies and is_excluded and name_of(str(bound)) == name_of(line):
            return line.partition("==")[0]
    return line


def _merge(known: str | Requirement, new: Requirement) -> Requirement:
    known = known if isinstance(known, Requirement) else Requirement(known)
    result = Requirement(str(known))
    result.extras = known.extras | new.extras
    if known.url or new.url:
        if known.url and new.url and known.url != new.url:
            raise _conflict(known, new)
        result.url = new.url or known.url
        result.specifier = SpecifierSet()
        return result
    result.specifier = _combine(known, new)
    if _is_contradiction(result.specifier) and not SKIP_REQUIREMENTS_CHECK.read(default=False):
        raise _conflict(known, new)
    return result


def _combine(known: Requirement, new: Requirement) -> SpecifierSet:
    if not known.specifier or not new.specifier:
        return new.specifier or known.specifier
    old_pin, new_pin = _pin(known.specifier), _pin(new.specifier)
    if old_pin and new_pin and Version(old_pin.public) == Version(new_pin.public):
        # torch==2.7.1+cu128 beside torch==2.7.1: the pin that every index can serve.
        if new_pin.local is None:
            return new.specifier
        if old_pin.local is None:
            return known.specifier
    return known.specifier & new.specifier


def _is_contradiction(specifiers: SpecifierSet) -> bool:
    return bool(specifiers) and not can_be_met(specifiers)


def _pin(specifier: SpecifierSet) -> Version | None:
    parts = list(specifier)
    if len(parts) != 1 or parts[0].operator != "==" or parts[0].version.endswith(".*"):
        return None
    return Version(parts[0].version)


def _conflict(known: Requirement, new: Requirement) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"requirements {str(known)!r} and {str(new)!r} contradict each other: no version meets "
        "both\nhint: keep one of them"
    )


def can_be_met(specifiers: SpecifierSet) -> bool:
    """Return whether some version lies in all of ``specifiers``, published or not."""
    return any(
        admits(specifiers, candidate)
        for specifier in specifiers
        for candidate in _candidates(specifier)
    )


def admits(specifiers: SpecifierSet, version: str) -> bool:
    """Return whether ``version`` is in the range; one that is no version meets ``===`` alone."""
    try:
        return specifiers.contains(version, prereleases=True)
    except InvalidVersion:  # raised by packaging before 26
        exact = ((one.operator, one.version.lower()) for one in specifiers)
        return all(one == ("===", version.lower()) for one in exact)


def _candidates(specifier: Specifier) -> Iterator[str]:
    """Yield versions at and around the edge of ``specifier``: one of them is in any overlap."""
    text = specifier.version.removesuffix(".*")
    yield text
    try:
        version = Version(text)
    except InvalidVersion:  # only "===" takes any text
        return
    yield "0"
    yield "0.dev0"
    epoch = f"{version.epoch}!" if version.epoch else ""
    release = version.release
    plain = ".".join(map(str, release))
    yield version.public
    yield f"{epoch}{plain}"
    yield f"{epoch}{plain}.dev0"
    yield f"{epoch}{plain}.post1"
    yield f"{epoch}{plain}.0.1"
    yield f"{epoch}{plain}.0.0.1"
    below = list(release)
    while below and not below[-1]:
        below.pop()
    if below:
        below[-1] -= 1
        yield f"{epoch}{'.'.join(map(str, below))}.99999"
