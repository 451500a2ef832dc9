"""What is wrong with the pods of manifests: containers, volumes, ports, probes, users."""

from __future__ import annotations

from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.fields import PROBES, check_fields
from pyfunc.deploy.kubernetes.findings import Findings, Tree, as_tree

__all__ = ["check_pod"]

_WAYS = ("exec", "grpc", "httpGet", "tcpSocket")
_RESOURCES = ("cpu", "ephemeral-storage", "memory")


def check_pod(findings: Findings, pod: Tree, path: str) -> None:
    """Check the specification of a pod, at ``path``."""
    check_fields(findings, "pod", pod, path)
    volumes = list(findings.items(f"{path}.volumes", pod.get("volumes", [])))
    for place, volume in volumes:
        _check_volume(findings, volume, place)
    findings.are_different(f"{path}.volumes", "name", volumes)
    names = {volume.get("name") for _, volume in volumes}
    containers = list(findings.items(f"{path}.containers", pod.get("containers") or None))
    containers += findings.items(f"{path}.initContainers", pod.get("initContainers", []))
    findings.are_different(f"{path}.containers", "name", containers)
    for place, container in containers:
        _check_container(findings, container, place)
        _check_mounts(findings, container, place, names)
    _check_users(findings, pod, containers, path)
    findings.are_labels(f"{path}.nodeSelector", as_tree(pod.get("nodeSelector")))


def _check_volume(findings: Findings, volume: Tree, path: str) -> None:
    if "name" not in volume:
        findings.fits(f"{path}.name", None, forms.DNS_LABEL)
    sources = sorted(key for key, value in volume.items() if key != "name" and value is not None)
    if len(sources) > 1:  # without any it is an emptyDir
        findings.add(path, "one source, such as emptyDir", sources)


def _check_users(
    findings: Findings, pod: Tree, containers: list[tuple[str, Tree]], path: str
) -> None:
    """Check that no container has to be of another user than root and is root."""
    whole = as_tree(pod.get("securityContext"))
    for place, container in containers:
        own = as_tree(container.get("securityContext"))
        merged = {**whole, **own}
        if merged.get("runAsNonRoot") is True and merged.get("runAsUser") == 0:
            where = place if own.get("runAsUser") == 0 else path
            findings.add(f"{where}.securityContext.runAsUser", "another than root", 0)
        if own.get("privileged") is True and own.get("allowPrivilegeEscalation") is False:
            expected = "true, as the container is privileged"
            findings.add(f"{place}.securityContext.allowPrivilegeEscalation", expected, False)


def _check_container(findings: Findings, container: Tree, path: str) -> None:
    check_fields(findings, "container", container, path)
    findings.fits(f"{path}.name", container.get("name"), forms.DNS_LABEL)
    findings.fits(f"{path}.image", container.get("image"), forms.IMAGE)
    variables = list(findings.items(f"{path}.env", container.get("env", [])))
    for place, variable in variables:
        findings.fits(f"{place}.name", variable.get("name"), forms.ENV_NAME)
        if "valueFrom" in variable:
            _check_source(findings, variable, place)
    findings.are_different(f"{path}.env", "name", variables)
    ports = list(findings.items(f"{path}.ports", container.get("ports", [])))
    for place, port in ports:
        if port.get("containerPort") is None:
            findings.fits(f"{place}.containerPort", None, forms.PORT)
        if "name" in port:
            findings.fits(f"{place}.name", port["name"], forms.PORT_NAME)
    findings.are_different(f"{path}.ports", "name", ports)
    known = {port.get("name") for _, port in ports}
    for probe in PROBES:
        ways = [way for way in _WAYS if as_tree(container.get(probe)).get(way) is not None]
        if container.get(probe) is not None and len(ways) != 1:
            findings.add(f"{path}.{probe}", f"one of {', '.join(_WAYS)}", ways or None)
        for way in ("httpGet", "tcpSocket"):
            target = as_tree(as_tree(container.get(probe)).get(way))
            if target and target.get("port") not in known - {None}:
                findings.fits(f"{path}.{probe}.{way}.port", target.get("port"), forms.PORT)
    _check_resources(findings, as_tree(container.get("resources")), f"{path}.resources")


def _check_source(findings: Findings, variable: Tree, path: str) -> None:
    if variable.get("value"):
        findings.add(f"{path}.valueFrom", "nothing beside a value", variable.get("valueFrom"))
    given = as_tree(variable.get("valueFrom"))
    sources = sorted(key for key, value in given.items() if value is not None)
    if len(sources) != 1:
        findings.add(f"{path}.valueFrom", "one source, such as secretKeyRef", sources or None)


def _check_mounts(findings: Findings, container: Tree, path: str, names: set[object]) -> None:
    mounts = list(findings.items(f"{path}.volumeMounts", container.get("volumeMounts", [])))
    for place, mount in mounts:
        if mount.get("mountPath") is None:
            findings.fits(f"{place}.mountPath", None, forms.MOUNT_PATH)
        if mount.get("name") not in names:
            findings.add(f"{place}.name", "the name of a volume of the pod", mount.get("name"))
    findings.are_different(f"{path}.volumeMounts", "mountPath", mounts)


def _check_resources(findings: Findings, resources: Tree, path: str) -> None:
    for part in ("limits", "requests"):
        for name, value in as_tree(resources.get(part)).items():
            findings.fits(f"{path}.{part}.{name}", value, forms.QUANTITY)
            is_known = name in _RESOURCES or name.startswith("hugepages-")
            if not is_known and not ("/" in name and forms.LABEL_KEY.fits(name)):
                told = f"{', '.join(_RESOURCES)}, or one of a domain, such as nvidia.com/gpu"
                findings.add(f"{path}.{part}.{name}", f"of the resources {told}", name)
    limits = as_tree(resources.get("limits"))
    for name, value in as_tree(resources.get("requests")).items():
        asked, most = (forms.parse_quantity(str(v)) for v in (value, limits.get(name)))
        if asked is not None and most is not None and asked > most:
            findings.add(f"{path}.requests.{name}", f"at most the limit {limits[name]}", value)
