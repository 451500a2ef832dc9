"""Records what the real packages make of return values.

Run by digitalhub 0.10.3 and 0.13.4, which agree::

    python record_digitalhub.py ../data/digitalhub/results.json
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

BODIES = {
    "none": "return None",
    "text": "return 'hello world'",
    "whole": "return 3",
    "fraction": "return 1.5",
    "truth": "return True",
    "bytes": "return b'abc'",
    "pair": "return 1, 'two'",
    "list": "return [1, 2, 3]",
    "empty_tuple": "return ()",
    "empty_list": "return []",
    "one_tuple": "return (5,)",
    "one_list": "return ['x']",
    "list_of_truths": "return [True, False]",
    "nan": "return float('nan')",
    "infinite": "return float('inf')",
    "empty_text": "return ''",
    "numpy_float64": "import numpy; return numpy.float64(0.5)",
    "huge": "return 10 ** 30",
    "inner_list": "return ([1, 2, 3])",
}
DECORATIONS: dict[str, list[str] | None] = {
    "none": None,
    "empty": [],
    "one": ["first"],
    "two": ["first", "second"],
    "four": ["a", "b", "c", "d"],
    "shifted": ["output_1"],
}


def shown(value: object) -> dict[str, str]:
    text = value.decode() if isinstance(value, bytes) else repr(value)
    return {"type": type(value).__name__, "value": text}


def record(project: Any, name: str, body: str, outputs: list[str] | None) -> dict[str, Any]:
    head = "" if outputs is None else f"@handler(outputs={outputs!r})\n"
    code = f"from digitalhub_runtime_python import handler\n{head}def f():\n    {body}\n"
    Path("main.py").write_text(code)
    function = project.new_function(
        name=name, kind="python", code_src="main.py", handler="f", python_version="PYTHON3_10"
    )
    run = function.run("job", local_execution=True, inputs={}, parameters={})
    results = {key: shown(value) for key, value in run.results().items()}
    return {"body": body, "outputs": outputs, "state": run.status.state, "results": results}


def main(path: Path) -> None:
    import digitalhub

    os.chdir(tempfile.mkdtemp())
    logging.disable(logging.CRITICAL)
    project = digitalhub.get_or_create_project("demo", local=True)
    found = {
        f"{body}/{decoration}": record(
            project, f"f-{body}-{decoration}".replace("_", "-"), BODIES[body], outputs
        )
        for body in BODIES
        for decoration, outputs in DECORATIONS.items()
    }
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
