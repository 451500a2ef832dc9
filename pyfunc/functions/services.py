"""A run that serves its function on this machine, until it is stopped or this process ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyfunc.errors import (
    HandlerError,
    InvalidArgumentError,
    InvalidTypeError,
    RunError,
    shorten,
)
from pyfunc.functions.binding import plan_binding
from pyfunc.functions.documents import Document
from pyfunc.functions.liveness import RUN_VARIABLE, release_alive
from pyfunc.functions.names import WORKER_MODULE, Key, parse_key
from pyfunc.functions.plans import ServerPlan, plan_server
from pyfunc.functions.run import LOG, Run, set_state
from pyfunc.functions.serving import start_server
from pyfunc.functions.sources import SOURCES, fetch_source
from pyfunc.functions.store import Store
from pyfunc.functions.user_code import load_function

__all__ = ["Start", "check_can_be_served", "check_serving", "check_settings", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the server of a run is started.

    Attributes:
        alive: descriptor of the lock of the run.
        python: the interpreter, or None for the running one and what it can import.
        variables: environment variables for the function.
        host: the address to listen on.
        port: 0 for any that is free.
    """

    alive: int
    python: Path | None
    variables: Mapping[str, str]
    host: str
    port: int


def check_serving(bind: object, port: object, workers: object) -> None:
    """Return if a server can have these.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if bind not in ("strict", "json"):
        raise InvalidArgumentError(f"bind: expected 'strict' or 'json', got {shorten(bind)}")
    limits = (("port", port, 0, 65535), ("workers", workers, 1, 1024))
    for name, value, least, most in limits:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if not is_int or not isinstance(value, int) or not least <= value <= most:
            raise InvalidArgumentError(
                f"{name}: expected an integer from {least} to {most}, got {shorten(value)}"
            )


def check_settings(given: object, *, is_here: bool) -> dict[str, object]:
    """Return the settings of a server that are not as they are by default, as plain values.

    Args:
        given: settings, or a dict of them.
        is_here: whether this machine serves, and no container.

    Raises:
        InvalidTypeError: it is no dict, or there is no setting of a name.
        InvalidArgumentError: a value cannot be.
    """
    from pyfunc.serving.http.settings import HttpSettings

    default = HttpSettings().to_dict()
    if given is None:
        return {}
    if not isinstance(given, HttpSettings):
        if not isinstance(given, Mapping):
            raise InvalidTypeError(f"settings: expected a dict, got {shorten(given)}")
        unknown = sorted(map(str, given.keys() - default.keys()))
        if unknown:
            raise InvalidTypeError(
                f"settings: there are none called {', '.join(unknown)}\n"
                f"hint: there are {', '.join(default)}"
            )
        given = HttpSettings(**given)
    if given.certfile is not None and not is_here:
        raise InvalidArgumentError(
            "settings: certfile: a container speaks plain HTTP, also to those who look after it\n"
            "hint: let what stands before it speak TLS"
        )
    found = given.to_dict()
    return {name: value for name, value in found.items() if value != default.get(name, value)}


def check_can_be_served(store: Store, project: str, spec: Mapping[str, object]) -> None:
    """Return if requests can call the function of ``spec``, the spec of a run.

    Code that cannot be imported passes: the server says so, with its log.

    Raises:
        InvalidArgumentError: its parameters are such that none could, or it is not there.
    """
    plan, source = plan_server(spec), spec["source"]
    assert isinstance(source, dict)
    tree = fetch_source(source, store.folder(Key(project)) / SOURCES)
    with contextlib.suppress(HandlerError):
        user = load_function(tree, str(source["handler"]), source.get("init_function"))
        plan_binding(user.function, bind=plan.bind)


def serve(run: Run, store: Store, start: Start, *, wait: bool) -> None:
    """Start the server of ``run``, which ends with this process, and put it in state RUNNING.

    Args:
        run: in state BUILT.
        store: its store.
        start: how it is started; its lock is taken over by the server.
        wait: False returns at once, and a thread does the rest.

    Raises:
        RunError: it does not start; the run is in state ERROR.
    """
    if wait:
        _serve(run, store, start)
        return

    def serve_aside() -> None:
        with contextlib.suppress(RunError):  # the status has it
            _serve(run, store, start)

    threading.Thread(target=serve_aside, name=f"start of {run.id}", daemon=True).start()


def _serve(run: Run, store: Store, start: Start) -> None:
    key = parse_key(run.key)

    def note(pid: int) -> None:
        def change(document: Document) -> None:
            document["status"]["process"] = pid

        store.change(key, change)

    source = run.spec.source
    own = {"PROJECT_NAME": run.project, "RUN_ID": run.id, RUN_VARIABLE: run.id}
    try:
        server = start_server(
            _plan(run, store, start),
            run.path / LOG,
            source=fetch_source(source, store.folder(Key(run.project)) / SOURCES),
            python=None if start.python is None else str(start.python),
            environment={**start.variables, **own},
            when_started=note,
        )
    except Exception as error:
        set_state(store, key, "ERROR", message=str(error))
        raise RunError(f"{run.key} failed: {error}", run=run.key) from error
    finally:
        release_alive(start.alive)
    set_state(store, key, "RUNNING", process=server.pid, service=server.service)
    # The thread keeps the server, which ends when nobody does, and takes note of its end.
    threading.Thread(target=server.wait, name=f"server of {run.id}", daemon=True).start()


def _plan(run: Run, store: Store, start: Start) -> ServerPlan:
    return plan_server(
        run.spec,
        reserved=f"{WORKER_MODULE}:open_reserved",
        reserved_arguments={"root": str(store.root), "project": run.project, "run": run.id},
        host=start.host,
        port=start.port,
        alive=start.alive,
    )
