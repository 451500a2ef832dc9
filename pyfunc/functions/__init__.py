"""Python functions as jobs and services, from one directory: projects, functions, runs, data.

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

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".artifact": ("Artifact",),
        ".dataitem": ("Dataitem",),
        ".events": ("Context", "Event", "Response"),
        ".function": ("Function",),
        ".model": ("Model",),
        ".outputs": ("handler",),
        ".project": (
            "Project",
            "delete_project",
            "get_or_create_project",
            "get_project",
            "import_project",
            "list_projects",
            "load_project",
            "new_function",
            "new_project",
        ),
        ".run": ("Run",),
        ".secret": ("Secret",),
        ".task": ("Task",),
    },
)
