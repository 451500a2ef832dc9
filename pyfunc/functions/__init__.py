"""Python functions as jobs, local first: projects, functions, runs and data in one directory.

::

    import pyfunc.functions as dh

    project = dh.get_or_create_project("demo")
    function = project.new_function(
        "train", code_src="train.py", handler="train", python_version="PYTHON3_11"
    )
    run = function.run("job", inputs={"rows": dataitem.key}, parameters={"depth": 3})
    run.output("model").load()

No server is needed. The store is the directory that the environment variable
``PYFUNC_FUNCTIONS_ROOT`` names, else ``.pyfunc-functions`` in the working directory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.functions.artifact import Artifact
    from pyfunc.functions.dataitem import Dataitem
    from pyfunc.functions.function import Function
    from pyfunc.functions.model import Model
    from pyfunc.functions.outputs import handler
    from pyfunc.functions.project import (
        Project,
        delete_project,
        get_or_create_project,
        get_project,
        import_project,
        list_projects,
        load_project,
        new_function,
        new_project,
    )
    from pyfunc.functions.run import Run
    from pyfunc.functions.secret import Secret
    from pyfunc.functions.task import Task

__all__ = [
    "Artifact",
    "Dataitem",
    "Function",
    "Model",
    "Project",
    "Run",
    "Secret",
    "Task",
    "delete_project",
    "get_or_create_project",
    "get_project",
    "handler",
    "import_project",
    "list_projects",
    "load_project",
    "new_function",
    "new_project",
]

_HOME = {
    "Artifact": "pyfunc.functions.artifact",
    "Dataitem": "pyfunc.functions.dataitem",
    "Function": "pyfunc.functions.function",
    "Model": "pyfunc.functions.model",
    "Project": "pyfunc.functions.project",
    "Run": "pyfunc.functions.run",
    "Secret": "pyfunc.functions.secret",
    "Task": "pyfunc.functions.task",
    "delete_project": "pyfunc.functions.project",
    "get_or_create_project": "pyfunc.functions.project",
    "get_project": "pyfunc.functions.project",
    "handler": "pyfunc.functions.outputs",
    "import_project": "pyfunc.functions.project",
    "list_projects": "pyfunc.functions.project",
    "load_project": "pyfunc.functions.project",
    "new_function": "pyfunc.functions.project",
    "new_project": "pyfunc.functions.project",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
