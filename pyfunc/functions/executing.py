"""Executes one run in this process: attempts, states, the log, and what comes of a failure."""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyfunc.code.calling import text_of
from pyfunc.errors import (
    EntityNotFoundError,
    HandlerError,
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    RunError,
    SchemaError,
)
from pyfunc.functions.arguments import compose_arguments
from pyfunc.functions.documents import Document, now
from pyfunc.functions.hiding import Veil, veil_of
from pyfunc.functions.names import Key, parse_key
from pyfunc.functions.outputs import (
    check_compat,
    decode_value,
    name_items,
    outputs_of,
    parse_entries,
)
from pyfunc.functions.publishing import Outputs
from pyfunc.functions.run import LOG, Run, read_entity, set_state
from pyfunc.functions.signatures import name_of_type
from pyfunc.functions.sources import SOURCES, fetch_source
from pyfunc.functions.store import Store
from pyfunc.functions.user_code import UserFunction, load_function

__all__ = ["describe_failure", "execute", "write_log"]

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# Another attempt would end just so.
_FINAL = (
    EntityNotFoundError, InvalidArgumentError, InvalidTypeError, ModelNotFoundError, SchemaError,
)  # fmt: skip


def write_log(folder: Path, text: str) -> None:
    """Append a line, or several, to the log of the run in ``folder``."""
    with open(folder / LOG, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{now()} {text}\n")


@dataclass
class _Attempts:
    """What became of each attempt, as the status of the run says it."""

    done: list[dict[str, object]] = field(default_factory=list)

    def add(self, started: str, error: Mapping[str, object] | None) -> list[dict[str, object]]:
        self.done = self.having(started, error)
        return self.done

    def having(self, started: str, error: Mapping[str, object] | None) -> list[dict[str, object]]:
        return [*self.done, {"started": started, "ended": now(), "error": error}]


def execute(run: Run, store: Store, project: object, tree: Path | None = None) -> Document:
    """Execute ``run`` here and now; return its document, which says COMPLETED.

    Args:
        run: in state RUNNING.
        store: its store.
        project: what a function with an argument ``project`` gets.
        tree: the folder with its code; fetched from where the run says if None.

    Raises:
        RunError: the last attempt failed; what it raised is the cause, and the run in ERROR.
    """
    spec = run.to_dict()["spec"]
    veil = veil_of(spec.get("secrets"))
    with veil.over_output():
        return _execute(run, store, project, tree, veil)


def _execute(run: Run, store: Store, project: object, tree: Path | None, veil: Veil) -> Document:
    limit = run.to_dict()["spec"].get("backoff_limit")
    retries = limit if isinstance(limit, int) else 0
    attempts = _Attempts()
    pause = _FIRST_PAUSE
    while True:
        started = now()
        write_log(run.path, f"attempt {len(attempts.done) + 1} starts")
        try:
            return _attempt(run, store, project, tree, attempts, started=started)
        except KeyboardInterrupt:  # Ctrl-C: the run is over, and so is what its caller does
            set_state(store, parse_key(run.key), "STOPPED", message="interrupted")
            raise
        except BaseException as error:  # it may raise anything, such as a CancelledError
            own = tree or store.folder(Key(run.project)) / SOURCES
            failure = describe_failure(error, own)
            failure["message"] = veil.text(str(failure["message"]))
            done = attempts.add(started, failure)
            trace = veil.text("".join(traceback.format_exception(error)))
            write_log(run.path, f"failed\n{trace}")
            if len(done) > retries or isinstance(error, _FINAL):
                raise _failed(run, store, error, done) from error
        write_log(run.path, f"another attempt in {pause:g} s")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _attempt(
    run: Run,
    store: Store,
    project: object,
    tree: Path | None,
    attempts: _Attempts,
    *,
    started: str,
) -> Document:
    spec = run.to_dict()["spec"]
    compat = check_compat(spec.get("compat"))
    source = _mapping(spec, "source")
    code = tree or fetch_source(source, store.folder(Key(run.project)) / SOURCES)
    user = load_function(code, str(source.get("handler")))
    inputs, parameters = _mapping(spec, "inputs"), _mapping(spec, "parameters")
    arguments = compose_arguments(
        user.function,
        parameters={name: decode_value(value) for name, value in parameters.items()},
        inputs={name: read_entity(store, str(key)) for name, key in inputs.items()},
        reserved={"project": project, "run": run},
        compat=compat,
    )
    value = _call(user, arguments)
    given = spec.get("outputs")
    entries = parse_entries(given) if isinstance(given, list) else outputs_of(user.function) or ()
    outputs = Outputs(store, run.key, compat)
    outputs.write(name_items(value, entries, compat=compat))
    write_log(run.path, "completed")
    try:
        document = set_state(
            store,
            parse_key(run.key),
            "COMPLETED",
            outputs=outputs.keys,
            results=outputs.results,
            attempts=attempts.having(started, None),
        )
    except BaseException:
        outputs.discard()
        raise
    if document["status"]["state"] == "COMPLETED":
        outputs.publish()
    else:  # somebody stopped it meanwhile
        outputs.discard()
    return document


def _mapping(spec: Mapping[str, object], name: str) -> dict[str, object]:
    found = spec.get(name)
    return found if isinstance(found, dict) else {}


def _call(user: UserFunction, arguments: Mapping[str, object]) -> object:
    with user.scope.active():
        value = user.function(**arguments)
        return _await(value) if inspect.isawaitable(value) else value


def _await(awaitable: Awaitable[object]) -> object:
    import asyncio

    from pyfunc.functions.awaiting import as_coroutine

    coroutine = as_coroutine(awaitable)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # In a notebook a loop runs already, and a thread has only one.
    outcome: list[Callable[[], object]] = []

    def run() -> None:
        try:
            value = asyncio.run(coroutine)
            outcome.append(lambda: value)
        except BaseException as error:
            outcome.append(_raiser(error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    return outcome[0]()


def _raiser(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def describe_failure(error: BaseException, sources: Path) -> dict[str, object]:
    """Return type, message, file and line: of the code below ``sources`` if it is among them."""
    message = text_of(error)
    if isinstance(error, HandlerError) and error.__cause__ is not None:
        error = error.__cause__  # what importing the user's code raised
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(sources))]
    kind = type(error)
    return {
        "type": kind.__name__ if kind.__module__ == "builtins" else name_of_type(kind),
        "message": message,
        "file": own[-1].filename if own else None,
        "line": own[-1].lineno if own else None,
    }


def _failed(
    run: Run, store: Store, error: BaseException, attempts: list[dict[str, object]]
) -> RunError:
    found = attempts[-1]["error"]
    assert isinstance(found, dict)
    message = f"{found['type']}: {found['message']}"
    set_state(store, parse_key(run.key), "ERROR", message=message, error=found, attempts=attempts)
    times = f" in each of {len(attempts)} attempts" if len(attempts) > 1 else ""
    where = f"\n  at {found['file']}:{found['line']}" if found["file"] else ""
    return RunError(
        f"{run.key} failed{times}: {message}{where}\nhint: the traceback is in {run.path / LOG}",
        run=run.key,
    )
