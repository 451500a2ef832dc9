"""What is wrong with manifests though every schema of Kubernetes takes them.

Schemas know neither enumerations nor patterns, nor that one field has to agree with another; an
API server refuses these, or takes them and starts nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping

from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.findings import Findings, Tree, as_tree
from pyfunc.errors import Problem

__all__ = ["check_manifests", "find_problems_in_manifest"]

SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_WHERE_PODS_ARE = {
    "CronJob": "spec.jobTemplate.spec.template",
    "DaemonSet": "spec.template",
    "Deployment": "spec.template",
    "Job": "spec.template",
    "Pod": "",
    "ReplicaSet": "spec.template",
    "StatefulSet": "spec.template",
}
_RESTARTS = {
    "CronJob": ("Never", "OnFailure"),
    "Job": ("Never", "OnFailure"),
    "Pod": ("Always", "Never", "OnFailure"),
}


def check_manifests(manifests: Iterable[Tree]) -> None:
    """Return if no cluster has a reason to refuse ``manifests``.

    Raises:
        ManifestError: one has; all reasons are listed, each with kind and name before its place.
    """
    findings = Findings()
    for manifest in manifests:
        name = as_tree(manifest.get("metadata")).get("name")
        for problem in find_problems_in_manifest(manifest):
            place = f"{manifest.get('kind')}/{name}: {problem.path}"
            findings.problems.append(Problem(place, problem.expected, problem.got))
    findings.check("the manifests cannot be applied")


def find_problems_in_manifest(manifest: Tree) -> Iterator[Problem]:
    """Yield what is wrong with one manifest, with places such as ``spec.type``."""
    findings = Findings()
    kind = str(manifest.get("kind"))
    _check_metadata(findings, kind, as_tree(manifest.get("metadata")), "metadata")
    spec = as_tree(manifest.get("spec"))
    check = _CHECKS.get(kind)
    if check is not None:
        check(findings, manifest if kind in ("ConfigMap", "Secret") else spec)
    if kind in _WHERE_PODS_ARE:
        _check_template(findings, kind, manifest)
    yield from findings.problems


def _check_metadata(findings: Findings, kind: str, metadata: Tree, path: str) -> None:
    is_host = kind in ("InferenceService", "Service")
    form = forms.SERVICE_NAME if is_host else forms.DNS_SUBDOMAIN
    name = metadata.get("name")
    findings.fits(f"{path}.name", name, form)
    if kind == "CronJob" and isinstance(name, str) and len(name) > 52:
        findings.add(f"{path}.name", "at most 52 characters, since its jobs add 11", name)
    if "namespace" in metadata:
        findings.fits(f"{path}.namespace", metadata["namespace"], forms.DNS_LABEL)
    _check_labels(findings, metadata, path)


def _check_labels(findings: Findings, metadata: Tree, path: str) -> None:
    for key, value in as_tree(metadata.get("labels")).items():
        findings.fits(f"{path}.labels[{key!r}]", key, forms.LABEL_KEY)
        findings.fits(f"{path}.labels[{key!r}]", value, forms.LABEL_VALUE)


def _check_template(findings: Findings, kind: str, manifest: Tree) -> None:
    path = _WHERE_PODS_ARE[kind]
    template = manifest
    for part in filter(None, path.split(".")):
        template = as_tree(template.get(part))
    place = f"{path}.spec" if path else "spec"
    if path:
        _check_labels(findings, as_tree(template.get("metadata")), f"{path}.metadata")
    pod = as_tree(template.get("spec"))
    allowed = _RESTARTS.get(kind, ("Always",))
    # A job's pods have to say it: what they get otherwise is Always.
    if "restartPolicy" in pod or kind in ("CronJob", "Job"):
        findings.is_one_of(f"{place}.restartPolicy", pod.get("restartPolicy"), allowed)
    _check_pod(findings, pod, place)


def _check_pod(findings: Findings, pod: Tree, path: str) -> None:
    volumes = list(findings.items(f"{path}.volumes", pod.get("volumes", [])))
    for place, volume in volumes:
        findings.fits(f"{place}.name", volume.get("name"), forms.DNS_LABEL)
    findings.are_different(f"{path}.volumes", "name", volumes)
    names = {volume.get("name") for _, volume in volumes}
    containers = list(findings.items(f"{path}.containers", pod.get("containers")))
    containers += findings.items(f"{path}.initContainers", pod.get("initContainers", []))
    findings.are_different(f"{path}.containers", "name", containers)
    for place, container in containers:
        _check_container(findings, container, place)
        _check_mounts(findings, container, place, names)
    for key, value in as_tree(pod.get("nodeSelector")).items():
        findings.fits(f"{path}.nodeSelector[{key!r}]", key, forms.LABEL_KEY)
        findings.fits(f"{path}.nodeSelector[{key!r}]", value, forms.LABEL_VALUE)


def _check_container(findings: Findings, container: Tree, path: str) -> None:
    findings.fits(f"{path}.name", container.get("name"), forms.DNS_LABEL)
    findings.fits(f"{path}.image", container.get("image"), forms.IMAGE)
    if "imagePullPolicy" in container:
        findings.is_one_of(f"{path}.imagePullPolicy", container["imagePullPolicy"], _POLICIES)
    variables = list(findings.items(f"{path}.env", container.get("env", [])))
    for place, variable in variables:
        findings.fits(f"{place}.name", variable.get("name"), forms.ENV_NAME)
    findings.are_different(f"{path}.env", "name", variables)
    ports = list(findings.items(f"{path}.ports", container.get("ports", [])))
    for place, port in ports:
        findings.fits(f"{place}.containerPort", port.get("containerPort"), forms.PORT)
        if "name" in port:
            findings.fits(f"{place}.name", port["name"], forms.PORT_NAME)
        if "protocol" in port:
            findings.is_one_of(f"{place}.protocol", port["protocol"], _PROTOCOLS)
    known = {port.get("name") for _, port in ports}
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for way in ("httpGet", "tcpSocket"):
            target = as_tree(as_tree(container.get(probe)).get(way))
            if target and target.get("port") not in known - {None}:
                findings.fits(f"{path}.{probe}.{way}.port", target.get("port"), forms.PORT)
    _check_resources(findings, as_tree(container.get("resources")), f"{path}.resources")


def _check_mounts(findings: Findings, container: Tree, path: str, names: set[object]) -> None:
    mounts = list(findings.items(f"{path}.volumeMounts", container.get("volumeMounts", [])))
    for place, mount in mounts:
        findings.fits(f"{place}.mountPath", mount.get("mountPath"), forms.MOUNT_PATH)
        if mount.get("name") not in names:
            findings.add(f"{place}.name", "the name of a volume of the pod", mount.get("name"))
    findings.are_different(f"{path}.volumeMounts", "mountPath", mounts)


def _check_resources(findings: Findings, resources: Tree, path: str) -> None:
    for part in ("limits", "requests"):
        for name, value in as_tree(resources.get(part)).items():
            text = str(value) if isinstance(value, int) and value >= 0 else value
            findings.fits(f"{path}.{part}.{name}", text, forms.QUANTITY)
    limits = as_tree(resources.get("limits"))
    for name, value in as_tree(resources.get("requests")).items():
        asked, most = (forms.parse_quantity(str(v)) for v in (value, limits.get(name)))
        if asked is not None and most is not None and asked > most:
            findings.add(f"{path}.requests.{name}", f"at most the limit {limits[name]}", value)


def _check_workload(findings: Findings, spec: Tree) -> None:
    if "replicas" in spec:
        findings.is_whole("spec.replicas", spec["replicas"], 0)
    labels = as_tree(as_tree(as_tree(spec.get("template")).get("metadata")).get("labels"))
    selector = as_tree(as_tree(spec.get("selector")).get("matchLabels"))
    for key, value in selector.items():
        if labels.get(key) != value:
            expected = f"the label of the template, {labels.get(key)!r}"
            findings.add(f"spec.selector.matchLabels[{key!r}]", expected, value)


def _check_job(findings: Findings, spec: Tree, path: str = "spec") -> None:
    for name, least in (("backoffLimit", 0), ("completions", 0), ("parallelism", 0)):
        if name in spec:
            findings.is_whole(f"{path}.{name}", spec[name], least)
    if "completionMode" in spec:
        mode = spec["completionMode"]
        findings.is_one_of(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"))
        if mode == "Indexed" and "completions" not in spec:
            findings.add(f"{path}.completions", "a number, since the mode is Indexed", None)


def _check_cron_job(findings: Findings, spec: Tree) -> None:
    findings.fits("spec.schedule", spec.get("schedule"), forms.CRON)
    if "concurrencyPolicy" in spec:
        allowed = ("Allow", "Forbid", "Replace")
        findings.is_one_of("spec.concurrencyPolicy", spec["concurrencyPolicy"], allowed)
    job = as_tree(as_tree(spec.get("jobTemplate")).get("spec"))
    _check_job(findings, job, "spec.jobTemplate.spec")


def _check_service(findings: Findings, spec: Tree) -> None:
    if "type" in spec:
        findings.is_one_of("spec.type", spec["type"], SERVICE_TYPES)
    if spec.get("type") == "ExternalName":
        findings.fits("spec.externalName", spec.get("externalName"), forms.DNS_SUBDOMAIN)
        return
    ports = list(findings.items("spec.ports", spec.get("ports")))
    for place, port in ports:
        findings.fits(f"{place}.port", port.get("port"), forms.PORT)
        target = port.get("targetPort", port.get("port"))
        form = forms.PORT_NAME if isinstance(target, str) else forms.PORT
        findings.fits(f"{place}.targetPort", target, form)
        if "name" in port or len(ports) > 1:
            findings.fits(f"{place}.name", port.get("name"), forms.DNS_LABEL)
        if "protocol" in port:
            findings.is_one_of(f"{place}.protocol", port["protocol"], _PROTOCOLS)
        node_port = port.get("nodePort", 30000)
        if not isinstance(node_port, int) or not 30000 <= node_port <= 32767:
            findings.add(f"{place}.nodePort", "a port from 30000 to 32767", node_port)
    findings.are_different("spec.ports", "name", ports)


def _check_autoscaler(findings: Findings, spec: Tree) -> None:
    least = spec.get("minReplicas", 1)
    if findings.is_whole("spec.minReplicas", least, 1) and isinstance(least, int):
        findings.is_whole("spec.maxReplicas", spec.get("maxReplicas"), least)
    target = as_tree(spec.get("scaleTargetRef"))
    findings.fits("spec.scaleTargetRef.name", target.get("name"), forms.DNS_SUBDOMAIN)


def _check_budget(findings: Findings, spec: Tree) -> None:
    given = [name for name in ("maxUnavailable", "minAvailable") if name in spec]
    if len(given) != 1:
        findings.add("spec", "either maxUnavailable or minAvailable", given or None)
    for name in given:
        findings.fits(f"spec.{name}", spec[name], forms.COUNT_OR_PERCENT)
    if not as_tree(as_tree(spec.get("selector")).get("matchLabels")):
        findings.add("spec.selector.matchLabels", "the labels of the pods", spec.get("selector"))


def _check_inference_service(findings: Findings, spec: Tree) -> None:
    predictor = as_tree(spec.get("predictor"))
    _check_pod(findings, predictor, "spec.predictor")
    given = predictor.get("containers")
    containers = given if isinstance(given, list) else []
    names = [as_tree(container).get("name") for container in containers]
    if "kserve-container" not in names:
        place = "spec.predictor.containers"
        findings.add(place, "one called kserve-container, which answers", names)
    least, most = predictor.get("minReplicas", 1), predictor.get("maxReplicas")
    findings.is_whole("spec.predictor.minReplicas", least, 0)
    if most is not None:
        bound = least if isinstance(least, int) else 0
        findings.is_whole("spec.predictor.maxReplicas", most, max(1, bound))


def _check_data(findings: Findings, manifest: Tree) -> None:
    for part in ("binaryData", "data", "stringData"):
        for key, value in as_tree(manifest.get(part)).items():
            findings.fits(f"{part}[{key!r}]", key, forms.CONFIG_KEY)
            encoded = part == "binaryData" or (part == "data" and manifest["kind"] == "Secret")
            if encoded and not _is_base64(value):
                # Not the value: it may be the secret itself, put there by mistake.
                findings.add(f"{part}[{key!r}]", "base64 text", None)


def _is_base64(value: object) -> bool:
    try:
        base64.b64decode(str(value).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    return isinstance(value, str)


def _check_claim(findings: Findings, spec: Tree) -> None:
    requests = as_tree(as_tree(spec.get("resources")).get("requests"))
    findings.fits("spec.resources.requests.storage", requests.get("storage"), forms.QUANTITY)


_CHECKS: Mapping[str, Callable[[Findings, Tree], None]] = {
    "ConfigMap": _check_data,
    "CronJob": _check_cron_job,
    "DaemonSet": _check_workload,
    "Deployment": _check_workload,
    "HorizontalPodAutoscaler": _check_autoscaler,
    "InferenceService": _check_inference_service,
    "Job": _check_job,
    "PersistentVolumeClaim": _check_claim,
    "PodDisruptionBudget": _check_budget,
    "ReplicaSet": _check_workload,
    "Secret": _check_data,
    "Service": _check_service,
    "StatefulSet": _check_workload,
}
