"""Functions: Python code with a handler, and the call that runs it."""

from __future__ import annotations

import hashlib
import subprocess
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    PyfuncWarning,
    RunError,
    shorten,
)
from pyfunc.functions.arguments import check_json
from pyfunc.functions.cache import cache_key, find_cached, remember
from pyfunc.functions.children import (
    Env,
    check_can_have_processes,
    find_environment_differences,
    make_environment,
    start_child,
)
from pyfunc.functions.documents import RUN_KIND, Document, add_state, new_document, relate
from pyfunc.functions.entity import Entity
from pyfunc.functions.executing import execute, write_log
from pyfunc.functions.liveness import hold_alive, release_alive
from pyfunc.functions.names import Key, Reference, new_id, parse_reference
from pyfunc.functions.outputs import Compat, check_compat, parse_entries
from pyfunc.functions.run import Run, read_entity
from pyfunc.functions.secret import Secret, read_secrets
from pyfunc.functions.services import (
    Start,
    check_can_be_served,
    check_serving,
    check_settings,
    serve,
)
from pyfunc.functions.sources import SOURCES, fetch_source
from pyfunc.functions.store import Store
from pyfunc.functions.task import Action, check_action, check_task_parameters

if TYPE_CHECKING:
    from pyfunc.serving.http.settings import HttpSettings

__all__ = ["FUNCTION_KIND", "PYTHON_VERSIONS", "Function"]

FUNCTION_KIND = "python"
PYTHON_VERSIONS = ("PYTHON3_9", "PYTHON3_10", "PYTHON3_11", "PYTHON3_12", "PYTHON3_13")

_JOB, _SERVE, _BUILD = "job", "serve", "build"
_CONTAINER = "container"
# Timers and alarms of the system take about twice that.
_LONGEST_TIMEOUT = 10**9


