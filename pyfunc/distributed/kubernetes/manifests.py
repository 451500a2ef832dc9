"""What runs the image of a model in a cluster: a service, a batch job, a service of KServe.

Each is a list of plain dicts in the order to apply them, of which no cluster has a reason to
refuse one as far as :mod:`pyfunc.deploy.kubernetes.checks` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from pyfunc.deploy.kubernetes import (
    ManifestError,
    Workload,
    check_manifests,
    job_manifests,
)
from pyfunc.deploy.kubernetes import serve_manifests as service_manifests
from pyfunc.deploy.kubernetes.findings import Findings, as_tree
from pyfunc.deploy.kubernetes.forms import whole
from pyfunc.deploy.model_image import MODEL_FOLDER
from pyfunc.variables import SHARDS

__all__ = ["DeploymentMode", "batch_manifests", "kserve_manifests", "serve_manifests"]

Manifest = dict[str, object]
Parameters = Mapping[str, object]
DeploymentMode = Literal["Knative", "RawDeployment", "Serverless", "Standard"]

_PING = "/ping"
_PARQUET = (".parquet", ".pq")
_RESOURCES = {"cpu": {"requests": "500m"}, "mem": {"requests": "512Mi"}}
_MODES = ("Knative", "RawDeployment", "Serverless", "Standard")
_KSERVE_CONTAINER = "kserve-container"
# Seconds that loading may take before a server that does not answer is started again.
_LOADING = 300


def serve_manifests(
    image: str,
    name: str,
    parameters: Parameters | None = None,
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    port: int = 8080,
) -> list[Manifest]:
    """Return what serves a model: Deployment, Service, autoscaler and disruption budget.

    Args:
        image: as ``pyfunc dockerfile --build`` makes it.
        name: of all objects.
        parameters: the same as of the task of a function: ``resources``, ``replicas`` (2),
            ``autoscaling`` (up to three times as many, at 80% of the CPU asked for),
            ``service_type`` (ClusterIP), ``envs``, ``secrets``, ``volumes``, ``node_selector``,
            ``tolerations``, ``affinity``. No autoscaler is made that could not add a pod.
        namespace: by default that of whoever applies them.
        labels: of every object.
        port: that the image's server listens on.

    Raises:
        ManifestError: a value cannot be; all are listed, with their places.
    """
    made = _service(_workload(image, name, namespace, labels, port), parameters)
    budget = _like(made[-1], "policy/v1", "PodDisruptionBudget")
    budget["spec"] = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    return _checked([*made, budget])


def batch_manifests(
    image: str,
    name: str,
    input_path: str,
    output_path: str,
    parameters: Parameters | None = None,
    *,
    shards: int = 1,
    parallelism: int | None = None,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Manifest]:
    """Return an indexed Job, or a CronJob of such, that predicts a parquet file in shares.

    Each pod runs ``pyfunc predict --shard env`` for one share of the row groups; a pod that is
    started again goes on where the one before it was.

    Args:
        image: as ``pyfunc dockerfile --build`` makes it.
        name: of all objects.
        input_path: the parquet file, where the container finds it.
        output_path: on a volume; ``{shard}`` in it becomes the number of the share.
        parameters: the same as of the task of a function: ``volumes``, ``resources``,
            ``backoff_limit`` (6, or one per share), ``schedule`` and those of all.
        shards: how many shares.
        parallelism: how many pods at a time; by default all.
        namespace: by default that of whoever applies them.
        labels: of every object.

    Raises:
        ManifestError: a value cannot be; all are listed, with their places.
    """
    given = _given(parameters, {"resources": _RESOURCES, "backoff_limit": _retries(shards)})
    findings = Findings()
    findings.is_whole("shards", shards, 1)
    if parallelism is not None:
        findings.is_whole("parallelism", parallelism, 1)
    _check_paths(findings, input_path, output_path, shards, given)
    command = ("python", "-m", "pyfunc", "predict", "--model-uri", MODEL_FOLDER)
    workload = _workload(
        image,
        name,
        namespace,
        labels,
        command=command,
        arguments=("-i", str(input_path), "-o", str(output_path), "--shard", "env"),
        variables={SHARDS.name: str(shards)},
    )
    made: list[Manifest] = []
    try:
        made = job_manifests(workload, given)
    except ManifestError as error:
        findings.problems += error.problems
    findings.check("the batch job cannot become Kubernetes manifests")
    return _checked([*made[:-1], _indexed(made[-1], shards, parallelism or shards)])


def kserve_manifests(
    image: str,
    name: str,
    parameters: Parameters | None = None,
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    port: int = 8080,
    deployment_mode: DeploymentMode | None = None,
) -> list[Manifest]:
    """Return a service of KServe whose predictor is the image itself, with all it requires.

    Args:
        image: as ``pyfunc dockerfile --build`` makes it.
        name: of the service.
        parameters: as of :func:`serve_manifests`, without ``service_type``.
        namespace: by default that of whoever applies them.
        labels: of every object.
        port: that the image's server listens on.
        deployment_mode: by default what the cluster is configured for.

    Raises:
        ManifestError: a value cannot be; all are listed, with their places.
    """
    findings = Findings()
    if deployment_mode is not None:
        findings.is_one_of("deployment_mode", deployment_mode, _MODES)
    service_type = as_tree(parameters).get("service_type")
    if service_type is not None:
        expected = "no such parameter, since KServe makes the services"
        findings.add("service_type", expected, service_type)
    workload = _workload(image, name, namespace, labels, port, container=_KSERVE_CONTAINER)
    made: list[Manifest] = []
    try:
        made = _service(workload, parameters)
    except ManifestError as error:
        findings.problems += error.problems
    findings.check("the service cannot become Kubernetes manifests")
    kinds = [item["kind"] for item in made]
    deployment = made[kinds.index("Deployment")]
    service = _like(deployment, "serving.kserve.io/v1beta1", "InferenceService")
    if deployment_mode is not None:
        annotations = dict(as_tree(as_tree(service["metadata"]).get("annotations")))
        annotations["serving.kserve.io/deploymentMode"] = deployment_mode
        service["metadata"] = {**as_tree(service["metadata"]), "annotations": annotations}
    scaler = made[-1] if kinds[-1] == "HorizontalPodAutoscaler" else None
    service["spec"] = {"predictor": _predictor(deployment, scaler, port)}
    return _checked([*made[: kinds.index("Deployment")], service])


def _workload(
    image: str,
    name: str,
    namespace: str | None,
    labels: Mapping[str, str] | None,
    port: int = 8080,
    *,
    container: str = "model",
    command: tuple[str, ...] = (),
    arguments: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> Workload:
    return Workload(
        name=name,
        image=image,
        namespace=namespace,
        labels=labels or {},
        port=port,
        ready_path=_PING,
        container=container,
        command=command,
        arguments=arguments,
        variables=variables or {},
    )


def _given(parameters: object, defaults: Parameters) -> Parameters:
    """Return ``defaults`` and what is given instead.

    Raises:
        ManifestError: that is no object.
    """
    findings = Findings()
    if parameters is not None and not isinstance(parameters, Mapping):
        findings.add("parameters", "an object", parameters)
    findings.check("the parameters cannot become Kubernetes manifests")
    given = {key: value for key, value in as_tree(parameters).items() if value is not None}
    return {**defaults, **given}


def _service(workload: Workload, parameters: Parameters | None) -> list[Manifest]:
    """Return what serves, scaled where that is possible unless something else is given."""
    defaults = {"resources": _RESOURCES, "replicas": 2, "service_type": "ClusterIP"}
    given = dict(_given(parameters, defaults))
    replicas, cpu = given["replicas"], as_tree(as_tree(given["resources"]).get("cpu"))
    if whole(1).fits(replicas) and cpu.get("requests") is not None:
        given.setdefault("autoscaling", {"max_replicas": 3 * int(str(replicas))})
    return service_manifests(workload, given)


def _retries(shards: object) -> int:
    return max(6, shards) if isinstance(shards, int) else 6


def _like(manifest: Manifest, version: str, kind: str) -> Manifest:
    """Return the head of a manifest of another kind, with the same name and labels."""
    return {"apiVersion": version, "kind": kind, "metadata": dict(as_tree(manifest["metadata"]))}


def _checked(manifests: list[Manifest]) -> list[Manifest]:
    check_manifests(manifests)
    return manifests


def _check_paths(
    findings: Findings, source: object, target: object, shards: object, given: Parameters
) -> None:
    for place, path in (("input_path", source), ("output_path", target)):
        if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/"):
            findings.add(place, "an absolute path in the container", path)
        elif not path.endswith(_PARQUET):
            findings.add(place, "a parquet file, since shares are row groups", path)
    if not isinstance(target, str):
        return
    if shards != 1 and "{shard}" not in target:
        findings.add("output_path", "{shard} in it, since every share writes a file", target)
    if not any(PurePosixPath(target).is_relative_to(place) for place in _kept_places(given)):
        findings.add("output_path", "a place on a volume that outlives the pods", target)


def _kept_places(given: Parameters) -> list[str]:
    volumes = given.get("volumes")
    return [
        str(as_tree(volume).get("mount_path"))
        for volume in (volumes if isinstance(volumes, list) else ())
        if as_tree(volume).get("volume_type") == "persistent_volume_claim"
    ]


def _indexed(manifest: Manifest, shards: int, parallelism: int) -> Manifest:
    """Return a Job, or a CronJob, with a pod per share."""
    spec = dict(as_tree(manifest["spec"]))
    if manifest["kind"] == "CronJob":
        template = as_tree(spec["jobTemplate"])
        inner = {**as_tree(template["spec"]), **_shares(shards, parallelism)}
        spec["jobTemplate"] = {**template, "spec": inner}
    else:
        spec.update(_shares(shards, parallelism))
    return {**manifest, "spec": spec}


def _shares(shards: int, parallelism: int) -> Manifest:
    return {
        "completionMode": "Indexed",
        "completions": shards,
        "parallelism": min(parallelism, shards),
    }


def _predictor(deployment: Manifest, scaler: Manifest | None, port: int) -> Manifest:
    """Return the pod of a deployment with no more than Knative, too, lets a pod have."""
    template = as_tree(as_tree(deployment["spec"])["template"])
    pod = dict(as_tree(template["spec"]))
    whole = as_tree(pod.pop("securityContext"))
    for name in ("restartPolicy", "terminationGracePeriodSeconds"):
        pod.pop(name)
    containers = pod["containers"]
    assert isinstance(containers, list)
    container = dict(containers[0])
    container.pop("startupProbe")
    of_pod = {name: value for name, value in whole.items() if name != "fsGroup"}
    container["securityContext"] = {**of_pod, **container["securityContext"]}
    container["ports"] = [{"name": "http1", "containerPort": port, "protocol": "TCP"}]
    for name, delay in (("readinessProbe", 0), ("livenessProbe", _LOADING)):
        ask = {"httpGet": {"path": _PING, "port": port}, "initialDelaySeconds": delay}
        container[name] = {**container[name], **ask}
    return {**_scale(deployment, scaler), **pod, "containers": [container]}


def _scale(deployment: Manifest, scaler: Manifest | None) -> Manifest:
    if scaler is None:
        replicas = as_tree(deployment["spec"])["replicas"]
        return {"minReplicas": replicas, "maxReplicas": replicas}
    spec = as_tree(scaler["spec"])
    metrics = spec["metrics"]
    assert isinstance(metrics, list)
    return {
        "minReplicas": spec["minReplicas"],
        "maxReplicas": spec["maxReplicas"],
        "scaleMetric": "cpu",
        "scaleTarget": metrics[0]["resource"]["target"]["averageUtilization"],
    }
