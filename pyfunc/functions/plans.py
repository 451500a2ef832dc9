"""What a server of a function is told: the plan, as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.outputs import Compat, decode_value
from pyfunc.functions.sources import MAIN

__all__ = ["DEFAULT_PORT", "ServerPlan", "plan_container", "plan_server"]

DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """What a server serves and how, of values that JSON holds.

    Attributes:
        function: ``package.module:name``.
        init: ``package.module:name`` of the init function.
        init_parameters: its further arguments.
        reserved: ``package.module:name`` of a function that is called in each worker with
            ``reserved_arguments`` and returns what the function gets as ``project`` and
            ``run``.
        reserved_arguments: the arguments of that function, by name.
        bind: how arguments come from requests.
        compat: ``digitalhub`` or None.
        debug: whether clients see the errors of the function.
        settings: limits, as :class:`~pyfunc.serving.http.settings.HttpSettings` takes them.
        host: the address to listen on.
        port: 0 for any that is free.
        workers: how many processes serve.
        drain_timeout: seconds that requests have to end after the signal.
        alive: descriptor of a lock that stands for the server as long as its process lives.
        worker_id: the number of a worker.
        secrets: variables of the environment whose values the log must not have.
    """

    function: str
    init: str | None = None
    init_parameters: Mapping[str, object] = field(default_factory=dict)
    reserved: str | None = None
    reserved_arguments: Mapping[str, object] = field(default_factory=dict)
    bind: Literal["strict", "json"] = "strict"
    compat: Compat = None
    debug: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 1
    drain_timeout: int = 30
    alive: int | None = None
    worker_id: int = 0
    secrets: Sequence[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the plan as one line.

        Raises:
            InvalidArgumentError: a parameter is nothing that JSON holds.
        """
        try:
            return json.dumps(asdict(self))
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(
                f"the parameters of a server must be what JSON can hold: {error}"
            ) from error


def plan_server(spec: Mapping[str, object], **more: Any) -> ServerPlan:
    """Return the plan that serves a function as the spec of its run says.

    Args:
        spec: of the run.
        **more: further attributes of the plan.
    """
    source, parameters = spec.get("source"), spec.get("init_parameters")
    assert isinstance(source, dict)
    given = parameters if isinstance(parameters, dict) else {}
    module, _, name = str(source["handler"]).rpartition(":")
    module = module.replace("/", ".") or MAIN
    init = source.get("init_function")
    bind: Literal["strict", "json"] = "json" if spec.get("bind") == "json" else "strict"
    workers, settings, secrets = (spec.get(name) for name in ("workers", "settings", "secrets"))
    return ServerPlan(
        function=f"{module}:{name}",
        init=None if init is None else f"{module}:{init}",
        init_parameters={name: decode_value(value) for name, value in given.items()},
        bind=bind,
        compat="digitalhub" if spec.get("compat") == "digitalhub" else None,
        workers=workers if isinstance(workers, int) else 1,
        settings=settings if isinstance(settings, dict) else {},
        secrets=secrets if isinstance(secrets, list) else [],
        **more,
    )


def plan_container(spec: Mapping[str, object], **more: Any) -> ServerPlan:
    """Return the plan for a container, which is called by names that only others know.

    Args:
        spec: of the run.
        **more: further attributes of the plan.
    """
    port = spec.get("port")
    found = port if isinstance(port, int) else DEFAULT_PORT
    plan = plan_server(spec, host="0.0.0.0", port=found, **more)
    return replace(plan, settings={"allowed_hosts": ["*"], **plan.settings})
