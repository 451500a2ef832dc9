"""What the page shows of a store, as values of JSON: projects, entities, logs."""

from __future__ import annotations

import base64
import binascii
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyfunc.errors import EntityNotFoundError, InvalidArgumentError, ModelIncompleteError
from pyfunc.files.paths import open_regular_file, size_of
from pyfunc.functions.documents import RUN_KIND, Document
from pyfunc.functions.entity import FileEntity
from pyfunc.functions.names import (
    UNNAMED_TYPES,
    VERSIONED_TYPES,
    Key,
    check_id,
    check_name,
    parse_key,
    parse_reference,
)
from pyfunc.functions.project import Project
from pyfunc.functions.run import ENDS, INPUT_TYPES, LOG, settle
from pyfunc.functions.store import Store
from pyfunc.functions.ui.lineage import find_lineage, function_of
from pyfunc.functions.ui.previews import preview_file
from pyfunc.functions.ui.showing import Shown, shown_in

__all__ = ["Asked", "Tree", "Views"]

_PAGE = 100
_MOST_AT_ONCE = 1000
_LOG_PART = 1 << 16
_MOST_CODE = 100_000
_TYPES = {f"{name}s": name for name in (*VERSIONED_TYPES, *UNNAMED_TYPES)}

Tree = dict[str, object]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: parts of the path, and the query."""

    project: str = ""
    types: str = "runs"
    name: str = ""
    version: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


class Views:
    """The store below ``root`` as the page shows it. Any number of threads may ask."""

    def __init__(self, root: Path) -> None:
        self._store = Store(root)

    def projects(self, asked: Asked) -> Tree:
        """Return all projects, with how much is in them."""
        return {
            "root": str(self._store.root),
            "projects": [self._project(name) for name in self._store.projects()],
        }

    def project(self, asked: Asked) -> Tree:
        """Return one project, with how many of its runs are in which state."""
        tree = self._project(asked.project)
        states = Counter(map(_state, self._documents(asked.project, "run")))
        return {**tree, "states": dict(states)}

    def entities(self, asked: Asked) -> Tree:
        """Return the entities of a type, the newest first, as ``limit`` and ``offset`` ask.

        ``name`` and ``state`` choose among them.

        Raises:
            InvalidArgumentError: there is no such type, or a number is none.
        """
        query = asked.query
        limit = _count(query, "limit", _PAGE, _MOST_AT_ONCE)
        offset = _count(query, "offset", 0)
        found = self._documents(self._opened(asked.project), _type(asked.types))[::-1]
        for part, of in (("name", _name), ("state", _state)):
            if part in query:
                found = [document for document in found if of(document) == query[part]]
        shown = shown_in(self._store, asked.project)
        items = [_summary(document, shown) for document in found[offset : offset + limit]]
        return {"total": len(found), "offset": offset, "items": items}

    def entity(self, asked: Asked) -> Tree:
        """Return the document of one entity, its code and its file, where it has them."""
        document = self._read(asked)
        shown = shown_in(self._store, asked.project)
        code = _take_code(document)
        tree: Tree = {"document": shown.value(dict(document))}
        if code is not None:
            tree["code"] = shown.short(code, _MOST_CODE)
        if _type(asked.types) in INPUT_TYPES:
            tree["file"] = self._file(document)
        return tree

    def preview(self, asked: Asked) -> Tree:
        """Return the head of what a dataitem, an artifact or a model holds."""
        path = self._files_of(self._read(asked)).as_file()
        return preview_file(path, shown_in(self._store, asked.project))

    def log(self, asked: Asked) -> Tree:
        """Return a part of the log of a run: its end, or what comes at ``offset``.

        ``end`` of the result is the ``offset`` of what comes next. While the run goes on there
        are whole lines only.
        """
        document = self._read(asked)
        # Before the log is read: what was written until the end is read after it.
        is_over = _state(document) in ENDS
        path = self._store.folder(parse_key(document["key"])) / LOG
        shown = shown_in(self._store, asked.project)
        offset = _count(asked.query, "offset", 0) if "offset" in asked.query else None
        part = _log_part(path, offset, shown, is_over=is_over)
        return {**part, "state": _state(document), "is_over": is_over}

    def lineage(self, asked: Asked) -> Tree:
        """Return the graph around a run."""
        shown = shown_in(self._store, asked.project)
        found = find_lineage(self._store, self._read(asked))
        return {name: shown.value(part) for name, part in found.items()}

    def _opened(self, name: str) -> str:
        return Project.open(self._store, name).name

    def _project(self, name: str) -> Tree:
        document = Project.open(self._store, name).to_dict()
        shown = shown_in(self._store, name)
        counts = {types: self._store.count(name, one) for types, one in _TYPES.items()}
        return {"name": name, "metadata": shown.value(document["metadata"]), "counts": counts}

    def _documents(self, project: str, entity_type: str) -> list[Document]:
        found = self._store.read_all(project, entity_type)
        if entity_type != "run":
            return found
        return [settle(self._store, document) for document in found]

    def _read(self, asked: Asked) -> Document:
        entity_type = _type(asked.types)
        if entity_type in VERSIONED_TYPES:
            check_name(asked.name, entity_type)
        project, version = self._opened(asked.project), check_id(asked.version)
        key = Key(project, entity_type, "", asked.name, version)
        document = self._store.read(key)
        return settle(self._store, document) if entity_type == "run" else document

    def _files_of(self, document: Document) -> FileEntity:
        cls = INPUT_TYPES.get(parse_key(document["key"]).entity_type)
        if cls is None:
            raise InvalidArgumentError(f"{document['key']} holds no files")
        return cls(self._store, document)

    def _file(self, document: Document) -> Tree:
        try:
            path = self._files_of(document).as_file()
        except ModelIncompleteError:
            return {"path": None, "size": None}
        size = size_of(path) if path.is_dir() else path.stat().st_size
        return {"path": str(path), "size": size}


def _type(types: str) -> str:
    if types not in _TYPES:
        raise EntityNotFoundError(f"{types!r} is none of {', '.join(_TYPES)}")
    return _TYPES[types]


def _count(query: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 18:
        raise InvalidArgumentError(f"{name}: expected a number of at least 0, got {text!r}")
    return int(text) if most is None else min(int(text), most)


def _name(document: Document) -> str:
    return function_of(document) if _is_run(document) else document["name"]


def _state(document: Document) -> str:
    return str(document["status"].get("state"))


def _is_run(document: Document) -> bool:
    return document["kind"] == RUN_KIND


def _summary(document: Document, shown: Shown) -> Tree:
    tree: Tree = {name: document[name] for name in ("kind", "name", "id", "key")}
    metadata, status = document["metadata"], document["status"]
    tree |= {name: metadata.get(name) for name in ("created", "updated", "description")}
    if _is_run(document):
        tree |= {"function": function_of(document), "action": _action(document)}
        tree |= {name: status.get(name) for name in ("state", "message", "cached_from")}
        results, outputs = status.get("results"), status.get("outputs")
        tree |= {
            "results": results if isinstance(results, dict) else {},
            "outputs": [*outputs] if isinstance(outputs, dict) else [],
        }
    return {name: shown.value(value) for name, value in tree.items()}


def _action(run: Document) -> str:
    try:
        return parse_reference(run["spec"].get("task")).kind.rpartition("+")[2]
    except InvalidArgumentError:
        return "?"


def _take_code(document: Document) -> str | None:
    """Take the code out of a document that holds it as base64; return it as text."""
    source = document["spec"].get("source")
    if not isinstance(source, dict) or not isinstance(source.get("base64"), str):
        return None
    try:
        data = base64.b64decode(source.pop("base64"))
    except (binascii.Error, ValueError):
        return None
    return data.decode("utf-8", "replace")


def _log_part(path: Path, offset: int | None, shown: Shown, *, is_over: bool) -> Tree:
    if not path.is_file():
        return {"text": "", "start": 0, "end": 0, "size": 0}
    with open_regular_file(path, follow=False) as file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - _LOG_PART) if offset is None else min(offset, size)
        before = min(start, shown.margin)
        file.seek(start - before)
        data = file.read(before + _LOG_PART + shown.margin)
    end = min(len(data), before + _LOG_PART)
    last = data.rfind(b"\n", before, end) + 1
    if last > before and not (is_over and start - before + end >= size):
        end = last
    elif end < before + _LOG_PART and not is_over:
        end = before  # a line that is being written
    begin = before
    if offset is None and start:  # in the middle of a line
        begin = max(before, data.find(b"\n", before, end) + 1)
    text = shown.part(data, begin, end)
    moved = start - before
    return {"text": text, "start": moved + begin, "end": moved + end, "size": size}
