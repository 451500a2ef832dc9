"""What a model needs beside packages: the ``resources`` of an MLmodel file (format.md 1.4)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError, shorten
from pyfunc.files.yaml_reading import read_yaml_mapping

__all__ = ["describe_resources", "read_resources"]

_API_VERSION = "1"
# Stock MLflow refuses to load a model with others.
_KINDS: dict[str, frozenset[str]] = {
    "databricks": frozenset(
        {
            "app",
            "function",
            "genie_space",
            "lakebase",
            "serving_endpoint",
            "sql_warehouse",
            "table",
            "uc_connection",
            "uc_model_service",
            "vector_search_index",
        }
    )
}


def describe_resources(resources: object) -> object:
    """Return ``resources`` as MLmodel has them: files read and MLflow's objects taken apart.

    Anything else is returned as it is.

    Raises:
        PyfuncError: as :func:`read_resources`.
    """
    objects = isinstance(resources, list) and all(hasattr(one, "to_dict") for one in resources)
    if objects or isinstance(resources, (str, os.PathLike)):
        return read_resources(resources)
    return resources


def read_resources(resources: object) -> dict[str, object]:
    """Return ``resources`` as MLmodel has them.

    Args:
        resources: the mapping of an MLmodel file, the path of a YAML file with it, or a list of
            such mappings of one resource each, or of objects whose ``to_dict`` returns one.

    Raises:
        ModelNotFoundError: there is no such file.
        InvalidTypeError: it is something else.
        InvalidArgumentError: its version, a target or a kind of resource is not known.
    """
    if isinstance(resources, (str, os.PathLike)):
        path = Path(resources)
        if not path.is_file():
            raise ModelNotFoundError(f"resources: no such file: {path}")
        resources = read_yaml_mapping(path)
    elif isinstance(resources, (list, tuple)):
        resources = _grouped(resources)
    if not isinstance(resources, Mapping):
        raise InvalidTypeError(
            f"resources: expected a list, a mapping or a YAML file, got {shorten(resources)}"
        )
    if resources.get("api_version") != _API_VERSION:
        raise InvalidArgumentError(
            f"resources: expected api_version {_API_VERSION!r}, "
            f"got {shorten(resources.get('api_version'))}"
        )
    for target, by_kind in resources.items():
        if target != "api_version":
            _check_target(target, by_kind)
    return dict(resources)


def _check_target(target: str, by_kind: object) -> None:
    known = _KINDS.get(target)
    if known is None:
        raise InvalidArgumentError(
            f"resources: expected one of {sorted(_KINDS)} as target, got {shorten(target)}"
        )
    if not isinstance(by_kind, Mapping):
        raise InvalidArgumentError(
            f"resources.{target}: expected a mapping, got {shorten(by_kind)}"
        )
    unknown = sorted(str(kind) for kind in by_kind if kind not in known)
    if unknown:
        raise InvalidArgumentError(
            f"resources.{target}: unknown kinds {unknown}; known are {sorted(known)}"
        )


def _grouped(resources: Sequence[object]) -> dict[str, Any]:
    grouped: dict[str, Any] = {"api_version": _API_VERSION}
    for resource in resources:
        described = resource.to_dict() if hasattr(resource, "to_dict") else resource
        if not isinstance(described, Mapping):
            raise InvalidTypeError(f"resources: expected mappings, got {shorten(resource)}")
        target = getattr(resource, "target_uri", "databricks")
        for kind, entries in described.items():
            if kind != "api_version":
                grouped.setdefault(target, {}).setdefault(kind, []).extend(entries)
    return grouped
