"""What becomes of the output of a pipeline: what MLflow gives, one answer for each input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "Asked",
    "as_they_are",
    "best_tokens",
    "generated_texts",
    "labels_of_tokens",
    "labels_with_scores",
    "scores_with_labels",
    "sequences_with_labels",
    "texts_at",
    "transcripts",
    "vectors",
]

Found = Sequence[object]


@dataclass(frozen=True)
class Asked:
    """What the pipeline was asked.

    Attributes:
        items: the inputs, as they were given to it.
        options: the configuration and the parameters of the call.
    """

    items: Sequence[object]
    options: Mapping[str, object]


def texts_at(key: str) -> Callable[[Found, Asked], object]:
    """Return a function from an output to the texts that are found in it under ``key``."""

    def answer(found: Found, asked: Asked) -> object:
        return [str(item[key]).strip() for item in _flat(found)]

    return answer


def generated_texts(found: Found, asked: Asked) -> object:
    """Return the first text that was generated for each input.

    ``include_prompt=False`` takes the input away from its beginning, ``collapse_whitespace`` makes
    any white space one blank.
    """
    texts = [str(next(_flat([one]))["generated_text"]) for one in found]
    if asked.options.get("include_prompt") is False:
        texts = [
            text.removeprefix(str(prompt)) for text, prompt in zip(texts, asked.items, strict=True)
        ]
    if asked.options.get("collapse_whitespace"):
        texts = [re.sub(r"\s+", " ", text) for text in texts]
    return [text.strip() for text in texts]


def labels_with_scores(found: Found, asked: Asked) -> object:
    """Return a frame of labels and scores, the best of each input or as many as asked for."""
    return pd.DataFrame(list(_flat(found)), columns=["label", "score"])


def scores_with_labels(found: Found, asked: Asked) -> object:
    """Return a frame of scores and labels, all of each input."""
    return pd.DataFrame(list(_flat(found)), columns=["score", "label"])


def sequences_with_labels(found: Found, asked: Asked) -> object:
    """Return a frame with a row for each sequence and label, the best label first."""
    rows = [
        (item["sequence"], label, score)
        for item in _flat(found)
        for label, score in zip(item["labels"], item["scores"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["sequence", "labels", "scores"])


def labels_of_tokens(found: Found, asked: Asked) -> object:
    """Return for each text the labels of its tokens, with commas between them."""
    return [
        ",".join(str(token.get("entity", token.get("entity_group"))) for token in _flat([tokens]))
        for tokens in found
    ]


def best_tokens(found: Found, asked: Asked) -> object:
    """Return the best token of each text, or the list of them where it has several masks.

    One text alone with several masks has one answer for each mask.
    """
    if len(asked.items) != 1:
        return [_best_token(one) for one in found]
    best = _best_token(found)  # the library leaves the outer list out for one text
    return best if isinstance(best, list) else [best]


def transcripts(found: Found, asked: Asked) -> object:
    """Return the text of each sound; as JSON, with their times, if it was asked for words."""
    if asked.options.get("return_timestamps") in ("word", "char"):
        return [json.dumps(one, default=float) for one in _flat(found)]
    return [str(one["text"]).strip() for one in _flat(found)]


def vectors(found: Found, asked: Asked) -> object:
    """Return an array of float64 of tokens and features, for several inputs one for each.

    Arrays of one shape are one array; those of another number of tokens stay in a list.
    """
    arrays = [np.asarray(one, dtype=np.float64)[0] for one in found]
    if len(arrays) == 1:
        return arrays[0]
    same = len({array.shape for array in arrays}) == 1
    return np.stack(arrays) if same else arrays


def as_they_are(found: Found, asked: Asked) -> object:
    """Return the output of the library."""
    return found


def _flat(found: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, Mapping):
        yield found
    elif isinstance(found, (list, tuple)):
        for item in found:
            yield from _flat(item)


def _best_token(found: Any) -> object:
    first = found[0]
    return (
        first["token_str"].strip()
        if isinstance(first, Mapping)
        else [_best_token(one) for one in found]
    )