class Function(Entity):
    """Python code with a handler; see ``Project.new_function``."""

    entity_type = "function"
    spec_fields = ("source", "python_version", "requirements", "image", "base_image")

    def __init__(self, store: Store, document: Document, owner: object = None) -> None:
        super().__init__(store, document)
        self._owner = owner

    @property
    def image(self) -> str | None:
        """The image that the function runs in elsewhere: as given, or as built last."""
        found: str | None = self.spec.image
        return found

    def run(
        self,
        action: str = _JOB,
        *,
        local_execution: bool = True,
        inputs: Mapping[str, str | Entity] | None = None,
        parameters: Mapping[str, object] | None = None,
        init_parameters: Mapping[str, object] | None = None,
        outputs: Sequence[str | Mapping[str, object]] | None = None,
        cache: bool = False,
        timeout: float | None = None,
        wait: bool = True,
        env: Env = "auto",
        compat: Compat = None,
        bind: Literal["strict", "json"] = "strict",
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 2,
        settings: HttpSettings | Mapping[str, object] | None = None,
        **task_parameters: object,
    ) -> Run:
        """Run the function once, serve it, or build its image, and return the run.

        The run is complete, or its service is there, unless ``wait`` is False. A job runs in this
        process, unless something asks for a process of its own: ``timeout``, ``wait=False``,
        ``envs``, ``secrets``, or an environment that differs from this one.

        Args:
            action: ``job``, or ``serve`` to call the function for each HTTP request, until
                ``stop()`` or until this process ends, or ``build`` to build its image, which
                ``image`` names from then on, if docker, podman or buildah works here.
            local_execution: False executes nothing: the run is in state BUILT, and
                ``to_manifests()`` gives what a cluster runs the image of the function by.
            inputs: entities, or their keys, by argument.
            parameters: values that JSON can hold, by argument.
            init_parameters: arguments of the init function by name; a job has no use for them.
            outputs: names of what the function returns, in place of those of ``handler``.
            cache: True returns at once what an earlier run with ``cache=True`` put out, if
                source, parameters and inputs are the same; ``status.cached_from`` names it.
            timeout: seconds until the run is ended.
            wait: False returns when the process has started.
            env: ``isolated`` runs in an environment with the requirements and the Python
                version of the function, ``local`` in this one, ``auto`` in this one unless
                it differs from them, and ``container`` a job in a container of the image.
            compat: ``digitalhub`` applies the rules of DigitalHub to arguments and outputs.
            bind: what requests give a served function: ``strict`` only ``project``, ``run``,
                ``context`` and ``event``, ``json`` also the keys of a JSON body.
            host: the address that the server listens on.
            port: 0 for any that is free; in an image and on a cluster 8080.
            workers: how many processes serve.
            settings: limits of the server and who may ask it, as
                :class:`~pyfunc.serving.http.settings.HttpSettings` names them.
            **task_parameters: ``backoff_limit`` (more attempts after a failure), ``envs`` and
                ``secrets`` (environment variables), ``instructions`` (commands of a build); the
                rest only matters on a cluster.

        Raises:
            InvalidArgumentError: an argument cannot work; no run was made.
            RunError: the run failed; its cause is what the function raised, if it ran here.
        """
        action = check_action(action)
        _check_place(action, local_execution, env)
        serving: dict[str, object] = {}
        if action != _JOB:
            check_serving(bind, port, workers)
            for_jobs = {"inputs": inputs, "parameters": parameters, "outputs": outputs}
            seconds = timeout if action == _SERVE else None
            _check_not_given(action, {**for_jobs, "cache": cache or None, "timeout": seconds})
            serving = {"bind": bind, "workers": workers, "port": port or None}
            is_here = local_execution and action == _SERVE
            serving["settings"] = check_settings(settings, is_here=is_here) or None
        spec = self._run_spec(
            action,
            local_execution=local_execution,
            inputs=inputs,
            parameters=parameters,
            init_parameters=init_parameters,
            outputs=outputs,
            timeout=timeout,
            compat=compat,
        )
        spec |= {**check_task_parameters(action, task_parameters), **serving}
        if env == _CONTAINER or not local_execution:
            spec["image"] = self._existing_image(local_execution=local_execution)
        secrets = read_secrets(self._store, self.project, spec.get("secrets"))
        if not local_execution:
            return self._hand_over(spec, secrets)
        if action == _BUILD:
            return self._build(spec, wait=wait)
        if action == _SERVE:
            return self._serve(spec, secrets, env=env, host=host, port=port, wait=wait)
        return self._run_job(spec, secrets, env=env, cache=cache, wait=wait)

    def runs(self) -> list[Run]:
        """Return the runs of this version, the oldest first."""
        mine = str(self._reference())
        found = [
            Run(self._store, document)
            for document in self._store.read_all(self.project, "run")
            if document["spec"].get("function") == mine
        ]
        for run in found:
            run.refresh()
        return found

    def _run_spec(
        self,
        action: str,
        *,
        local_execution: bool,
        inputs: Mapping[str, str | Entity] | None,
        parameters: Mapping[str, object] | None,
        init_parameters: Mapping[str, object] | None,
        outputs: Sequence[str | Mapping[str, object]] | None,
        timeout: float | None,
        compat: Compat,
    ) -> dict[str, object]:
        own = self._document["spec"]
        entries = None if outputs is None else parse_entries(outputs)
        _check_timeout(timeout)
        return {
            "task": str(self._task_reference(action)),
            "local_execution": local_execution,
            "function": str(self._reference()),
            **{
                name: own[name]
                for name in ("source", "python_version", "requirements", "base_image")
                if name in own
            },
            "inputs": self._check_inputs(inputs),
            "parameters": check_json(parameters, "parameters"),
            "init_parameters": check_json(init_parameters, "init_parameters") or None,
            "outputs": None if entries is None else [entry.to_dict() for entry in entries],
            "timeout": timeout,
            "compat": check_compat(compat),
        }

    def _check_inputs(self, inputs: Mapping[str, str | Entity] | None) -> dict[str, object]:
        """Return the keys of the inputs, with the versions that they have at this moment."""
        if inputs is not None and not isinstance(inputs, Mapping):
            raise InvalidTypeError(f"inputs: expected a dict, got {shorten(inputs)}")
        return {
            name: read_entity(self._store, value.key if isinstance(value, Entity) else value).key
            for name, value in (inputs or {}).items()
        }

    def _reference(self) -> Reference:
        return Reference(FUNCTION_KIND, self.project, self.name, self.id)

    def _task_reference(self, action: str) -> Reference:
        # One task per version and action: two processes come to the same id.
        digest = hashlib.sha256(f"{self.key} {action}".encode()).digest()
        return Reference(
            f"{FUNCTION_KIND}+{action}", self.project, uuid.UUID(bytes=digest[:16], version=4).hex
        )

    def _ensure_task(self, reference: Reference) -> None:
        key = Key(self.project, "task", reference.kind, "", reference.name)
        if self._store.has(key):
            return
        document = new_document(key, {"function": str(self._reference())})
        self._store.folder(key).mkdir(parents=True, exist_ok=True)
        self._store.replace(key, document)

    def _existing_image(self, *, local_execution: bool) -> str:
        self.refresh()  # another process may have built it
        if self.image is None:
            what = "env='container'" if local_execution else "local_execution=False"
            raise InvalidArgumentError(
                f"{what}: {self.key} has no image\n"
                "hint: run('build') makes one, new_function(image=) names one that is there"
            )
        return self.image

    def _is_isolated(self, env: Env) -> bool:
        return env == "isolated" or (env == "auto" and self._differs())

    def _differs(self) -> bool:
        differences = find_environment_differences(self._document["spec"])
        if differences and self._document["spec"].get("python_version") == PYTHON_VERSIONS[0]:
            warnings.warn(
                f"{self.key} runs in this process: this library makes no environments with "
                "Python 3.9",
                PyfuncWarning,
                stacklevel=3,
            )
            return False
        return bool(differences)

    def _look_up(
        self, spec: Mapping[str, object], secrets: Sequence[Secret]
    ) -> tuple[str, Document | None]:
        source = self._document["spec"]["source"]
        assert isinstance(source, dict)
        tree = fetch_source(source, self._store.folder(Key(self.project)) / SOURCES)
        document = self._new_run(spec)[1]
        key = cache_key(document, tree, [secret.key for secret in secrets])
        return key, find_cached(self._store, self.project, key)

    def _new_run(self, spec: Mapping[str, object]) -> tuple[Key, Document]:
        key = Key(self.project, "run", RUN_KIND, "", new_id())
        document = new_document(key, spec)
        relate(document, "run_of", self.key)
        inputs = spec["inputs"]
        assert isinstance(inputs, dict)
        for dest in inputs.values():
            relate(document, "consumes", dest)
        document["status"]["transitions"] = []
        add_state(document, "CREATED")
        return key, document

    def _cached_run(self, spec: Mapping[str, object], found: Document) -> Run:
        key, document = self._new_run(spec)
        status = found["status"]
        document["status"] |= {
            "outputs": status.get("outputs", {}),
            "results": status.get("results", {}),
            "cached_from": found["key"],
            "message": f"the outputs are those of {found['key']}",
        }
        add_state(document, "COMPLETED")
        folder = self._store.create_light(key, document)
        write_log(folder, f"not run: the outputs are those of {found['key']}")
        return Run(self._store, document)

    def _begin(self, spec: Mapping[str, object], *states: str) -> tuple[Run, int]:
        """Put a new run into the store; return it with the descriptor of its lock."""
        self._ensure_task(parse_reference(spec["task"]))
        key, document = self._new_run(spec)
        for state in states:
            add_state(document, state)
        folder = self._store.folder(key)
        folder.mkdir(parents=True)
        # Locked before anybody sees the run, who would take it for one whose process is gone.
        alive = hold_alive(folder)
        self._store.replace(key, document)
        return Run(self._store, document), alive

    def _hand_over(self, spec: Mapping[str, object], secrets: Sequence[Secret]) -> Run:
        """Return a run for others to execute, of which manifests can be made."""
        from pyfunc.functions.workloads import make_manifests

        key, document = self._new_run(spec)
        make_manifests(document, {secret.name: secret.read_secret_value() for secret in secrets})
        self._ensure_task(parse_reference(spec["task"]))
        add_state(document, "BUILT")
        self._store.create_light(key, document)
        return Run(self._store, document)

    def _build(self, spec: Mapping[str, object], *, wait: bool) -> Run:
        check_can_have_processes()
        if spec["python_version"] == PYTHON_VERSIONS[0] and spec.get("base_image") is None:
            text = f"{self.key}: the image has Python 3.10, since this library needs it"
            warnings.warn(text, PyfuncWarning, stacklevel=3)
            spec = {**spec, "python_version": PYTHON_VERSIONS[1]}
        run = self._run_apart(spec, None, {}, wait=wait)
        self.refresh()
        return run

    def _run_job(
        self,
        spec: Mapping[str, object],
        secrets: Sequence[Secret],
        *,
        env: Env,
        cache: bool,
        wait: bool,
    ) -> Run:
        if cache:
            key, found = self._look_up(spec, secrets)
            if found is not None:
                return self._cached_run(spec, found)
        isolated = self._is_isolated(env)
        # A container gets the variables that are no secrets by itself.
        variables = _variables({} if env == _CONTAINER else spec, secrets)
        apart = isolated or bool(variables) or spec["timeout"] is not None or not wait
        if apart or env == _CONTAINER:
            check_can_have_processes()
            python = make_environment(self._document["spec"]) if isolated else None
            run = self._run_apart(spec, python, variables, wait=wait)
        else:
            run = self._run_here(spec)
        if cache and run.status["state"] == "COMPLETED":
            remember(self._store, self.project, key, run.id)
        return run

    def _run_here(self, spec: Mapping[str, object]) -> Run:
        run, alive = self._begin(spec, "BUILT", "RUNNING")
        try:
            return Run(self._store, execute(run, self._store, self._owner))
        finally:
            release_alive(alive)

    def _serve(
        self,
        spec: Mapping[str, object],
        secrets: Sequence[Secret],
        *,
        env: Env,
        host: str,
        port: int,
        wait: bool,
    ) -> Run:
        from pyfunc.deploy.image import EXTRAS

        check_can_have_processes()
        isolated = self._is_isolated(env)
        variables = _variables(spec, secrets)
        if not isolated:
            check_can_be_served(self._store, self.project, spec)
        python = make_environment(self._document["spec"], EXTRAS["serve"]) if isolated else None
        run, alive = self._begin(spec, "BUILT")
        start = Start(alive=alive, python=python, variables=variables, host=host, port=port)
        serve(run, self._store, start, wait=wait)
        run.refresh()
        return run

    def _run_apart(
        self,
        spec: Mapping[str, object],
        python: Path | None,
        variables: Mapping[str, str],
        *,
        wait: bool,
    ) -> Run:
        run, alive = self._begin(spec, "BUILT")
        process = start_child(run, self._store, alive, python=python, variables=variables)
        if wait:
            _wait_for(process, run)
        return run


