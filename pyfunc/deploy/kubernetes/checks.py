"""What is wrong with manifests though every schema of Kubernetes takes them.

Schemas know neither enumerations nor patterns, nor that one field has to agree with another; an
API server refuses these, or takes them and starts nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping

from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.fields import check_fields
from pyfunc.deploy.kubernetes.findings import Findings, Tree, as_tree
from pyfunc.deploy.kubernetes.pods import check_pod
from pyfunc.errors import Problem

__all__ = ["check_manifests", "find_problems_in_manifest"]

_WHERE_PODS_ARE = {
    "CronJob": "spec.jobTemplate.spec.template",
    "DaemonSet": "spec.template",
    "Deployment": "spec.template",
    "Job": "spec.template",
    "Pod": "",
    "ReplicaSet": "spec.template",
    "StatefulSet": "spec.template",
}
_MOST_INDEXED = 100_000  # pods at a time of an indexed job
_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_RESTARTS = {
    "CronJob": ("Never", "OnFailure"),
    "Job": ("Never", "OnFailure"),
    "Pod": ("Always", "Never", "OnFailure"),
}


_JOBS_AND_SETS = ("Job", "StatefulSet")


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
    check_fields(findings, kind, spec, "spec")
    check = _CHECKS.get(kind)
    if check is not None:
        check(findings, manifest if kind in ("ConfigMap", "Secret") else spec)
    if kind == "Job":
        _check_indexed_name(findings, manifest)
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
    if kind in _JOBS_AND_SETS and isinstance(name, str) and len(name) > 63:
        findings.add(f"{path}.name", "at most 63 characters, since its pods carry it", name)
    if "namespace" in metadata:
        findings.fits(f"{path}.namespace", metadata["namespace"], forms.DNS_LABEL)
    _check_labels(findings, metadata, path)


def _check_labels(findings: Findings, metadata: Tree, path: str) -> None:
    findings.are_labels(f"{path}.labels", as_tree(metadata.get("labels")))
    for key in as_tree(metadata.get("annotations")):
        findings.fits(f"{path}.annotations[{key!r}]", key, forms.LABEL_KEY)


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
    check_pod(findings, pod, place)


def _check_workload(findings: Findings, spec: Tree) -> None:
    labels = as_tree(as_tree(as_tree(spec.get("template")).get("metadata")).get("labels"))
    selector = as_tree(spec.get("selector"))
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        findings.add("spec.selector", "the labels of the template", spec.get("selector"))
    for key, value in as_tree(selector.get("matchLabels")).items():
        if labels.get(key) != value:
            expected = f"the label of the template, {labels.get(key)!r}"
            findings.add(f"spec.selector.matchLabels[{key!r}]", expected, value)
    expressions = selector.get("matchExpressions") or []
    for place, item in findings.items("spec.selector.matchExpressions", expressions):
        _check_expression(findings, item, labels, place)
    strategy = as_tree(spec.get("strategy"))
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        findings.add("spec.strategy.rollingUpdate", "nothing beside Recreate", strategy)


def _check_expression(findings: Findings, item: Tree, labels: Tree, path: str) -> None:
    """Hold the labels of a template against one expression of the selector for them."""
    operator, key, values = item.get("operator"), item.get("key"), item.get("values") or []
    findings.fits(f"{path}.key", key, forms.LABEL_KEY)
    if not findings.is_one_of(f"{path}.operator", operator, _OPERATORS):
        return
    listed = values if isinstance(values, list) else []
    if bool(listed) != (operator in ("In", "NotIn")):
        expected = "values for In and NotIn, none for Exists and DoesNotExist"
        findings.add(f"{path}.values", expected, values)
        return
    is_there = key in labels and (not listed or labels.get(str(key)) in listed)
    if is_there != (operator in ("Exists", "In")):
        findings.add(path, f"what the labels of the template fulfil, {dict(labels)}", dict(item))


def _check_job(findings: Findings, spec: Tree, path: str = "spec") -> None:
    is_indexed = spec.get("completionMode") == "Indexed"
    if is_indexed and spec.get("completions") is None:
        findings.add(f"{path}.completions", "a number, since the mode is Indexed", None)
    at_once = spec.get("parallelism")
    if is_indexed and isinstance(at_once, int) and at_once > _MOST_INDEXED:
        expected = f"at most {_MOST_INDEXED}, since the mode is Indexed"
        findings.add(f"{path}.parallelism", expected, at_once)
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(name) is not None and not is_indexed:
            findings.add(f"{path}.{name}", "nothing, as the mode is not Indexed", spec[name])


def _check_indexed_name(findings: Findings, manifest: Tree) -> None:
    """Check that the pods of an indexed job can be hosts by the name of the job and a number."""
    spec, name = as_tree(manifest.get("spec")), as_tree(manifest.get("metadata")).get("name")
    if spec.get("completionMode") == "Indexed" and isinstance(name, str):
        count = spec.get("completions")
        last = count - 1 if isinstance(count, int) and count > 0 else 0
        if not forms.DNS_LABEL.fits(f"{name}-{last}") and len(name) <= 63:
            expected = f"a name that is one of a host with -{last} behind it"
            findings.add("metadata.name", expected, name)


def _check_cron_job(findings: Findings, spec: Tree) -> None:
    findings.fits("spec.schedule", spec.get("schedule"), forms.CRON)
    job = as_tree(as_tree(spec.get("jobTemplate")).get("spec"))
    _check_job(findings, job, "spec.jobTemplate.spec")


def _check_service(findings: Findings, spec: Tree) -> None:
    if spec.get("type") == "ExternalName":
        findings.fits("spec.externalName", spec.get("externalName"), forms.DNS_SUBDOMAIN)
        return
    is_headless = spec.get("clusterIP") == "None"
    given = spec.get("ports") or ([] if is_headless else None)
    ports = list(findings.items("spec.ports", given))
    for place, port in ports:
        _check_service_port(findings, port, place, many=len(ports) > 1)
        if "nodePort" in port and spec.get("type", "ClusterIP") == "ClusterIP":
            expected = "nothing, as the type is ClusterIP"
            findings.add(f"{place}.nodePort", expected, port["nodePort"])
    findings.are_different("spec.ports", "name", ports)
    _check_ports_differ(findings, ports, "port", "spec.ports")
    findings.are_labels("spec.selector", as_tree(spec.get("selector")))


def _check_service_port(findings: Findings, port: Tree, place: str, *, many: bool) -> None:
    findings.fits(f"{place}.port", port.get("port"), forms.PORT)
    target = port.get("targetPort", port.get("port"))
    form = forms.PORT_NAME if isinstance(target, str) else forms.PORT
    findings.fits(f"{place}.targetPort", target, form)
    if "name" in port or many:
        findings.fits(f"{place}.name", port.get("name"), forms.DNS_LABEL)
    node_port = port.get("nodePort", 30000)
    if not forms.PORT.fits(node_port) or not 30000 <= int(str(node_port)) <= 32767:
        findings.add(f"{place}.nodePort", "a port from 30000 to 32767", node_port)


def _check_ports_differ(
    findings: Findings, ports: Iterable[tuple[str, Tree]], key: str, path: str
) -> None:
    seen: set[str] = set()
    for place, port in ports:
        told = f"{port.get(key)}/{port.get('protocol', 'TCP')}"
        if told in seen:
            findings.add(f"{place}.{key}", f"another than those before it in {path}", told)
        seen.add(told)


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
    selector = as_tree(spec.get("selector"))
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        findings.add("spec.selector.matchLabels", "the labels of the pods", spec.get("selector"))


def _check_inference_service(findings: Findings, spec: Tree) -> None:
    predictor = as_tree(spec.get("predictor"))
    check_pod(findings, predictor, "spec.predictor")
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
    if not spec.get("accessModes"):
        findings.add("spec.accessModes", "at least one, such as ReadWriteOnce", None)
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
