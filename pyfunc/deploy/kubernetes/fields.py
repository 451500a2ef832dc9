"""The single fields of manifests that a schema takes with any text or number, and a server not.

A table for each kind of object, by paths such as ``tolerations[].effect``; what has to agree
with another field is in the checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyfunc.deploy.kubernetes.findings import Findings, Tree, as_tree
from pyfunc.deploy.kubernetes.forms import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    MOUNT_PATH,
    PORT,
    QUANTITY,
    SERVICE_TYPES,
    SUB_PATH,
    Form,
    one_of,
    whole,
)

__all__ = ["PROBES", "check_fields"]

_PROBE_NUMBERS = {
    "failureThreshold": whole(1),
    "initialDelaySeconds": whole(0),
    "periodSeconds": whole(1),
    "successThreshold": whole(1),
    "terminationGracePeriodSeconds": whole(1, bits=64),
    "timeoutSeconds": whole(1),
}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_USERS = {
    f"securityContext.{name}": form
    for name, form in {
        "runAsGroup": whole(0),
        "runAsUser": whole(0),
        "seccompProfile.type": one_of("Localhost", "RuntimeDefault", "Unconfined"),
    }.items()
}
_PROTOCOL = one_of("SCTP", "TCP", "UDP")
_CONTAINER = {
    **_USERS,
    "env[].valueFrom.resourceFieldRef.divisor": QUANTITY,
    "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "ports[].containerPort": PORT,
    "ports[].hostPort": PORT,
    "ports[].protocol": _PROTOCOL,
    "terminationMessagePolicy": one_of("FallbackToLogsOnError", "File"),
    "volumeMounts[].mountPath": MOUNT_PATH,
    "volumeMounts[].subPath": SUB_PATH,
    **{f"{probe}.{name}": form for probe in PROBES for name, form in _PROBE_NUMBERS.items()},
    **{f"{probe}.httpGet.scheme": one_of("HTTP", "HTTPS") for probe in PROBES},
    **{f"{probe}.successThreshold": whole(1, 1) for probe in ("livenessProbe", "startupProbe")},
}
_POD = {
    **_USERS,
    "activeDeadlineSeconds": whole(1),
    "dnsPolicy": one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "imagePullSecrets[].name": DNS_SUBDOMAIN,
    "preemptionPolicy": one_of("Never", "PreemptLowerPriority"),
    "priorityClassName": DNS_SUBDOMAIN,
    "runtimeClassName": DNS_SUBDOMAIN,
    "securityContext.fsGroup": whole(0),
    "securityContext.fsGroupChangePolicy": one_of("Always", "OnRootMismatch"),
    "serviceAccountName": DNS_SUBDOMAIN,
    "terminationGracePeriodSeconds": whole(0, bits=64),
    "tolerations[].effect": one_of("", "NoExecute", "NoSchedule", "PreferNoSchedule"),
    "tolerations[].operator": one_of("", "Equal", "Exists", "Gt", "Lt"),
    "topologySpreadConstraints[].maxSkew": whole(1),
    "topologySpreadConstraints[].whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
    "volumes[].configMap.defaultMode": whole(0, 0o777),
    "volumes[].emptyDir.medium": one_of("", "HugePages", "Memory"),
    "volumes[].emptyDir.sizeLimit": QUANTITY,
    "volumes[].hostPath.type": one_of(
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
        "Socket",
    ),
    "volumes[].name": DNS_LABEL,
    "volumes[].persistentVolumeClaim.claimName": DNS_SUBDOMAIN,
    "volumes[].secret.defaultMode": whole(0, 0o777),
}  # fmt: skip
_ROLLOUT = {
    "minReadySeconds": whole(0),
    "progressDeadlineSeconds": whole(1),
    "replicas": whole(0),
    "revisionHistoryLimit": whole(0),
}
_JOB = {
    "activeDeadlineSeconds": whole(1, bits=64),
    "backoffLimit": whole(0),
    "backoffLimitPerIndex": whole(0),
    "completionMode": one_of("Indexed", "NonIndexed"),
    "completions": whole(0),
    "maxFailedIndexes": whole(0),
    "parallelism": whole(0),
    "podReplacementPolicy": one_of("Failed", "TerminatingOrFailed"),
    "ttlSecondsAfterFinished": whole(0),
}
_FIELDS: Mapping[str, Mapping[str, Form]] = {
    "container": _CONTAINER,
    "pod": _POD,
    "CronJob": {
        "concurrencyPolicy": one_of("Allow", "Forbid", "Replace"),
        "failedJobsHistoryLimit": whole(0),
        "startingDeadlineSeconds": whole(0, bits=64),
        "successfulJobsHistoryLimit": whole(0),
        **{f"jobTemplate.spec.{path}": form for path, form in _JOB.items()},
    },
    "DaemonSet": {**_ROLLOUT, "updateStrategy.type": one_of("OnDelete", "RollingUpdate")},
    "Deployment": {**_ROLLOUT, "strategy.type": one_of("Recreate", "RollingUpdate")},
    "HorizontalPodAutoscaler": {
        "metrics[].resource.target.averageUtilization": whole(1),
        "metrics[].resource.target.type": one_of("AverageValue", "Utilization", "Value"),
        "metrics[].type": one_of("ContainerResource", "External", "Object", "Pods", "Resource"),
    },
    "Job": _JOB,
    "PersistentVolumeClaim": {
        "accessModes[]": one_of(
            "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
        ),
        "storageClassName": Form(f"nothing, or {DNS_SUBDOMAIN.expected}", lambda value:
                                 value == "" or DNS_SUBDOMAIN.fits(value)),
        "volumeMode": one_of("Block", "Filesystem"),
    },
    "ReplicaSet": _ROLLOUT,
    "Service": {
        "externalTrafficPolicy": one_of("Cluster", "Local"),
        "internalTrafficPolicy": one_of("Cluster", "Local"),
        "ipFamilyPolicy": one_of("PreferDualStack", "RequireDualStack", "SingleStack"),
        "ports[].protocol": _PROTOCOL,
        "sessionAffinity": one_of("ClientIP", "None"),
        "type": one_of(*SERVICE_TYPES),
    },
    "StatefulSet": {
        **_ROLLOUT,
        "podManagementPolicy": one_of("OrderedReady", "Parallel"),
        "updateStrategy.type": one_of("OnDelete", "RollingUpdate"),
    },
}  # fmt: skip


def check_fields(findings: Findings, kind: str, tree: Tree, path: str) -> None:
    """Hold what is in a tree against the table of its kind; what is not there is left alone."""
    for field, form in _FIELDS.get(kind, {}).items():
        for place, value in _find(tree, field, path):
            findings.fits(place, value, form)


def _find(tree: object, field: str, path: str) -> Iterator[tuple[str, object]]:
    """Yield each value at ``field``, with its place."""
    name, _, rest = field.partition(".")
    key = name.removesuffix("[]")
    held = as_tree(tree)
    if held.get(key) is None:  # as if it were not there
        return
    value, place = held[key], f"{path}.{key}"
    found = [(place, value)]
    if name.endswith("[]"):
        items = value if isinstance(value, list) else []
        found = [(f"{place}[{i}]", item) for i, item in enumerate(items)]
    for place, value in found:
        if rest:
            yield from _find(value, rest, place)
        else:
            yield place, value
