"""The child process that observes what loading a model and one prediction import.

Started by :mod:`pyfunc.env.inference.observed_run` with the model directory and the file for
the result.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.env.inference.observing import ImportObserver

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["main"]

# Found before imports are observed: finding it imports.
_INSTALLED = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}


def main(arguments: list[str]) -> int:
    """Write the modules as a JSON list; the predicted example is the one saved in the model."""
    directory, result = arguments
    # Before the rest of this library is imported: it keeps the import function that it finds.
    with ImportObserver(lambda importer, is_loading: False) as observer:
        from pyfunc.code import statements
        from pyfunc.loading.entry import load_model

        # Libraries try imports of optional helpers when they load; only what the model's own
        # code asks for counts then. While it predicts, a library imports what this work needs.
        observer.policy = partial(_is_own_code, statements.__name__)
        model = load_model(directory, suppress_warnings=True)
        example = model.input_example
        if example is not None:
            observer.policy = partial(_is_not_ours, statements.__name__)
            _predict(model, example)
    Path(result).write_text(json.dumps(sorted(observer.seen)), encoding="utf-8")
    return 0


def _is_not_ours(statements: str, importer: Mapping[str, object], is_loading: bool) -> bool:
    del is_loading  # what a library loads for this work may need its helpers
    # The model's code imports through that module, where its own modules are kept apart.
    if importer.get("__name__") == statements:
        return True
    return str(importer.get("__name__", "")).partition(".")[0] not in ("pyfunc", "mlflow")


def _is_own_code(statements: str, importer: Mapping[str, object], is_loading: bool) -> bool:
    """Return whether code belongs to the model: it came by value or is no installed file."""
    if importer.get("__name__") == statements:
        return True
    if not _is_not_ours(statements, importer, is_loading):
        return False
    file = importer.get("__file__")
    if not isinstance(file, str):
        return importer.get("__loader__") is None
    return not any(Path(file).is_relative_to(folder) for folder in _INSTALLED)


def _predict(model: PyFuncModel, example: object) -> None:
    try:
        model.predict(example)
    except Exception as error:  # what was imported until then is known all the same
        print(f"predicting the example failed: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
