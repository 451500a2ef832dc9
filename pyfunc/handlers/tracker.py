"""Which part of the answers of a request handler a server counts (handlers.md A4, A6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten

__all__ = ["ModelType", "Tracker"]

ModelType = Literal["classification", "regression"]

_TYPES: dict[ModelType, tuple[type, ...]] = {
    "classification": (str, int),
    "regression": (float, int),
}


@dataclass(frozen=True, slots=True)
class Tracker:
    """What is tracked, as in the ``tracker`` of a ``cortex.yaml``.

    Attributes:
        key: where it is in the answer; None where the answer is it.
        model_type: classes are counted, numbers summed up.
    """

    model_type: ModelType
    key: str | None = None

    @classmethod
    def from_mapping(cls, given: Any) -> Tracker:
        """Return the tracker of the keys ``model_type`` and ``key``.

        Raises:
            InvalidTypeError: ``given`` is not a mapping, or the key is not text.
            InvalidArgumentError: a key is unknown, or the model type is.
        """
        if not isinstance(given, Mapping):
            raise InvalidTypeError(f"expected a mapping, got {shorten(given)}")
        unknown = sorted(map(str, given.keys() - {"key", "model_type"}))
        if unknown:
            raise InvalidArgumentError(f"expected the keys key and model_type, got {unknown}")
        kind: Any = given.get("model_type")
        key = given.get("key")
        if kind not in get_args(ModelType):
            raise InvalidArgumentError(
                f"model_type: expected classification or regression, got {shorten(kind)}"
            )
        if key is not None and not isinstance(key, str):
            raise InvalidTypeError(f"key: expected text, got {shorten(key)}")
        return cls(kind, key)

    def to_dict(self) -> dict[str, Any]:
        """Return the form that :meth:`from_mapping` takes."""
        return {"key": self.key, "model_type": self.model_type}

    def find(self, answer: Any) -> str | float:
        """Return what is tracked of an answer: text or int, or float or int, of no subclass.

        Raises:
            InvalidArgumentError: the answer does not have it.
        """
        value = answer
        if self.key is not None:
            if not isinstance(answer, Mapping) or self.key not in answer:
                raise InvalidArgumentError(f"the answer has no key {self.key!r}")
            value = answer[self.key]
        kinds = _TYPES[self.model_type]
        if type(value) not in kinds:
            names = " or ".join(kind.__name__ for kind in kinds)
            where = "the answer" if self.key is None else f"the value of {self.key!r}"
            raise InvalidArgumentError(
                f"{where} must be {names} for {self.model_type}, got {type(value).__name__}"
            )
        return value  # type: ignore[no-any-return]
