"""The dict forms of entities: what is written into ``entity.json`` and exchanged with others.

The form of DigitalHub 0.10 is the one that is stored. The form of 0.15 differs in the kind of
runs, which names the action there (``python+run`` here, ``python+job:run`` there), wherever the
kind or a key with it stands, and in resources, which have one amount there and requests and
limits here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Literal, TypedDict, get_args

from pyfunc.deploy.actions import Action
from pyfunc.errors import InvalidArgumentError, Problem, SchemaError, shorten
from pyfunc.functions.names import UNNAMED_TYPES, Key, parse_key

__all__ = [
    "RUN_KIND",
    "Document",
    "Form",
    "action_of",
    "add_state",
    "check_form",
    "from_document",
    "new_document",
    "now",
    "read_relationships",
    "relate",
    "to_form",
]

Form = Literal["0.10", "0.15"]
RUN_KIND = "python+run"

_NEWER_RUN = re.compile(r"python\+(?:job|serve|build):run")
_TASK = re.compile(r"python\+(job|serve|build)://")


class Document(TypedDict):
    """An entity as a dict of plain values."""

    kind: str
    metadata: dict[str, object]
    spec: dict[str, object]
    status: dict[str, object]
    project: str
    name: str
    id: str
    key: str


def now() -> str:
    """Return the present moment as documents write it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def new_document(
    key: Key, spec: Mapping[str, object], metadata: Mapping[str, object] | None = None
) -> Document:
    """Return the document of a new entity in state CREATED; what is None is left out."""
    moment = now()
    given = {name: value for name, value in (metadata or {}).items() if value is not None}
    # The id of a project is its name, and the name of a run its id.
    version = key.id or key.project
    name = version if key.entity_type in (*UNNAMED_TYPES, "project") else key.name
    return {
        "kind": key.kind,
        "metadata": {
            "project": key.project,
            "name": name,
            **given,
            "created": moment,
            "updated": moment,
        },
        "spec": {name: value for name, value in spec.items() if value is not None},
        "status": {"state": "CREATED"},
        "project": key.project,
        "name": name,
        "id": version,
        "key": str(key),
    }


def action_of(document: Document) -> Action:
    """Return the action of a run, which its task is named by; ``job`` where it says nothing."""
    task = _TASK.match(str(document["spec"].get("task")))
    for action in get_args(Action):
        if task and task[1] == action:
            found: Action = action
            return found
    return "job"


def add_state(document: Document, state: str, **status: object) -> None:
    """Put a run into ``state`` from now on, with more of its status."""
    found = document["status"]
    transitions = found.setdefault("transitions", [])
    assert isinstance(transitions, list)
    transitions.append({"status": state, "time": now()})
    found.update(status, state=state)


def read_relationships(document: Document) -> list[dict[str, str]]:
    """Return what the document says of other entities: ``{"type": ..., "dest": key}``."""
    found = document["metadata"].get("relationships")
    return [dict(item) for item in found] if isinstance(found, list) else []


def relate(document: Document, kind: str, dest: str) -> None:
    """Let ``document`` say that it stands in the relation ``kind`` to the entity ``dest``."""
    relation = {"type": kind, "dest": dest}
    found = read_relationships(document)
    if relation not in found:
        document["metadata"]["relationships"] = [*found, relation]


def check_form(form: object) -> Form:
    """Return ``form`` if documents have it.

    Raises:
        InvalidArgumentError: they do not.
    """
    for known in get_args(Form):
        if form == known:
            return "0.10" if known == "0.10" else "0.15"
    raise InvalidArgumentError(f"form: expected one of {get_args(Form)}, got {shorten(form)}")


def to_form(document: Document, form: Form) -> Document:
    """Return a copy of ``document`` in ``form``.

    A key of another run stands for a job: nothing else has outputs.
    """
    if check_form(form) == "0.10":
        return _with_keys(document, lambda key: key)
    result = _with_keys(
        document, lambda key: key.replace(f"/run/{RUN_KIND}/", "/run/python+job:run/")
    )
    _change_resources(result["spec"], _to_amount)
    if document["kind"] == RUN_KIND:
        result["kind"] = f"python+{action_of(document)}:run"
        result["key"] = document["key"].replace(f"/{RUN_KIND}/", f"/{result['kind']}/")
    return result


def from_document(value: object) -> Document:
    """Return a document of either form, or of a version between, in the form that is stored.

    Raises:
        SchemaError: parts are missing or of another type; all of them are named.
    """
    if not isinstance(value, Mapping):
        raise SchemaError(
            [Problem("document", "dict", shorten(value))], subject="this is no entity"
        )
    tree = {**value}
    tree.setdefault("name", tree.get("id"))
    problems = [
        Problem(name, kind.__name__, "nothing" if name not in tree else shorten(tree[name]))
        for name, kind in _PARTS
        if not isinstance(tree.get(name), kind)
    ]
    if problems:
        raise SchemaError(problems, subject="this is no entity")
    result = _with_keys(
        {
            "kind": _NEWER_RUN.sub(RUN_KIND, tree["kind"]),
            "metadata": tree["metadata"],
            "spec": tree["spec"],
            "status": tree["status"],
            "project": tree.get("project") or tree["name"],
            "name": tree["name"],
            "id": tree["id"],
            "key": tree["key"],
        },
        lambda key: _NEWER_RUN.sub(RUN_KIND, key),
    )
    parse_key(result["key"])
    _change_resources(result["spec"], _from_amount)
    return result


def _change_resources(spec: dict[str, object], change: Callable[[object], object]) -> None:
    found = spec.get("resources")
    if isinstance(found, dict):
        spec["resources"] = {name: change(amount) for name, amount in found.items()}


def _to_amount(resource: object) -> object:
    """Return the limit, or what is requested where there is none."""
    if not isinstance(resource, dict):
        return resource
    return resource.get("limits", resource.get("requests"))


def _from_amount(resource: object) -> object:
    is_amount = isinstance(resource, (int, str)) and not isinstance(resource, bool)
    return {"limits": str(resource)} if is_amount else resource


_PARTS: tuple[tuple[str, type], ...] = (
    ("kind", str),
    ("metadata", dict),
    ("spec", dict),
    ("status", dict),
    ("name", str),
    ("id", str),
    ("key", str),
)


def _with_keys(document: Document, rewrite: Callable[[str], str]) -> Document:
    """Return a copy of ``document`` with every ``store://`` key in it rewritten."""
    return {
        "kind": document["kind"],
        "metadata": _rewritten_dict(document["metadata"], rewrite),
        "spec": _rewritten_dict(document["spec"], rewrite),
        "status": _rewritten_dict(document["status"], rewrite),
        "project": document["project"],
        "name": document["name"],
        "id": document["id"],
        "key": rewrite(document["key"]),
    }


def _rewritten_dict(
    value: Mapping[str, object], rewrite: Callable[[str], str]
) -> dict[str, object]:
    return {name: _rewritten(item, rewrite) for name, item in value.items()}


def _rewritten(value: object, rewrite: Callable[[str], str]) -> object:
    if isinstance(value, dict):
        return _rewritten_dict(value, rewrite)
    if isinstance(value, list):
        return [_rewritten(item, rewrite) for item in value]
    return rewrite(value) if isinstance(value, str) and value.startswith("store://") else value
