"""The line that installs what is installed here again: from an index, an address or by hand.

Installers record where a distribution came from if it was no index (PEP 610); such a one has no
business in a line ``name==version``, which an index would answer with whatever it has.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pyfunc.env.installed.distributions import Distribution, find_distribution
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.lines import by_hand

__all__ = ["Source", "line_of", "pinned", "read_source"]

logger = logging.getLogger("pyfunc.env")

_HASHES = ("sha256", "sha512", "sha384")
_SCP = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!/)\S+")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a distribution was installed from, if that was no index.

    Attributes:
        kind: ``vcs``, ``archive`` or ``directory``; ``unknown`` if the record cannot be read.
        url: the address, without credentials.
        vcs: the system of version control, such as ``git``.
        commit: what was checked out, in full.
        hashes: of the archive, by algorithm.
        subdirectory: the project's folder below the address, or empty.
        editable: whether the folder itself is imported.
    """

    kind: Literal["vcs", "archive", "directory", "unknown"]
    url: str = ""
    vcs: str = ""
    commit: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    subdirectory: str = ""
    editable: bool = False

    @property
    def reference(self) -> str:
        """What stands behind ``name @`` to install the same anywhere; empty if nothing does."""
        if self.url.startswith("file:") or "://" not in self.url:
            return ""
        fragments = [f"subdirectory={self.subdirectory}"] if self.subdirectory else []
        if self.kind == "vcs" and self.commit and self.vcs:
            address = f"{self.vcs}+{self.url}@{self.commit}"
        elif self.kind == "archive":
            address = self.url
            known = (f"{name}={self.hashes[name]}" for name in _HASHES if name in self.hashes)
            fragments = [*list(known)[:1], *fragments]
        else:
            return ""
        return f"{address}#{'&'.join(fragments)}" if fragments else address

    @property
    def told(self) -> str:
        """How it was installed, in words."""
        if self.kind == "unknown":
            return "installed from a place that its direct_url.json does not tell"
        kinds = {"vcs": "a commit", "archive": "a file", "directory": "a folder"}
        where = "" if self.reference else " of one machine"
        return f"installed from {kinds[self.kind]}{where}"


def read_source(distribution: Distribution) -> Source | None:
    """Return what the installer recorded of ``distribution``, None if it came from an index."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return None
    try:
        recorded = json.loads(text)
        url = recorded["url"]
    except (ValueError, KeyError, TypeError):
        return Source("unknown")
    if not isinstance(url, str):
        return Source("unknown")
    return _read_recorded(recorded, _cleaned(url))


def _cleaned(url: str) -> str:
    if _SCP.fullmatch(url) and "://" not in url:  # git@host:path, which only git itself reads
        host, _, path = url.partition(":")
        url = f"ssh://{host}/{path}"
    return without_credentials(url).partition("#")[0]


def _read_recorded(recorded: Mapping[str, object], url: str) -> Source:
    place = recorded.get("subdirectory")
    subdirectory = place if isinstance(place, str) else ""
    if isinstance(info := recorded.get("vcs_info"), dict):
        vcs, commit = str(info.get("vcs", "")), str(info.get("commit_id", ""))
        return Source("vcs", url, vcs=vcs, commit=commit, subdirectory=subdirectory)
    if isinstance(info := recorded.get("dir_info"), dict):
        editable = info.get("editable") is True
        return Source("directory", url, subdirectory=subdirectory, editable=editable)
    hashes = _hashes(recorded.get("archive_info"))
    return Source("archive", url, hashes=hashes, subdirectory=subdirectory)


def _hashes(info: object) -> dict[str, str]:
    if not isinstance(info, dict):
        return {}
    if isinstance(info.get("hashes"), dict) and info["hashes"]:
        return {str(name): str(value) for name, value in info["hashes"].items()}
    name, equals, value = str(info.get("hash", "")).partition("=")
    return {name: value} if equals else {}


def pinned(name: str, *, extras: str = "") -> str:
    """Return the line that installs the distribution ``name`` as it is installed here.

    That is ``name==version`` for one from an index, ``name @ address`` for a commit or an
    archive, and a comment for one from a folder, after a warning; ``name`` if it is not
    installed. The local label of a version (``2.7.1+cu128``) is left out, with one log line: no
    public index serves it.
    """
    distribution = find_distribution(name)
    suffix = f"[{extras}]" if extras else ""
    if distribution is None:
        return name + suffix
    source = read_source(distribution)
    if source is not None:
        return line_of(name + suffix, distribution.version, source)
    public, plus, label = distribution.version.partition("+")
    if plus:
        logger.warning(
            "%s is installed as version %s; its label +%s is left out of the requirement so "
            "that an index can serve it. Give it in pip_requirements to keep it.",
            name,
            distribution.version,
            label,
        )
    return f"{name}{suffix}=={public}"


def line_of(name: str, version: str, source: Source) -> str:
    """Return the line for what came from ``source``: its address, or a comment and a warning."""
    if source.reference:
        return f"{name} @ {source.reference}"
    logger.warning(
        "%s %s is %s, so the model's environment cannot be made elsewhere with it: publish it, "
        "install it from a commit, or save its code with the model (code_paths).",
        name,
        version,
        source.told,
    )
    return by_hand(f"{name.partition('[')[0]}=={version}", source.told)
