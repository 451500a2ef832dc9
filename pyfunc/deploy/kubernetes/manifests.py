"""A function's job or service as Kubernetes manifests: plain dicts, in the order to apply them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyfunc.deploy.actions import Action
from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.checks import find_problems_in_manifest
from pyfunc.deploy.kubernetes.findings import Findings, as_tree
from pyfunc.deploy.kubernetes.parameters import PodParameters, read_parameters
from pyfunc.files.yaml_writing import dump_yaml

__all__ = ["LONGEST_JOB", "Workload", "job_manifests", "serve_manifests", "write_manifests"]

Manifest = dict[str, object]

_USER = 10001
LONGEST_JOB = 3 * 24 * 3600  # seconds
_LONGEST_CRON_NAME = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What runs in a cluster, apart from the parameters of its task.

    Attributes:
        name: of every object; the others beside the main one add a word.
        image: what is run.
        command: instead of the image's own entry point.
        arguments: of the command.
        namespace: where; by default that of whoever applies the manifests.
        variables: of the environment of the container, beside those of the task.
        labels: of every object, beside ``app.kubernetes.io/name``.
        config: names and texts of files, which become a ConfigMap.
        config_path: where the container finds them.
        secret_values: values of the secrets that the task names. With them the manifests hold
            a Secret; without, one called ``<name>-secrets`` has to be there.
        port: that a service listens on.
        ready_path: answers 200 once the service may be asked.
        drain_seconds: that requests have to end.
        job_seconds: that a job has until it is ended.
        container: its name in the pod.
    """

    name: str
    image: str
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    namespace: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    config_path: str = "/etc/pyfunc"
    secret_values: Mapping[str, str] | None = field(default=None, repr=False)
    port: int = 8080
    ready_path: str = "/-/ready"
    drain_seconds: int = 30
    job_seconds: int = LONGEST_JOB
    container: str = "function"


def job_manifests(workload: Workload, parameters: Mapping[str, object]) -> list[Manifest]:
    """Return a Job, or a CronJob if there is a ``schedule``, and what it needs.

    Args:
        workload: what runs.
        parameters: of the task, as a user writes them; None is not given.

    Raises:
        ManifestError: a value cannot be; all are listed, with their places.
    """
    read = _read(workload, "job", parameters)
    pod = {**_pod(workload, read, _container(workload, read)), "restartPolicy": "Never"}
    spec: Manifest = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": read.task.get("backoff_limit", 0),
        "activeDeadlineSeconds": workload.job_seconds,
        "template": _template(workload, read, pod),
    }
    if "schedule" in read.task:
        cron: Manifest = {
            "schedule": read.task["schedule"],
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": {"labels": _labels(workload)}, "spec": spec},
        }
        main = _manifest(workload, "batch/v1", "CronJob", spec=cron, read=read)
    else:
        main = _manifest(workload, "batch/v1", "Job", spec=spec, read=read)
    return _checked([*_needed(workload, read), main])


def serve_manifests(workload: Workload, parameters: Mapping[str, object]) -> list[Manifest]:
    """Return a Deployment and a Service, a HorizontalPodAutoscaler if asked for, and their needs.

    Args:
        workload: what runs.
        parameters: of the task, as a user writes them; None is not given. No autoscaler is made
            that could not add a pod.

    Raises:
        ManifestError: a value cannot be; all are listed, with their places.
    """
    read = _read(workload, "serve", parameters)
    container = {**_container(workload, read), **_service_parts(workload)}
    pod = {
        **_pod(workload, read, container),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": workload.drain_seconds + 10,
    }
    spec: Manifest = {
        "selector": {"matchLabels": _selector(workload)},
        "template": _template(workload, read, pod),
    }
    scaled, replicas = as_tree(read.task.get("autoscaling")), read.task.get("replicas", 1)
    is_scaled = scaled.get("max_replicas", replicas) != replicas  # else it could add none
    if not is_scaled:  # else the number belongs to the autoscaler
        spec = {"replicas": replicas, **spec}
    manifests = [
        *_needed(workload, read),
        _manifest(workload, "apps/v1", "Deployment", spec=spec, read=read),
        _service(workload, read),
    ]
    if is_scaled:
        manifests.append(_autoscaler(workload, read, scaled))
    return _checked(manifests)


