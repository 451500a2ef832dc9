"""The child process that observes what loading a model and one prediction import.

Started by :mod:`pyfunc.env.observed_run` with the model directory and the file for the result.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["main", "observed_imports"]


@contextlib.contextmanager
def observed_imports(counts: Callable[[Mapping[str, Any]], bool]) -> Iterator[set[str]]:
    """Yield a set that collects the absolute names of import statements that run.

    Args:
        counts: is given the globals of the importing code and says whether it is looked at.
    """
    seen: set[str] = set()
    original = builtins.__import__
    original_module = importlib.import_module

    def observing_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and name and counts(globals or {}):
            seen.add(name)
        return original(name, globals, locals, fromlist, level)

    def observing_module(name: str, package: str | None = None) -> ModuleType:
        if not name.startswith(".") and counts(sys._getframe(1).f_globals):
            seen.add(name)
        return original_module(name, package)

    builtins.__import__ = observing_import
    importlib.import_module = observing_module
    try:
        yield seen
    finally:
        builtins.__import__ = original
        importlib.import_module = original_module


def main(arguments: list[str]) -> int:
    """Write the modules as a JSON list; the predicted example is the one saved in the model."""
    directory, result = arguments
    # Imported before, so that what this library needs for itself is not taken for the model's.
    from pyfunc.loading import load_model

    # Libraries try imports of optional helpers when they load; only what the model's own code
    # asks for counts then. While it predicts, a library imports what this work needs.
    with observed_imports(_is_own_code) as seen:
        model = load_model(directory, suppress_warnings=True)
        example = model.input_example
    if example is not None:
        with observed_imports(_is_not_ours) as seen_later:
            _predict(model, example)
        seen |= seen_later
    Path(result).write_text(json.dumps(sorted(seen)), encoding="utf-8")
    return 0


def _is_not_ours(importer: Mapping[str, Any]) -> bool:
    return str(importer.get("__name__", "")).partition(".")[0] not in ("pyfunc", "mlflow")


def _is_own_code(importer: Mapping[str, Any]) -> bool:
    """Return whether code belongs to the model: it came by value or is no installed file."""
    file = importer.get("__file__")
    if not isinstance(file, str):
        return _is_not_ours(importer) and importer.get("__loader__") is None
    installed = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return _is_not_ours(importer) and not any(Path(file).is_relative_to(p) for p in installed)


def _predict(model: Any, example: Any) -> None:
    try:
        model.predict(example)
    except Exception as error:  # what was imported until then is known all the same
        print(f"predicting the example failed: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
