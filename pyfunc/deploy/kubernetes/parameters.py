"""The task parameters of a function, as a user writes them, on their way into a pod.

Every problem has the place that the user wrote: ``volumes[1].mount_path``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyfunc.deploy.actions import Action, parameter_names
from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.affinity import to_affinity
from pyfunc.deploy.kubernetes.findings import Findings, Tree, as_tree
from pyfunc.variables import can_be_value

__all__ = ["PodParameters", "read_parameters"]

_RESOURCES = {"cpu": "cpu", "mem": "memory", "gpu": "nvidia.com/gpu"}
_VOLUME_SPECS = {
    "config_map": ("config_map",),
    "empty_dir": ("medium", "size_limit"),
    "persistent_volume_claim": ("claim_name", "size", "storage_class"),
}
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


@dataclass(slots=True)
class PodParameters:
    """What the parameters of a task say, in the words of Kubernetes.

    Attributes:
        pod: fields of the pod's spec.
        env: variables of the container.
        secrets: names of the secrets that become variables.
        resources: requests and limits.
        volumes: volumes of the pod.
        mounts: where the container finds them.
        claims: sizes and storage classes of the claims that have to be made, by name.
        annotations: what is recorded and means nothing to a cluster.
        task: values of the one action, checked, under the names that the user wrote.
    """

    pod: dict[str, object] = field(default_factory=dict)
    env: list[dict[str, object]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    volumes: list[dict[str, object]] = field(default_factory=list)
    mounts: list[dict[str, object]] = field(default_factory=list)
    claims: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    task: dict[str, object] = field(default_factory=dict)


def read_parameters(findings: Findings, action: Action, parameters: Tree) -> PodParameters:
    """Return what the parameters of a task say; what is wrong with them is noted.

    A parameter that is None is taken as not given.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    names = parameter_names(action)
    findings.has_only("", given, names)
    read = PodParameters()
    for name, value in given.items():
        if name in names:
            _READERS[name](findings, read, value)
    return read


def _read_node_selector(findings: Findings, read: PodParameters, value: object) -> None:
    items = list(findings.items("node_selector", value))
    for place, item in items:
        findings.has_only(place, item, ("key", "value"))
        findings.fits(f"{place}.key", item.get("key"), forms.LABEL_KEY)
        findings.fits(f"{place}.value", item.get("value"), forms.LABEL_VALUE)
    findings.are_different("node_selector", "key", items)
    read.pod["nodeSelector"] = {str(item.get("key")): item.get("value") for _, item in items}


def _read_tolerations(findings: Findings, read: PodParameters, value: object) -> None:
    tolerations = []
    known = ("effect", "key", "operator", "toleration_seconds", "value")
    for place, item in findings.items("tolerations", value):
        findings.has_only(place, item, known)
        _check_toleration(findings, place, item)
        renamed = {"toleration_seconds": "tolerationSeconds"}
        tolerations.append({renamed.get(k, k): v for k, v in item.items() if v is not None})
    read.pod["tolerations"] = tolerations


def _check_toleration(findings: Findings, place: str, item: Tree) -> None:
    operator = item.get("operator", "Equal")
    findings.is_one_of(f"{place}.operator", operator, ("Equal", "Exists"))
    if item.get("key") is not None:
        findings.fits(f"{place}.key", item["key"], forms.LABEL_KEY)
    elif operator != "Exists":
        findings.add(f"{place}.key", "a key, unless the operator is Exists", None)
    if item.get("value") is not None:
        findings.fits(f"{place}.value", item["value"], forms.LABEL_VALUE)
        if operator == "Exists":
            findings.add(f"{place}.value", "no value, since the operator is Exists", item["value"])
    if item.get("effect") is not None:
        findings.is_one_of(f"{place}.effect", item["effect"], _EFFECTS)
    seconds = item.get("toleration_seconds")
    if seconds is not None:
        findings.is_whole(f"{place}.toleration_seconds", seconds, 0, bits=64)
        if item.get("effect") != "NoExecute":
            findings.add(f"{place}.toleration_seconds", "the effect NoExecute with it", seconds)


