"""A run as Kubernetes manifests: its image, its task's parameters, and what its pods are told.

The source is in the image. The document of the run comes in a ConfigMap, values of secrets in a
Secret. A pod keeps what it puts out in the store that ``PYFUNC_FUNCTIONS_ROOT`` among the ``envs``
names: on a volume that others mount too it stays, without one it is gone with the pod.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from pyfunc.deploy.actions import parameter_names
from pyfunc.deploy.kubernetes.manifests import (
    LONGEST_JOB,
    Workload,
    job_manifests,
    serve_manifests,
)
from pyfunc.functions.documents import Document, action_of
from pyfunc.functions.names import SERVER_MODULE, WORKER_MODULE, parse_reference
from pyfunc.functions.plans import DEFAULT_PORT, plan_container

__all__ = ["make_manifests"]

_CONFIG_PATH = "/etc/pyfunc"
_RUN, _PLAN = "run.json", "function.json"
_LONGEST_NAME = 40  # with the id of the run, room for what the manifests append


def make_manifests(document: Document, secrets: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the manifests of a run in the order to apply them.

    Args:
        document: of the run; its spec has an image.
        secrets: values by name, of those that the task names.

    Raises:
        ManifestError: no cluster would take them; all problems are listed.
    """
    spec, action = document["spec"], action_of(document)
    parameters = {name: spec.get(name) for name in parameter_names(action)}
    if action == "serve":
        return serve_manifests(_workload(document, secrets, _serving(document)), parameters)
    return job_manifests(_workload(document, secrets, {}), parameters)


def _workload(
    document: Document, secrets: Mapping[str, str], served: Mapping[str, str]
) -> Workload:
    spec = document["spec"]
    name, timeout, port = _function_name(document), spec.get("timeout"), spec.get("port")
    module, file = (SERVER_MODULE, _PLAN) if served else (WORKER_MODULE, _RUN)
    return Workload(
        name=f"{_host_name(name)}-{document['id'][:8]}",
        image=str(spec.get("image")),
        command=("python", "-m", module),
        arguments=(f"{_CONFIG_PATH}/{file}",),
        variables={"PROJECT_NAME": document["project"], "RUN_ID": document["id"]},
        labels={
            "pyfunc/project": _label(document["project"]),
            "pyfunc/function": _label(name),
            "pyfunc/run": document["id"],
        },
        config={_RUN: _for_pod(document), **served},
        config_path=_CONFIG_PATH,
        secret_values=secrets,
        port=port if isinstance(port, int) else DEFAULT_PORT,
        job_seconds=math.ceil(timeout) if isinstance(timeout, (int, float)) else LONGEST_JOB,
    )


def _serving(document: Document) -> dict[str, str]:
    plan = plan_container(
        document["spec"],
        reserved=f"{WORKER_MODULE}:open_in_pod",
        reserved_arguments={"document": f"{_CONFIG_PATH}/{_RUN}"},
    )
    return {_PLAN: plan.to_json()}


def _for_pod(document: Document) -> str:
    """Return the document for a pod: without the source, which the image has.

    A pod makes one attempt: more of them are the affair of the Job.
    """
    source = document["spec"].get("source")
    assert isinstance(source, dict)
    spec = {name: value for name, value in document["spec"].items() if name != "backoff_limit"}
    spec["source"] = {name: value for name, value in source.items() if name != "base64"}
    return json.dumps({**document, "spec": spec})


def _function_name(document: Document) -> str:
    return parse_reference(document["spec"]["function"]).name


def _host_name(name: str) -> str:
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    return text if text[:1].isalpha() else f"f-{text}".rstrip("-")


def _label(name: str) -> str:
    """Return ``name`` as the value of a label, which is shorter and has fewer characters."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:63].strip("-_.")
