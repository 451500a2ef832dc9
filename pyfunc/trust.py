"""Deciding what of a model may run. The caller and the environment decide, never the model.

Rules: reliability.md 4.5. ``load_model`` puts its decision in force with :func:`trusting`; the
places that unpickle or import ask here.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pyfunc.errors import InvalidArgumentError, UntrustedModelError, shorten
from pyfunc.variables import ALLOW_PICKLES, TRUST

__all__ = [
    "TrustMode",
    "TrustPolicy",
    "check_code_may_run",
    "check_pickles_are_allowed",
    "current_policy",
    "trusting",
]

TrustMode = Literal["full", "digest", "signature", "allowlist", "none"]

# What each mode lets run; a variable of the environment may only take away.
_RANK: dict[str, int] = {"none": 0, "allowlist": 1, "signature": 2, "digest": 2, "full": 3}


@dataclass(frozen=True)
class TrustPolicy:
    """What may run of the models that are loaded under it.

    Attributes:
        mode: see ``load_model``.
        expected_digest: SHA-256 that the manifest must have, in whatever mode; needed for
            ``digest``.
        public_key: PEM file of the key that the model must be signed with, in whatever mode;
            needed for ``signature``.
        expected_subject: what that signature must be of, or None.
        allowed_globals: ``module.name`` of what pickles may import, for ``allowlist``; each is
            known to hold data only.
        dangerously_allowed_globals: names beside them that may run, whatever they do.
        allow_other_python: whether pickles with code of another Python version are loaded.
    """

    mode: TrustMode = "full"
    expected_digest: str | None = None
    public_key: str | None = None
    expected_subject: str | None = None
    allowed_globals: frozenset[str] = field(default_factory=frozenset)
    dangerously_allowed_globals: frozenset[str] = field(default_factory=frozenset)
    allow_other_python: bool = False

    @classmethod
    def from_arguments(
        cls,
        mode: TrustMode,
        *,
        expected_digest: str | None = None,
        public_key: str | os.PathLike[str] | None = None,
        expected_subject: str | None = None,
        allowed_globals: Iterable[str] = (),
        dangerously_allowed_globals: Iterable[str] = (),
        allow_other_python: bool = False,
    ) -> TrustPolicy:
        """Return the policy that a caller asks for, lowered by the environment.

        Raises:
            InvalidArgumentError: the mode is unknown, or what it needs is not given.
        """
        effective = _lowered(_check_mode(mode, "trust"))
        needs = {"digest": expected_digest, "signature": public_key}
        if effective in needs and needs[effective] is None:
            argument = "expected_digest" if effective == "digest" else "public_key"
            raise InvalidArgumentError(
                f"trust={effective!r} has nothing to hold on to\nhint: it needs {argument}"
            )
        if expected_subject is not None and public_key is None:
            raise InvalidArgumentError(
                "expected_subject is what a signature is of\nhint: it needs public_key"
            )
        return cls(
            effective,
            expected_digest,
            None if public_key is None else os.fspath(public_key),
            expected_subject,
            _check_names(allowed_globals, "allowed_globals"),
            _check_names(dangerously_allowed_globals, "dangerously_allowed_globals"),
            allow_other_python,
        )

    @property
    def allows_code(self) -> bool:
        """Whether code of the model may run once the model as a whole is trusted."""
        return self.mode in ("full", "digest", "signature")


_current: contextvars.ContextVar[TrustPolicy | None] = contextvars.ContextVar(
    "pyfunc_trust", default=None
)


def current_policy() -> TrustPolicy:
    """Return the policy in force in this context; without one, what the environment leaves.

    Raises:
        InvalidArgumentError: there is none, and the environment asks for a digest or a signature.
    """
    return _current.get() or TrustPolicy.from_arguments("full")


@contextlib.contextmanager
def trusting(policy: TrustPolicy) -> Iterator[None]:
    """Put ``policy`` in force for the body."""
    token = _current.set(policy)
    try:
        yield
    finally:
        _current.reset(token)


def check_code_may_run(what: str, path: Path) -> None:
    """Return if ``what`` of the model at ``path`` may run.

    Unlike MLflow's switch, this also closes loader modules and scripts, which run code as much
    as a pickle does.

    Raises:
        UntrustedModelError: the policy in force or the environment forbids it.
    """
    check_pickles_are_allowed(path, what)
    if not current_policy().allows_code:
        raise UntrustedModelError(
            f"{path}: {what} would run code of the model, which trust={current_policy().mode!r} "
            "forbids\nhint: trust the model as a whole by digest or signature"
        )


def check_pickles_are_allowed(path: Path, what: str = "its pickle") -> None:
    """Return if the environment allows pickles to be loaded at all.

    Raises:
        UntrustedModelError: it does not.
    """
    if not ALLOW_PICKLES.read(default=True):
        raise UntrustedModelError(
            f"{path}: {what} would run code of the model, and {ALLOW_PICKLES.name} is false\n"
            "hint: unset the variable if you trust where the model comes from"
        )


def _lowered(mode: TrustMode) -> TrustMode:
    text = TRUST.read()
    if text is None:
        return mode
    ceiling = _check_mode(text, TRUST.name)
    return mode if _RANK[mode] <= _RANK[ceiling] else ceiling


def _check_names(names: Iterable[str], argument: str) -> frozenset[str]:
    if isinstance(names, str):
        raise InvalidArgumentError(f"{argument}: expected a list of 'module.name'")
    return frozenset(names)


def _check_mode(mode: object, name: str) -> TrustMode:
    for known in get_args(TrustMode):
        if mode == known:
            return known  # type: ignore[no-any-return]
    raise InvalidArgumentError(
        f"{name}: expected one of {', '.join(get_args(TrustMode))}, got {shorten(mode)}"
    )
