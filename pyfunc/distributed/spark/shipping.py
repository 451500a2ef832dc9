"""How files get from the driver to the executors, once for each content and application.

``SparkContext.addFile`` copies them to every executor, ``addArtifacts`` to the server of Spark
Connect. Where the executors are threads of the driver's own machine, nothing is copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Shipment", "is_connect", "ship"]

_LOCAL_MASTER = re.compile(r"local(\[[^\]]*\])?")  # not local-cluster, which has workers
_sent: WeakKeyDictionary[object, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Shipment:
    """A file that was sent, as an executor finds it.

    Attributes:
        how: in place, as a file of the application, or unpacked from an archive by the server.
        name: the path, or the name that it was sent under.
    """

    how: Literal["place", "file", "unpacked"]
    name: str

    def find(self) -> Path:
        """Return where it is on this executor."""
        if self.how == "place":
            return Path(self.name)
        from pyspark.files import SparkFiles

        return Path(SparkFiles.getRootDirectory(), self.name)


class _Context(Protocol):
    master: str

    def addFile(self, path: str) -> None: ...  # noqa: N802 - Spark's name


def is_connect(spark: SparkSession) -> bool:
    """Return whether ``spark`` is a session of Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect.")


def ship(spark: SparkSession, archive: Path) -> Shipment:
    """Send an archive, whose name stands for its content, to wherever ``spark`` runs functions."""
    if is_connect(spark):
        name = archive.name.partition(".")[0]
        if _is_new(spark, archive.name):
            spark.addArtifacts(f"{archive}#{name}", archive=True)
        return Shipment("unpacked", name)
    context: _Context = spark.sparkContext
    if _LOCAL_MASTER.fullmatch(context.master):
        return Shipment("place", str(archive))
    if _is_new(context, archive.name):
        context.addFile(str(archive))
    return Shipment("file", archive.name)


def _is_new(owner: object, name: str) -> bool:
    """Return whether ``name`` was not sent through ``owner`` before; it counts as sent now."""
    names = _sent.setdefault(owner, set())
    is_new = name not in names
    names.add(name)
    return is_new
