"""Changes inputs of the corpus until the time is over, and keeps what is new.

``python tests/fuzz/fuzz.py [--minutes 10] [--target pickle ...]``. A find is made small and
written to the corpus as ``found-...``, where the tests run it from then on; the exit code is 1
then. An input with an outcome that no other had is kept too, up to a number.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence

from fuzz_child import FuzzChild
from fuzz_targets import CORPUS, TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

_BATCH = 300
_MAX_KEPT = 60
_MAX_SIZE = 8192
_TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\xff", b"\x80\x04", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"..",
    b"/", b"~", b"\n", b"- ", b": ", b"&a ", b"*a", b"<<: ", b"!!python/object", b"null", b"[]",
    b"{}", b"-1", b"1e999", b"NaN", b"\\ud800", b'"', b"'", b",", b"[", b"]", b"{", b"}", b"(",
    b")", b"R", b"b", b"0", b"2", b"a", b"e", b"s", b"u", b".", b"t", b"\x81", b"\x85", b"\x93",
    b"-r requirements.txt", b"-c x", b" ; python_version<'3'", b" @ file:///etc", b"--hash=",
)  # fmt: skip
_PLACES = st.floats(0, 1, allow_nan=False)
_PIECES = st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=6))
_CHANGES = st.lists(
    st.tuples(_PLACES, st.sampled_from(["insert", "replace", "cut", "double", "move"]), _PIECES),
    max_size=8,
)


class Found(Exception):  # noqa: N818 - ends one batch
    """An input that gave neither a result nor an error of ours."""


def changed(data: bytes, changes: Sequence[tuple[float, str, bytes]]) -> bytes:
    """Return ``data`` after some changes, each at its place."""
    for place, how, piece in changes:
        at = int(place * len(data))
        end = at + max(1, len(piece))
        if how == "insert":
            data = data[:at] + piece + data[at:]
        elif how == "replace":
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == "cut":
            data = data[:at] + data[end:]
        elif how == "double":
            data = data[:at] + data[at : end * 4] * 2 + data[end * 4 :]
        else:
            data = data[end:] + data[at:end]
    return data[:_MAX_SIZE]


def seeds(target: str) -> list[bytes]:
    """Return the corpus of a target, the same in every run."""
    return [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]


def keep(target: str, kind: str, data: bytes) -> None:
    """Write an input to the corpus of its target."""
    name = f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}"
    (CORPUS / target / name).write_bytes(data)


class Session:
    """Fuzzes until a moment.

    Attributes:
        count: the inputs so far.
        finds: target and outcome of each find.
    """

    def __init__(self, child: FuzzChild, until: float) -> None:
        self._child = child
        self._until = until
        self._known: set[tuple[str, str]] = set()
        self.count = 0
        self.finds: list[tuple[str, str]] = []

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() > self._until

    def learn(self, target: str) -> None:
        """Run the corpus as it is, so that known outcomes are not kept again."""
        for data in seeds(target):
            self._note(target, data, kept=True)

    def run_batch(self, target: str) -> None:
        """Run some changed inputs of one target; a find is made small and kept."""
        last: dict[str, bytes] = {}
        corpus = seeds(target)

        @settings(
            max_examples=_BATCH, database=None, deadline=None, print_blob=False,
            phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.sampled_from(corpus), _CHANGES)
        def fuzz(seed: bytes, changes: list[tuple[float, str, bytes]]) -> None:
            data = changed(seed, changes)
            if self.is_over and not last:
                return
            outcome = self._note(target, data, kept=len(corpus) >= _MAX_KEPT)
            if outcome.startswith("find"):
                last[outcome] = data
                raise Found(outcome)

        try:
            fuzz()
        except BaseException as error:
            if not last:
                raise
            outcome, data = list(last.items())[-1]
            keep(target, "found", data)
            self.finds.append((target, outcome))
            if isinstance(error, KeyboardInterrupt):
                raise

    def _note(self, target: str, data: bytes, *, kept: bool) -> str:
        outcome: str = self._child.outcome(target, data)
        self.count += 1
        if not outcome.startswith("find") and (target, outcome) not in self._known:
            self._known.add((target, outcome))
            if not kept:
                keep(target, "kept", data)
        return outcome


def main() -> int:
    """Fuzz as the arguments say; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    arguments = parser.parse_args()
    targets = arguments.target or sorted(TARGETS)
    with FuzzChild() as child:
        session = Session(child, time.monotonic() + 60 * arguments.minutes)
        for target in targets:
            session.learn(target)
        while not session.is_over:
            for target in targets:
                session.run_batch(target)
    print(f"{session.count} inputs, {len(session.finds)} finds")
    for target, outcome in session.finds:
        print(f"  {target}: {outcome}")
    return 1 if session.finds else 0


if __name__ == "__main__":
    sys.exit(main())