def _read_affinity(findings: Findings, read: PodParameters, value: object) -> None:
    read.pod["affinity"] = to_affinity(findings, value)


def _read_envs(findings: Findings, read: PodParameters, given: object) -> None:
    items = list(findings.items("envs", given))
    for place, item in items:
        findings.has_only(place, item, ("name", "value"))
        findings.fits(f"{place}.name", item.get("name"), forms.ENV_NAME)
        value = item.get("value")
        if not isinstance(value, str):
            findings.add(f"{place}.value", "a text", value)
        elif not can_be_value(value):
            findings.add(f"{place}.value", "text in UTF-8 without null characters", value)
        read.env.append({"name": item.get("name"), "value": value})
    findings.are_different("envs", "name", items)


def _read_secrets(findings: Findings, read: PodParameters, value: object) -> None:
    if not isinstance(value, list):
        findings.add("secrets", "a list", value)
        return
    for position, name in enumerate(value):
        place = f"secrets[{position}]"
        findings.fits(place, name, forms.ENV_NAME)
        findings.fits(place, name, forms.CONFIG_KEY)
        if name in read.secrets:
            findings.add(place, "another than those before it in secrets", name)
        read.secrets.append(str(name))


def _read_resources(findings: Findings, read: PodParameters, value: object) -> None:
    if not isinstance(value, Mapping):
        findings.add("resources", "an object of cpu, mem and gpu", value)
        return
    findings.has_only("resources", value, _RESOURCES)
    for name, inner in value.items():
        if not isinstance(inner, Mapping):
            findings.add(f"resources.{name}", "an object of requests and limits", inner)
            continue
        findings.has_only(f"resources.{name}", inner, ("limits", "requests"))
        _check_amounts(findings, f"resources.{name}", inner, whole=name == "gpu")
        for part in ("limits", "requests"):
            if inner.get(part) is not None:
                key = _RESOURCES.get(str(name), str(name))
                read.resources.setdefault(part, {})[key] = str(inner[part])


def _check_amounts(findings: Findings, path: str, amounts: Tree, *, whole: bool) -> None:
    found = {}
    for part in ("limits", "requests"):
        amount = amounts.get(part)
        if amount is None:
            continue
        if findings.fits(f"{path}.{part}", amount, forms.QUANTITY):
            found[part] = forms.parse_quantity(str(amount)) or 0
            if whole and found[part] % 1:
                findings.add(f"{path}.{part}", "a whole number", amount)
    if len(found) == 2 and found["requests"] > found["limits"]:
        expected = f"at most the limit {amounts['limits']}"
        findings.add(f"{path}.requests", expected, amounts["requests"])
    if whole and "limits" not in found and "requests" in found:
        findings.add(f"{path}.limits", "the same as requests", None)


def _read_volumes(findings: Findings, read: PodParameters, value: object) -> None:
    items = list(findings.items("volumes", value))
    for place, item in items:
        findings.has_only(place, item, ("mount_path", "name", "spec", "volume_type"))
        findings.fits(f"{place}.name", item.get("name"), forms.DNS_LABEL)
        findings.fits(f"{place}.mount_path", item.get("mount_path"), forms.MOUNT_PATH)
        kind, spec = item.get("volume_type"), item.get("spec") or {}
        if not isinstance(spec, Mapping):
            findings.add(f"{place}.spec", "an object", spec)
        elif findings.is_one_of(f"{place}.volume_type", kind, sorted(_VOLUME_SPECS)):
            findings.has_only(f"{place}.spec", spec, _VOLUME_SPECS[str(kind)])
            source = _volume_source(findings, read, place, item, spec)
            read.volumes.append({"name": item.get("name"), **source})
        read.mounts.append({"name": item.get("name"), "mountPath": item.get("mount_path")})
    findings.are_different("volumes", "name", items)
    findings.are_different("volumes", "mount_path", items)