def _check_place(action: Action, local_execution: object, env: object) -> None:
    if not isinstance(local_execution, bool):
        raise InvalidArgumentError(
            f"local_execution: expected a bool, got {shorten(local_execution)}"
        )
    if env not in get_args(Env):
        raise InvalidArgumentError(f"env: expected one of {get_args(Env)}, got {shorten(env)}")
    if not local_execution and action == _BUILD:
        raise InvalidArgumentError("local_execution: expected True: images are built here")
    if not local_execution and env in ("local", "isolated"):
        raise InvalidArgumentError(f"env: a cluster runs the image, and not {env!r}")
    if env == _CONTAINER and action != _JOB:
        raise InvalidArgumentError(
            f"env: 'container' is for jobs, not for {action!r}\n"
            "hint: the image of a function serves it by itself: podman run -p 8080:8080 IMAGE"
        )


def _check_not_given(action: Action, given: Mapping[str, object]) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        what = "a served function" if action == _SERVE else "a build"
        raise InvalidArgumentError(
            f"{', '.join(names)}: {what} has no use for them\n"
            "hint: the arguments of a served function come from requests; bind='json' takes "
            "them from the body"
        )


def _check_timeout(timeout: object) -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not (
        isinstance(timeout, (int, float)) and 0 < timeout <= _LONGEST_TIMEOUT
    ):
        raise InvalidArgumentError(
            f"timeout: expected seconds, up to {_LONGEST_TIMEOUT:g}, got {shorten(timeout)}\n"
            "hint: leave it out for none"
        )


def _wait_for(process: subprocess.Popen[bytes], run: Run) -> None:
    try:
        process.wait()
    except BaseException:  # Ctrl-C
        run.stop()
        raise
    run.refresh()
    if run.status["state"] != "COMPLETED":
        message = run.status.message or f"it is {run.status['state']}"
        raise RunError(
            f"{run.key} failed: {message}\nhint: the log is in {run.path / 'log.txt'}", run=run.key
        )


def _variables(spec: Mapping[str, object], secrets: Sequence[Secret]) -> dict[str, str]:
    envs = spec.get("envs")
    return {
        **{item["name"]: item["value"] for item in (envs if isinstance(envs, list) else [])},
        **{secret.name: secret.read_secret_value() for secret in secrets},
    }
