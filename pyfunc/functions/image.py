"""The image of a function, built by a run: the context first, then what an engine makes of it.

The function names the image from the moment that the run is complete, and no other.
"""

from __future__ import annotations

import re
from pathlib import Path

from pyfunc.deploy.engine import build_image, find_engine
from pyfunc.errors import (
    EnvironmentCreationError,
    MissingDependencyError,
    PyfuncError,
    RunError,
)
from pyfunc.functions.building import write_function_context
from pyfunc.functions.documents import Document, add_state
from pyfunc.functions.executing import describe_failure, write_log
from pyfunc.functions.names import Key, parse_key, parse_reference
from pyfunc.functions.plans import plan_container
from pyfunc.functions.run import ENDS, Run, set_state
from pyfunc.functions.sources import SOURCES, fetch_source
from pyfunc.functions.store import Store

__all__ = ["CONTEXT", "build", "image_name"]

CONTEXT = "context"
"""The folder of a run with what its image is built from, and the result that says where it is."""

_LONGEST_PART = 60


def image_name(run: Run) -> str:
    """Return the name of the image that ``run`` builds; no other run has it."""
    function = parse_reference(run.spec.function)
    return f"localhost/pyfunc-{_part(run.project)}-{_part(function.name)}:{run.id[:12]}"


def _part(name: str) -> str:
    """Return ``name`` as a part of the name of an image."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return text[:_LONGEST_PART].rstrip("-") or "x"


def build(run: Run, store: Store) -> Document:
    """Build the image of the function of ``run``; return the document, which says COMPLETED.

    Where no engine works, the run is complete with the build context, and says so: there is no
    image, and the function names none.

    Args:
        run: in state RUNNING; what an engine writes goes to the standard error of this process.
        store: its store.

    Raises:
        RunError: there is no context, or the engine failed; the run is in state ERROR.
    """
    try:
        return _build(run, store)
    except PyfuncError as error:
        write_log(run.path, f"failed\n{error}")
        found = describe_failure(error, run.path)
        message = f"{found['type']}: {found['message']}"
        set_state(store, parse_key(run.key), "ERROR", message=message, error=found)
        raise RunError(f"{run.key} failed: {message}", run=run.key) from error


def _build(run: Run, store: Store) -> Document:
    folder = run.path / CONTEXT
    _write_context(run, store, folder)
    write_log(run.path, f"the build context is in {folder}")
    try:
        engine = find_engine()
    except (EnvironmentCreationError, MissingDependencyError) as error:
        message = f"no image was built, and the build context is in {folder}: {error}"
        write_log(run.path, message)
        return _complete(run, store, None, message)
    name = image_name(run)
    build_image(folder, name, engine=Path(engine).name)
    write_log(run.path, f"the image is {name}")
    return _complete(run, store, name, f"the image is {name}")


def _write_context(run: Run, store: Store, folder: Path) -> None:
    spec = run.to_dict()["spec"]
    tree = fetch_source(run.spec.source, store.folder(Key(run.project)) / SOURCES)
    write_function_context(
        tree,
        plan_container(spec),
        folder,
        python_version=str(spec.get("python_version")),
        base_image=run.spec.base_image,
        instructions=run.spec.instructions or (),
        requirements=run.spec.requirements or (),
        variables={item["name"]: item["value"] for item in run.spec.envs or ()},
    )


def _complete(run: Run, store: Store, image: str | None, message: str) -> Document:
    """Put the run into state COMPLETED, and let the function name the image, or neither."""
    function = parse_reference(run.spec.function)
    key = Key(run.project, "function", function.kind, function.name, function.id)

    def name_image(document: Document) -> None:
        document["spec"]["image"] = image

    def complete(document: Document) -> None:
        if document["status"]["state"] in ENDS:  # somebody stopped it meanwhile
            return
        results: dict[str, object] = {CONTEXT: str(run.path / CONTEXT)}
        if image is not None:
            store.change(key, name_image)
            results["image"] = image
        add_state(document, "COMPLETED", message=message, results=results)

    return store.change(parse_key(run.key), complete)
