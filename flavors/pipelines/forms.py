"""What may be given to a pipeline, as one item for each input.

A frame, a mapping, a list of mappings and a list of values say the same here: what a signature
makes of one of them must not depend on which it was.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten

__all__ = [
    "read_joined_texts",
    "read_label_requests",
    "read_pairs",
    "read_questions",
    "read_table_questions",
    "read_texts",
    "rows_of",
    "values_of",
]


def rows_of(data: object) -> list[object]:
    """Return one row for each input: what was given, or a mapping from column to value."""
    if isinstance(data, pd.DataFrame):
        return list(data.to_dict("records"))
    if isinstance(data, pd.Series):
        return data.tolist()
    if isinstance(data, np.ndarray) and data.dtype.kind in "OUS":
        return list(data.ravel().tolist())
    return list(data) if isinstance(data, (list, tuple)) else [data]


def values_of(data: object) -> list[object]:
    """Return one value for each input; of a mapping its first."""
    return [_first(row) for row in rows_of(data)]


def read_texts(data: object) -> list[str]:
    """Return one text for each input.

    Raises:
        InvalidTypeError: an input is no text.
    """
    return [_check_text(value, at) for at, value in enumerate(values_of(data))]


def read_joined_texts(data: object) -> list[str]:
    """Return one text for each input; the named values of a mapping become one text.

    ``{"context": "a", "answer": "b"}`` is ``"context: a answer: b"``, as models for it expect.

    Raises:
        InvalidTypeError: an input is no text and no mapping of texts.
    """
    return [_check_text(_joined(row), at) for at, row in enumerate(rows_of(data))]


def read_pairs(data: object) -> list[object]:
    """Return one text, or one mapping of ``text`` and ``text_pair``, for each input.

    Raises:
        InvalidTypeError: an input is neither.
    """
    return [_pair(row, at) for at, row in enumerate(rows_of(data))]


def read_questions(data: object) -> list[dict[str, str]]:
    """Return one mapping of ``question`` and ``context`` for each input.

    Raises:
        InvalidArgumentError: an input lacks one of them.
        InvalidTypeError: an input is no mapping, or a value no text.
    """
    return [
        {key: _check_text(value, key) for key, value in one.items()}
        for row in rows_of(data)
        for one in _unfolded(_named(row, ("question", "context")))
    ]


def read_label_requests(data: object) -> list[dict[str, object]]:
    """Return mappings of ``sequences``, ``candidate_labels`` and perhaps ``hypothesis_template``.

    Labels may be a list, its JSON, or texts that rows of a frame have one by one.

    Raises:
        InvalidArgumentError: an input lacks sequences or labels.
        InvalidTypeError: an input is no mapping.
    """
    rows = [_named(row, ("sequences", "candidate_labels")) for row in rows_of(data)]
    wanted = ("sequences", "candidate_labels", "hypothesis_template")
    requests = [{key: _listed(row[key]) for key in wanted if key in row} for row in rows]
    if len(requests) > 1 and all(isinstance(one["candidate_labels"], str) for one in requests):
        # A frame with one label a row: the labels are for all of its sequences.
        merged = {key: _unique(one[key] for one in requests) for key in requests[0]}
        if "hypothesis_template" in merged:
            merged["hypothesis_template"] = requests[0]["hypothesis_template"]
        return [merged]
    return requests


def read_table_questions(data: object) -> list[dict[str, object]]:
    """Return one mapping of ``query`` and ``table`` for each question.

    A table is a mapping from column to its values, or the text of one; all cells become texts.

    Raises:
        InvalidArgumentError: an input lacks one of them, or the text is no table.
        InvalidTypeError: an input is no mapping.
    """
    if isinstance(data, pd.DataFrame) and "table" in data and _is_split(data["table"]):
        # pandas takes the columns of a table for the rows of the input.
        data = {"query": data["query"].iloc[0], "table": data["table"].to_dict()}
    return [
        {"query": query, "table": _table(row["table"])}
        for row in (_named(row, ("query", "table")) for row in rows_of(data))
        for query in _as_list(row["query"])
    ]


def _first(row: object) -> object:
    return next(iter(row.values()), None) if isinstance(row, Mapping) else row


def _joined(row: object) -> object:
    if not isinstance(row, Mapping) or not row or "inputs" in row:
        return _first(row)
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in row.items()):
        return _first(row)
    return " ".join(f"{key}: {value}" for key, value in row.items())


def _pair(row: object, at: int) -> object:
    if isinstance(row, Mapping) and "text_pair" in row and row.keys() <= {"text", "text_pair"}:
        return {str(key): _check_text(value, at) for key, value in row.items()}
    if isinstance(row, Mapping) and len(row) != 1:
        raise InvalidTypeError(
            f"inputs[{at}]: expected a text, or a mapping with text and text_pair, "
            f"got {shorten(row)}"
        )
    return _check_text(_first(row), at)


def _named(row: object, needed: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(row, Mapping):
        raise InvalidTypeError(
            f"inputs: expected a mapping with {', '.join(needed)}, got {shorten(row)}"
        )
    missing = [key for key in needed if key not in row]
    if missing:
        raise InvalidArgumentError(
            f"inputs: expected {', '.join(needed)}, {', '.join(missing)} is missing in "
            f"{shorten(list(row))}"
        )
    return row


def _unfolded(row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield mappings of single values; lists of one length go side by side."""
    columns = [_as_list(row["question"]), _as_list(row["context"])]
    longest = max(len(column) for column in columns)
    full = [column * longest if len(column) == 1 else column for column in columns]
    if len({len(column) for column in full}) > 1:
        raise InvalidArgumentError(
            f"inputs: {len(columns[0])} questions and {len(columns[1])} contexts\n"
            "hint: give one context, or one for each question"
        )
    for question, context in zip(*full, strict=True):
        yield {"question": question, "context": context}


def _as_list(value: object) -> list[object]:
    if isinstance(value, np.ndarray):
        return list(np.atleast_1d(value).tolist())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _listed(value: object) -> object:
    """Return a list as a list, and as one also the JSON of a list."""
    if isinstance(value, str):
        return _parsed(value, (json.loads,), list, value)
    return _as_list(value)


def _unique(values: Iterator[object]) -> object:
    found: list[object] = []
    for value in values:
        found += [one for one in _as_list(value) if one not in found]
    return found if len(found) > 1 else found[0]


def _is_split(column: pd.Series[Any]) -> bool:
    return len(column) > 0 and all(isinstance(cell, (list, np.ndarray)) for cell in column)


def _table(value: object) -> dict[str, list[str]]:
    if isinstance(value, pd.DataFrame):
        value = value.to_dict("list")
    if isinstance(value, str):
        value = _parsed(value, (json.loads, ast.literal_eval), Mapping, value)
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(
            f"table: expected a mapping from column to values, or its JSON, got {shorten(value)}"
        )
    return {str(name): [str(cell) for cell in _as_list(cells)] for name, cells in value.items()}


def _parsed(
    text: str, parsers: Sequence[Callable[[str], object]], kind: type, default: object
) -> object:
    for parse in parsers:
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, kind):
            return found
    return default


def _check_text(value: object, at: object) -> str:
    if not isinstance(value, str):
        raise InvalidTypeError(f"inputs[{at!r}]: expected a text, got {shorten(value)}")
    return value
