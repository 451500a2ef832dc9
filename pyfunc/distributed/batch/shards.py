"""One of several equal shares of a file, as each process of a job on a cluster takes its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.variables import JOB_INDEX, SHARDS

__all__ = ["Shard", "parse_shard"]


@dataclass(frozen=True, slots=True)
class Shard:
    """One share of many.

    Attributes:
        index: which it is, counted from 0.
        count: how many there are.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: int) -> range:
        """Return the numbers of the items that are in this share.

        The shares of 0 to ``count - 1`` one after the other are all items in their order. The
        first ones may have one item more than others, so that those without any come last.
        """
        least, larger = divmod(items, self.count)
        start = self.index * least + min(self.index, larger)
        return range(start, start + least + (self.index < larger))

    def named(self, place: str) -> str:
        """Return a path with ``{shard}`` in it replaced by the index.

        Indexes have as many digits as the last, so that names sort as the shares do.
        """
        return place.replace("{shard}", str(self.index).zfill(len(str(self.count - 1))))


def parse_shard(text: str) -> Shard:
    """Return the share that ``I/N`` names: ``0/3``, ``1/3`` and ``2/3`` are all of three.

    ``env`` takes I from ``JOB_COMPLETION_INDEX``, which an indexed Job of Kubernetes sets, and N
    from ``PYFUNC_SHARDS``.

    Raises:
        InvalidArgumentError: the text is no share, or a variable is missing.
    """
    if text == "env":
        index, count = JOB_INDEX.read(), SHARDS.read()
        missing = [v.name for v in (JOB_INDEX, SHARDS) if v.read() is None]
        if missing:
            raise InvalidArgumentError(
                f"--shard env: {' and '.join(missing)} not set\n"
                f"hint: an indexed Job sets {JOB_INDEX.name}; set {SHARDS.name} to its completions"
            )
        text = f"{index}/{count}"
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    if found is None or int(found[1]) >= int(found[2]):
        raise InvalidArgumentError(
            f"--shard: expected I/N with I from 0 to N-1, or env, got {shorten(text)}"
        )
    return Shard(int(found[1]), int(found[2]))