def _volume_source(
    findings: Findings, read: PodParameters, place: str, item: Tree, spec: Tree
) -> dict[str, object]:
    if item["volume_type"] == "empty_dir":
        return {"emptyDir": _empty_dir(findings, f"{place}.spec", spec)}
    if item["volume_type"] == "config_map":
        name = spec.get("config_map", item.get("name"))
        findings.fits(f"{place}.spec.config_map", name, forms.DNS_SUBDOMAIN)
        return {"configMap": {"name": name}}
    claim = spec.get("claim_name", item.get("name"))
    if "claim_name" in spec:
        findings.fits(f"{place}.spec.claim_name", claim, forms.DNS_SUBDOMAIN)
    storage_class = spec.get("storage_class")
    if storage_class is not None:
        findings.fits(f"{place}.spec.storage_class", storage_class, forms.DNS_SUBDOMAIN)
    if "size" in spec and findings.fits(f"{place}.spec.size", spec["size"], forms.QUANTITY):
        named = None if storage_class is None else str(storage_class)
        read.claims[str(claim)] = (str(spec["size"]), named)
    return {"persistentVolumeClaim": {"claimName": claim}}


def _empty_dir(findings: Findings, place: str, spec: Tree) -> dict[str, object]:
    source: dict[str, object] = {}
    if spec.get("medium"):
        findings.is_one_of(f"{place}.medium", spec["medium"], ("Memory",))
        source["medium"] = spec["medium"]
    if spec.get("size_limit") is not None:
        findings.fits(f"{place}.size_limit", spec["size_limit"], forms.QUANTITY)
        source["sizeLimit"] = spec["size_limit"]
    return source


def _read_class(name: str, key: str) -> Callable[[Findings, PodParameters, object], None]:
    def read_class(findings: Findings, read: PodParameters, value: object) -> None:
        findings.fits(name, value, forms.DNS_SUBDOMAIN)
        read.pod[key] = value

    return read_class


def _read_profile(findings: Findings, read: PodParameters, value: object) -> None:
    if not isinstance(value, str):
        findings.add("profile", "a text", value)
    read.annotations["pyfunc/profile"] = str(value)


def _read_whole(name: str, least: int) -> Callable[[Findings, PodParameters, object], None]:
    def read_whole(findings: Findings, read: PodParameters, value: object) -> None:
        findings.is_whole(name, value, least)
        read.task[name] = value

    return read_whole


def _read_schedule(findings: Findings, read: PodParameters, value: object) -> None:
    findings.fits("schedule", value, forms.CRON)
    read.task["schedule"] = value


def _read_service_type(findings: Findings, read: PodParameters, value: object) -> None:
    if findings.is_one_of("service_type", value, forms.SERVICE_TYPES) and value == "ExternalName":
        findings.add("service_type", "a type that leads to pods; ExternalName does not", value)
    read.task["service_type"] = value


def _read_autoscaling(findings: Findings, read: PodParameters, value: object) -> None:
    if not isinstance(value, Mapping):
        findings.add("autoscaling", "an object of max_replicas and cpu_percent", value)
        return
    findings.has_only("autoscaling", value, ("cpu_percent", "max_replicas"))
    findings.is_whole("autoscaling.max_replicas", value.get("max_replicas"), 1)
    findings.is_whole("autoscaling.cpu_percent", value.get("cpu_percent", 80), 1)
    read.task["autoscaling"] = dict(as_tree(value))


_READERS: dict[str, Callable[[Findings, PodParameters, object], None]] = {
    "affinity": _read_affinity,
    "autoscaling": _read_autoscaling,
    "backoff_limit": _read_whole("backoff_limit", 0),
    "envs": _read_envs,
    "node_selector": _read_node_selector,
    "priority_class": _read_class("priority_class", "priorityClassName"),
    "profile": _read_profile,
    "replicas": _read_whole("replicas", 1),
    "resources": _read_resources,
    "runtime_class": _read_class("runtime_class", "runtimeClassName"),
    "schedule": _read_schedule,
    "secrets": _read_secrets,
    "service_type": _read_service_type,
    "tolerations": _read_tolerations,
    "volumes": _read_volumes,
}
