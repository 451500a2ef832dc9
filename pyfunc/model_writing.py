"""Parts of a model directory that every kind of save writes in the same way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.mlmodel import Model

if TYPE_CHECKING:
    from pyfunc.schema import InputExample

__all__ = ["size_of", "write_example"]


def write_example(example: InputExample | None, model: Model, directory: Path) -> None:
    """Write the input example, if there is one, and say so in ``model``."""
    if example is not None:
        example.write(directory)
        model.saved_input_example_info = example.info


def size_of(directory: Path) -> int:
    """Return the sum of the sizes of all files below ``directory``."""
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(directory)
        for name in names
    )