def write_manifests(
    manifests: Sequence[Manifest], directory: str | os.PathLike[str]
) -> list[Path]:
    """Write each manifest into a file of ``directory`` and return them in the order to apply.

    A Secret can be read by its owner only.

    Raises:
        OSError: the directory cannot be written.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for position, manifest in enumerate(manifests, 1):
        kind = str(manifest["kind"])
        path = folder / f"{position:02}-{kind.lower()}.yaml"
        mode = 0o600 if kind == "Secret" else 0o644
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as file:
            file.write(dump_yaml(manifest, sort_keys=False))
        paths.append(path)
    return paths


def _read(workload: Workload, action: Action, parameters: Mapping[str, object]) -> PodParameters:
    findings = Findings()
    _check_workload(findings, workload, is_cron=parameters.get("schedule") is not None)
    read = read_parameters(findings, action, parameters)
    values = workload.secret_values
    for name in read.secrets if values is not None else ():
        if values is not None and name not in values:
            findings.add(f"secret_values[{name!r}]", "a value", None)
    for position, variable in enumerate(read.env):
        if variable["name"] in workload.variables:
            place = f"envs[{position}].name"
            findings.add(place, "a name that the run itself does not have", variable["name"])
    taken = {*workload.variables, *(variable.get("name") for variable in read.env)}
    for position, name in enumerate(read.secrets):
        if name in taken:
            findings.add(f"secrets[{position}]", "a name that envs do not have", name)
    for position, mount in enumerate(read.mounts):
        own = ["/tmp", *([workload.config_path] if workload.config else [])]
        if mount["mountPath"] in own:
            place = f"volumes[{position}].mount_path"
            findings.add(place, f"another than {', '.join(own)}", mount["mountPath"])
    _check_autoscaling(findings, read)
    findings.check("the task cannot become Kubernetes manifests")
    return read


def _check_autoscaling(findings: Findings, read: PodParameters) -> None:
    scaled, least = read.task.get("autoscaling"), read.task.get("replicas", 1)
    if not isinstance(scaled, Mapping):
        return
    most = scaled.get("max_replicas")
    if most != least and "cpu" not in read.resources.get("requests", {}):
        findings.add("resources.cpu.requests", "a value, since autoscaling goes by it", None)
    if isinstance(most, int) and isinstance(least, int) and most < least:
        findings.add("autoscaling.max_replicas", f"at least the {least} replicas", most)


def _check_workload(findings: Findings, workload: Workload, *, is_cron: bool) -> None:
    if findings.fits("name", workload.name, forms.SERVICE_NAME):
        longest = _LONGEST_CRON_NAME if is_cron else 63
        if len(workload.name) > longest:
            findings.add("name", f"at most {longest} characters", workload.name)
    findings.fits("image", workload.image, forms.IMAGE)
    findings.fits("port", workload.port, forms.PORT)
    findings.fits("config_path", workload.config_path, forms.MOUNT_PATH)
    findings.is_whole("drain_seconds", workload.drain_seconds, 0, bits=64)
    findings.is_whole("job_seconds", workload.job_seconds, 1, bits=64)
    if workload.namespace is not None:
        findings.fits("namespace", workload.namespace, forms.DNS_LABEL)
    findings.are_labels("labels", workload.labels)
    for key in workload.config:
        findings.fits(f"config[{key!r}]", key, forms.CONFIG_KEY)


def _checked(manifests: list[Manifest]) -> list[Manifest]:
    """Return manifests of which nothing is wrong: what a user can get wrong was found before."""
    problems = [str(p) for item in manifests for p in find_problems_in_manifest(item)]
    assert not problems, problems
    return manifests


def _selector(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/name": workload.name}


def _labels(workload: Workload) -> dict[str, str]:
    return {**workload.labels, **_selector(workload)}


def _manifest(
    workload: Workload,
    version: str,
    kind: str,
    *,
    suffix: str = "",
    read: PodParameters | None = None,
    **content: object,
) -> Manifest:
    metadata: Manifest = {"name": f"{workload.name}{suffix}", "labels": _labels(workload)}
    if workload.namespace is not None:
        metadata["namespace"] = workload.namespace
    if read is not None and read.annotations:
        metadata["annotations"] = dict(read.annotations)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _needed(workload: Workload, read: PodParameters) -> list[Manifest]:
    """Return what has to be there before the pods."""
    needed = []
    if workload.config:
        data = dict(workload.config)
        needed.append(_manifest(workload, "v1", "ConfigMap", suffix="-config", data=data))
    if read.secrets and workload.secret_values is not None:
        values = {name: workload.secret_values[name] for name in read.secrets}
        secret = _manifest(workload, "v1", "Secret", suffix="-secrets", stringData=values)
        needed.append({**secret, "type": "Opaque"})
    for name, (size, storage_class) in read.claims.items():
        spec: Manifest = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }
        if storage_class is not None:
            spec["storageClassName"] = storage_class
        claim = _manifest(workload, "v1", "PersistentVolumeClaim", spec=spec)
        metadata = claim["metadata"]
        assert isinstance(metadata, dict)
        metadata["name"] = name
        needed.append(claim)
    return needed


def _template(workload: Workload, read: PodParameters, pod: Manifest) -> Manifest:
    metadata: Manifest = {"labels": _labels(workload)}
    if read.annotations:
        metadata["annotations"] = dict(read.annotations)
    return {"metadata": metadata, "spec": pod}


def _pod(workload: Workload, read: PodParameters, container: Manifest) -> Manifest:
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    if workload.config:
        volumes.append({"name": "config", "configMap": {"name": f"{workload.name}-config"}})
    taken = {volume["name"] for volume in read.volumes}
    for volume in volumes:  # the names of the user's own volumes come first
        while volume["name"] in taken:
            volume["name"] = f"{volume['name']}-1"
    mounts = [{"name": volumes[0]["name"], "mountPath": "/tmp"}]
    if workload.config:
        mounts.append({"name": volumes[1]["name"], "mountPath": workload.config_path})
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{**container, "volumeMounts": [*mounts, *read.mounts]}],
        "volumes": [*volumes, *read.volumes],
        **read.pod,
    }


def _container(workload: Workload, read: PodParameters) -> Manifest:
    secret = f"{workload.name}-secrets"
    references = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        for name in read.secrets
    ]
    own = [{"name": name, "value": value} for name, value in workload.variables.items()]
    container: Manifest = {
        "name": workload.container,
        "image": workload.image,
        "env": [*own, *read.env, *references],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    if workload.command:
        container["command"] = list(workload.command)
    if workload.arguments:
        container["args"] = list(workload.arguments)
    if read.resources:
        container["resources"] = read.resources
    return container


def _service_parts(workload: Workload) -> Manifest:
    """Return what the container of a service has beside that of a job."""
    ask = {"path": workload.ready_path, "port": "http"}
    return {
        "ports": [{"name": "http", "containerPort": workload.port, "protocol": "TCP"}],
        "startupProbe": {"httpGet": dict(ask), "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {"httpGet": dict(ask), "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {
            "httpGet": dict(ask),
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }


def _service(workload: Workload, read: PodParameters) -> Manifest:
    port: Manifest = {
        "name": "http",
        "port": workload.port,
        "targetPort": "http",
        "protocol": "TCP",
    }
    spec: Manifest = {
        "type": read.task.get("service_type", "NodePort"),
        "selector": _selector(workload),
        "ports": [port],
    }
    return _manifest(workload, "v1", "Service", spec=spec)


def _autoscaler(workload: Workload, read: PodParameters, scaled: Mapping[str, object]) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": scaled.get("cpu_percent", 80)}
    spec: Manifest = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "minReplicas": read.task.get("replicas", 1),
        "maxReplicas": scaled["max_replicas"],
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return _manifest(workload, "autoscaling/v2", "HorizontalPodAutoscaler", spec=spec)
