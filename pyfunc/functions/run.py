"""Runs: one execution of a function, with its state, outputs, results and log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, overload

from pyfunc.deploy.actions import PARAMETERS
from pyfunc.errors import EntityNotFoundError, InvalidArgumentError, RunError
from pyfunc.functions.artifact import Artifact
from pyfunc.functions.dataitem import Dataitem
from pyfunc.functions.documents import Document, action_of, add_state
from pyfunc.functions.entity import Entity, FileEntity
from pyfunc.functions.invoking import Answer, invoke
from pyfunc.functions.liveness import ask_to_end, end_group, is_alive
from pyfunc.functions.model import Model
from pyfunc.functions.names import Key, parse_key
from pyfunc.functions.outputs import as_primitive, decode_value, encode_value
from pyfunc.functions.secret import read_secrets
from pyfunc.functions.store import Store

__all__ = [
    "ENDS",
    "INPUT_TYPES",
    "LOG",
    "Run",
    "end_processes",
    "is_elsewhere",
    "read_entity",
    "set_state",
    "settle",
]

ENDS = ("COMPLETED", "ERROR", "STOPPED")
LOG = "log.txt"
INPUT_TYPES: Mapping[str, type[FileEntity]] = {
    "artifact": Artifact,
    "dataitem": Dataitem,
    "model": Model,
}

_FIRST_LOOK = 0.02
_LAST_LOOK = 0.5
_DRAINING = 45.0  # seconds that a server has to answer what it was asked


class Run(Entity):
    """One execution of a function; made by ``Function.run``."""

    entity_type = "run"
    spec_fields = (
        "task", "function", "source", "python_version", "requirements", "local_execution",
        "inputs", "parameters", "init_parameters", "outputs", "compat", "timeout",
        "bind", "workers", "settings", "image", "base_image", "port", *PARAMETERS,
    )  # fmt: skip
    status_fields = (
        "state", "message", "transitions", "metrics", "outputs", "results", "service", "error",
        "attempts", "process", "container", "cached_from",
    )  # fmt: skip

    def refresh(self) -> None:
        """Read the document again; a run whose process is gone is in state ERROR from now on.

        Raises:
            EntityNotFoundError: the run has been deleted.
        """
        self._document = settle(self._store, self._store.read(self._key))

    def wait(self, timeout: float | None = None) -> Run:
        """Return this run once it is in state COMPLETED, ERROR or STOPPED.

        For a run that serves it is enough that its service is there.

        Raises:
            RunError: it is not after ``timeout`` seconds; it goes on. Or it was not made to be
                executed here, and nothing says how long to wait for others to do it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        self.refresh()
        if timeout is None and is_elsewhere(self._document) and self.status["state"] == "BUILT":
            raise RunError(
                f"{self.key} is BUILT, and nothing here executes it\n"
                "hint: write_manifests() writes what a cluster executes; wait(timeout=) waits "
                "for one that shares this store",
                run=self.key,
            )
        while self.status["state"] not in ENDS and self.status.service is None:
            if deadline is not None and time.monotonic() > deadline:
                state = self.status["state"]
                raise RunError(f"{self.key} is {state} after {timeout} s", run=self.key)
            time.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)
            self.refresh()
        return self

    @overload
    def outputs(self) -> dict[str, FileEntity]: ...

    @overload
    def outputs(self, as_key: Literal[True]) -> dict[str, str]: ...

    @overload
    def outputs(self, *, as_dict: Literal[True]) -> dict[str, Document]: ...

    def outputs(
        self, as_key: bool = False, as_dict: bool = False
    ) -> Mapping[str, FileEntity | Document | str]:
        """Return the entities among the outputs by name, or their keys or documents."""
        return {name: self._shown(key, as_key, as_dict) for name, key in self._outputs().items()}

    @overload
    def output(self, name: str, *, strict: bool = False) -> FileEntity | None: ...

    @overload
    def output(self, name: str, as_key: Literal[True], *, strict: bool = False) -> str | None: ...

    @overload
    def output(
        self, name: str, *, as_dict: Literal[True], strict: bool = False
    ) -> Document | None: ...

    def output(
        self, name: str, as_key: bool = False, as_dict: bool = False, *, strict: bool = False
    ) -> FileEntity | Document | str | None:
        """Return one of :meth:`outputs`; of an unknown name None.

        Raises:
            EntityNotFoundError: ``strict``, and there is no output of this name.
        """
        keys = self._outputs()
        if strict:
            self._check_known(name, "output", keys)
        return self._shown(keys[name], as_key, as_dict) if name in keys else None

    def results(self) -> dict[str, object]:
        """Return the primitive values among the outputs by name."""
        found = self._document["status"].get("results")
        values = found if isinstance(found, dict) else {}
        return {name: decode_value(value) for name, value in values.items()}

    def result(self, name: str, *, strict: bool = False) -> object:
        """Return one of :meth:`results`; of an unknown name None.

        Raises:
            EntityNotFoundError: ``strict``, and there is no result of this name.
        """
        values = self.results()
        if strict:
            self._check_known(name, "result", values)
        return values.get(name)

    def inputs(self, as_dict: bool = False) -> dict[str, FileEntity | Document | str]:
        """Return the entities that the run was given, by argument."""
        found = self._document["spec"].get("inputs")
        keys = found if isinstance(found, dict) else {}
        return {name: self._shown(key, False, as_dict) for name, key in keys.items()}

    def invoke(self, method: str = "POST", url: str | None = None, **kwargs: Any) -> Answer:
        """Ask the service of this run and return what it answers.

        Args:
            method: such as ``GET``.
            url: that of the service if None; of another path of it, for instance.
            **kwargs: ``json``, ``data``, ``headers``, ``params``, ``timeout`` and ``verify``, as
                ``requests`` has them.

        Raises:
            RunError: there is no service, or no more.
            InvokeError: nothing answers.
        """
        self.refresh()
        service = self.status.service
        if service is None or self.status["state"] in ENDS:
            raise RunError(
                f"{self.key} has no service: it is {self.status['state']}\n"
                "hint: run('serve') makes one, and wait() returns once it is there",
                run=self.key,
            )
        return invoke(service["url"] if url is None else url, method, **kwargs)

    def log_metric(
        self, key: str, value: float, overwrite: bool = False, single_value: bool = False
    ) -> None:
        """Add a number to the metric ``key``; with ``overwrite`` it takes the others' place."""
        number = as_primitive(value)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise InvalidArgumentError(f"metric {key!r}: expected a number, got {value!r}")
        kept = encode_value(number)

        def add(document: Document) -> None:
            found = document["status"].setdefault("metrics", {})
            assert isinstance(found, dict)
            before = found.get(key, [])
            if single_value:
                found[key] = kept
            elif overwrite or not isinstance(before, list):
                found[key] = [kept]
            else:
                found[key] = [*before, kept]

        self._document = self._store.change(self._key, add)

    def log_metrics(self, metrics: Mapping[str, float], overwrite: bool = False) -> None:
        """Add several metrics, each as :meth:`log_metric` does."""
        for key, value in metrics.items():
            self.log_metric(key, value, overwrite)

    def to_manifests(self) -> list[dict[str, object]]:
        """Return what a cluster executes the run by, in the order to apply it, as plain dicts.

        A job is a Job, or a CronJob with ``schedule``; a service a Deployment, a Service, and
        with ``autoscaling`` a HorizontalPodAutoscaler. What they need stands before them: a
        ConfigMap, a Secret with the values of the secrets, claims.

        Raises:
            InvalidArgumentError: the run has no image, or is a build.
            EntityNotFoundError: a secret is not there any more.
            ManifestError: no cluster would take them; all problems are listed.
        """
        from pyfunc.functions.workloads import make_manifests

        if self.spec.image is None or action_of(self._document) == "build":
            raise InvalidArgumentError(
                f"{self.key} has no image that a cluster could run\n"
                "hint: run(local_execution=False) of a function whose image was built"
            )
        secrets = read_secrets(self._store, self.project, self.spec.secrets)
        return make_manifests(
            self._document, {secret.name: secret.read_secret_value() for secret in secrets}
        )

    def write_manifests(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write each of :meth:`to_manifests` into a file of the folder ``path``; return them.

        A Secret can be read by its owner only.
        """
        from pyfunc.deploy.kubernetes import write_manifests

        return write_manifests(self.to_manifests(), path)

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the log; with ``follow`` until the run has ended."""
        path = self.path / LOG
        if not path.exists() and not follow:
            return
        while not path.exists():
            if not self._is_going_on():
                return
            time.sleep(_FIRST_LOOK)
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from _lines(file.readline, self._is_going_on if follow else _never)

    def stop(self) -> None:
        """End the process of the run and all that it started; its state is STOPPED.

        A server answers the requests that it has.

        A run that has ended stays as it is.

        Raises:
            InvalidArgumentError: the run goes on inside the process that called it.
        """
        self.refresh()
        if self.status["state"] in ENDS:
            return
        process = self._document["status"].get("process")
        if not isinstance(process, int) and not is_elsewhere(self._document):
            raise InvalidArgumentError(
                f"{self.key} runs inside the process that called it\n"
                "hint: run(wait=False) or run(timeout=) gives a run a process of its own"
            )
        self._document = set_state(self._store, self._key, "STOPPED", message="stopped")
        if self.status["state"] == "STOPPED" and isinstance(process, int):
            if action_of(self._document) == "serve":
                ask_to_end(process, self.path, _DRAINING)
            end_processes(self._document, self.path)

    def _is_going_on(self) -> bool:
        self.refresh()
        return self.status["state"] not in ENDS and not is_elsewhere(self._document)

    def _outputs(self) -> dict[str, str]:
        found = self._document["status"].get("outputs")
        return {**found} if isinstance(found, dict) else {}

    def _shown(self, key: str, as_key: bool, as_dict: bool) -> FileEntity | Document | str:
        if as_key:
            return key
        entity = read_entity(self._store, key)
        return entity.to_dict() if as_dict else entity

    def _check_known(self, name: str, what: str, known: Mapping[str, object]) -> None:
        if name not in known:
            names = ", ".join(known) or "none"
            raise EntityNotFoundError(f"{self.key} has no {what} {name!r}; there are: {names}")


def _never() -> bool:
    return False


def _lines(read: Callable[[], str], goes_on: Callable[[], bool]) -> Iterator[str]:
    part = ""
    while True:
        # Asked before the read: what was written until the end is read after it.
        is_last = not goes_on()
        while text := read():
            part += text
            if part.endswith("\n"):
                yield part[:-1]
                part = ""
        if is_last:
            break
        time.sleep(_FIRST_LOOK)
    if part:
        yield part


def read_entity(store: Store, key: str) -> FileEntity:
    """Return the artifact, dataitem or model that ``key`` names.

    Raises:
        InvalidArgumentError: it names something else, or is no key.
        EntityNotFoundError: there is no such entity.
    """
    parsed = parse_key(key)
    cls = INPUT_TYPES.get(parsed.entity_type)
    if cls is None:
        raise InvalidArgumentError(
            f"{key}: expected the key of an artifact, a dataitem or a model"
        )
    return cls(store, store.read(parsed))


def set_state(store: Store, key: Key, state: str, **status: object) -> Document:
    """Put a run into ``state`` and return its document; one that has ended stays as it is."""

    def change(document: Document) -> None:
        if document["status"]["state"] not in ENDS:
            add_state(document, state, **status)

    return store.change(key, change)


def is_elsewhere(document: Document) -> bool:
    """Return whether a run was made for others to execute: no process here stands for it."""
    return document["spec"].get("local_execution") is False


def settle(store: Store, document: Document) -> Document:
    """Return the document of a run, in state ERROR if its process is gone before its end."""
    if document["status"]["state"] in ENDS or is_elsewhere(document):
        return document
    key = parse_key(document["key"])
    folder: Path = store.folder(key)
    if is_alive(folder):
        return document
    settled = set_state(store, key, "ERROR", message=_why_gone(document))
    end_processes(settled, folder)
    return settled


def end_processes(document: Document, folder: Path) -> None:
    """End what stands for a run on this machine: its container, its processes."""
    status = document["status"]
    container, process = status.get("container"), status.get("process")
    if isinstance(container, dict):
        from pyfunc.deploy.containers import remove_container

        remove_container(str(container["engine"]), str(container["name"]))
    if isinstance(process, int):
        end_group(process, document["id"], folder)


def _why_gone(document: Document) -> str:
    timeout = document["spec"].get("timeout")
    started = datetime.fromisoformat(str(document["metadata"]["created"]))
    passed = (datetime.now(timezone.utc) - started).total_seconds()
    if isinstance(timeout, (int, float)) and passed >= timeout:
        return f"the run was ended after its timeout of {timeout} s"
    return "the process of the run is gone"
