"""Parts of a model directory that every kind of save writes in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.model.description import Model

if TYPE_CHECKING:
    from pyfunc.schema import InputExample

__all__ = ["write_example"]


def write_example(example: InputExample | None, model: Model, directory: Path) -> None:
    """Write the input example, if there is one, and say so in ``model``."""
    if example is not None:
        example.write(directory)
        model.saved_input_example_info = example.info
