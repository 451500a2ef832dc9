"""Manifests of tasks, judged by Kubernetes' own schemas, and what those let pass by our checks."""

from __future__ import annotations

import copy
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pyfunc.deploy.kubernetes import (
    ManifestError,
    Workload,
    check_manifests,
    find_problems_in_manifest,
    job_manifests,
    serve_manifests,
    write_manifests,
)

VERSIONS = ("1.30", "1.37")
WORKLOAD = Workload(
    name="my-function",
    image="registry.local:5000/functions/mine:1",
    namespace="models",
    labels={"team": "a"},
    config={"function.json": "{}"},
    secret_values={"TOKEN": "s3cret", "OTHER": "x"},
    arguments=["job"],
)
EXPRESSION = {"key": "zone", "operator": "In", "values": ["a"]}
COMMON: dict[str, Any] = {
    "node_selector": [{"key": "disk", "value": "ssd"}, {"key": "example.com/gpu", "value": ""}],
    "volumes": [
        {"volume_type": "empty_dir", "name": "scratch", "mount_path": "/scratch"},
        {
            "volume_type": "empty_dir",
            "name": "memory",
            "mount_path": "/memory",
            "spec": {"medium": "Memory", "size_limit": "1Gi"},
        },
        {
            "volume_type": "persistent_volume_claim",
            "name": "data",
            "mount_path": "/data",
            "spec": {"size": "10Gi", "storage_class": "fast"},
        },
        {
            "volume_type": "persistent_volume_claim",
            "name": "old",
            "mount_path": "/old",
            "spec": {"claim_name": "there-already"},
        },
        {"volume_type": "config_map", "name": "settings", "mount_path": "/settings"},
        {"volume_type": "empty_dir", "name": "tmp", "mount_path": "/mine"},
    ],
    "resources": {
        "cpu": {"requests": "500m", "limits": "2"},
        "mem": {"requests": "64Mi", "limits": "1Gi"},
        "gpu": {"limits": "1"},
    },
    "affinity": {
        "node_affinity": {
            "required_during_scheduling_ignored_during_execution": {
                "node_selector_terms": [{"match_expressions": [EXPRESSION]}]
            },
            "preferred_during_scheduling_ignored_during_execution": [
                {"weight": 50, "preference": {"match_expressions": [EXPRESSION]}}
            ],
        },
        "pod_anti_affinity": {
            "preferred_during_scheduling_ignored_during_execution": [
                {
                    "weight": 1,
                    "pod_affinity_term": {
                        "topology_key": "kubernetes.io/hostname",
                        "label_selector": {"match_labels": {"app": "x"}},
                    },
                }
            ]
        },
    },
    "tolerations": [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a", "value": "b", "effect": "NoExecute", "toleration_seconds": 60},
        {"operator": "Exists"},
    ],
    "envs": [{"name": "LEVEL", "value": "debug"}],
    "secrets": ["TOKEN"],
    "profile": "template-gpu",
    "runtime_class": "gvisor",
    "priority_class": "high",
}
JOB = {**COMMON, "backoff_limit": 3}
CRON = {**JOB, "schedule": "*/5 2-4,6 1 jan-mar mon"}
SERVE = {
    **COMMON,
    "replicas": 2,
    "service_type": "LoadBalancer",
    "autoscaling": {"max_replicas": 5, "cpu_percent": 70},
}
Make = Callable[[Workload, Mapping[str, object]], list[dict[str, Any]]]


def validate(manifest: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    ("make", "parameters", "kinds"),
    [
        pytest.param(job_manifests, {}, ["Job"], id="bare-job"),
        pytest.param(serve_manifests, {}, ["Deployment", "Service"], id="bare-serve"),
        pytest.param(job_manifests, JOB, ["Job"], id="job"),
        pytest.param(job_manifests, CRON, ["CronJob"], id="cron-job"),
        pytest.param(
            serve_manifests,
            SERVE,
            ["Deployment", "Service", "HorizontalPodAutoscaler"],
            id="serve",
        ),
        *(
            pytest.param(job_manifests, {name: value}, ["Job"], id=name)
            for name, value in COMMON.items()
        ),
    ],
)
def test_every_parameter_gives_manifests_that_the_schemas_take(
    make: Make, parameters: dict[str, object], kinds: list[str]
) -> None:
    before = copy.deepcopy(parameters)
    manifests = make(WORKLOAD, parameters)
    assert parameters == before
    needed = ["ConfigMap"]
    needed += ["Secret"] if "secrets" in parameters else []
    needed += ["PersistentVolumeClaim"] if "volumes" in parameters else []
    assert [manifest["kind"] for manifest in manifests] == [*needed, *kinds]
    for manifest in manifests:
        validate(manifest)
        assert list(find_problems_in_manifest(manifest)) == []
        assert manifest["metadata"]["namespace"] == "models"
        assert manifest["metadata"]["labels"]["team"] == "a"
    check_manifests(manifests)


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec = manifest["spec"]
    spec = spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


@pytest.mark.parametrize(("make", "parameters"), [(job_manifests, CRON), (serve_manifests, SERVE)])
def test_each_parameter_arrives_where_it_belongs(make: Make, parameters: Any) -> None:
    manifests = make(WORKLOAD, parameters)
    main = next(m for m in manifests if m["kind"] in ("CronJob", "Deployment"))
    pod = pod_of(main)
    (container,) = pod["containers"]
    assert pod["nodeSelector"] == {"disk": "ssd", "example.com/gpu": ""}
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["priorityClassName"] == "high"
    assert pod["tolerations"][1]["tolerationSeconds"] == 60
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required == {"nodeSelectorTerms": [{"matchExpressions": [EXPRESSION]}]}
    assert main["metadata"]["annotations"] == {"pyfunc/profile": "template-gpu"}
    assert container["resources"] == {
        "requests": {"cpu": "500m", "memory": "64Mi"},
        "limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"},
    }
    assert container["env"] == [
        {"name": "LEVEL", "value": "debug"},
        {
            "name": "TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "my-function-secrets", "key": "TOKEN"}},
        },
    ]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts["/tmp"] == "tmp-1"  # the user's own volume is called tmp
    assert mounts["/mine"] == "tmp"
    assert mounts["/etc/pyfunc"] == "config"
    volumes = {volume.pop("name"): volume for volume in copy.deepcopy(pod["volumes"])}
    assert volumes["memory"] == {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    assert volumes["data"] == {"persistentVolumeClaim": {"claimName": "data"}}
    assert volumes["old"] == {"persistentVolumeClaim": {"claimName": "there-already"}}
    assert volumes["settings"] == {"configMap": {"name": "settings"}}
    secret = next(m for m in manifests if m["kind"] == "Secret")
    assert secret["stringData"] == {"TOKEN": "s3cret"}  # not those that the task does not name


@pytest.mark.parametrize(("make", "parameters"), [(job_manifests, {}), (serve_manifests, {})])
def test_a_pod_may_do_little(make: Make, parameters: Any) -> None:
    pod = pod_of(make(WORKLOAD, parameters)[-1 if make is job_manifests else 1])
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_what_a_job_and_a_service_are() -> None:
    (_, _, _, cron) = job_manifests(WORKLOAD, CRON)
    assert cron["spec"]["schedule"] == CRON["schedule"]  # type: ignore[index]
    job = job_manifests(WORKLOAD, JOB)[-1]
    assert job["spec"]["backoffLimit"] == 3  # type: ignore[index]
    assert pod_of(job)["restartPolicy"] == "Never"
    *_, deployment, service, scaler = serve_manifests(WORKLOAD, SERVE)
    assert "replicas" not in deployment["spec"]  # type: ignore[operator]
    assert (service["spec"]["type"]) == "LoadBalancer"  # type: ignore[index]
    assert scaler["spec"]["minReplicas"] == 2  # type: ignore[index]
    _, plain, plain_service = serve_manifests(WORKLOAD, {"replicas": 3})
    assert plain["spec"]["replicas"] == 3  # type: ignore[index]
    assert plain_service["spec"]["type"] == "NodePort"  # type: ignore[index]
    (container,) = pod_of(plain)["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/-/ready", "port": "http"}


def test_without_values_a_secret_is_only_named() -> None:
    workload = Workload(name="f", image="i")
    kinds = [m["kind"] for m in job_manifests(workload, {"secrets": ["TOKEN"]})]
    assert kinds == ["Job"]


def test_values_of_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(WORKLOAD)


VOLUME = {"volume_type": "empty_dir", "name": "v", "mount_path": "/v"}
NODES = "required_during_scheduling_ignored_during_execution"


@pytest.mark.parametrize(
    ("make", "parameters", "path"),
    [
        pytest.param(serve_manifests, {"service_type": "NodePortt"}, "service_type"),
        pytest.param(serve_manifests, {"service_type": "ExternalName"}, "service_type"),
        pytest.param(serve_manifests, {"replicas": 0}, "replicas"),
        pytest.param(serve_manifests, {"replicas": True}, "replicas"),
        pytest.param(serve_manifests, {"schedule": "* * * * *"}, "schedule"),
        pytest.param(serve_manifests, {"autoscaling": 3}, "autoscaling"),
        pytest.param(serve_manifests, {"autoscaling": {}}, "autoscaling.max_replicas"),
        pytest.param(
            serve_manifests,
            {"autoscaling": {"max_replicas": 1}, "replicas": 2},
            "autoscaling.max_replicas",
        ),
        pytest.param(
            serve_manifests, {"autoscaling": {"max_replicas": 2}}, "resources.cpu.requests"
        ),
        pytest.param(job_manifests, {"replicas": 1}, "replicas"),
        pytest.param(job_manifests, {"unheard_of": 1}, "unheard_of"),
        pytest.param(job_manifests, {"backoff_limit": -1}, "backoff_limit"),
        pytest.param(job_manifests, {"schedule": "61 * * * *"}, "schedule"),
        pytest.param(job_manifests, {"profile": 1}, "profile"),
        pytest.param(job_manifests, {"runtime_class": "A_B"}, "runtime_class"),
        pytest.param(job_manifests, {"priority_class": ""}, "priority_class"),
        pytest.param(job_manifests, {"node_selector": {"a": "b"}}, "node_selector"),
        pytest.param(job_manifests, {"node_selector": ["a"]}, "node_selector[0]"),
        pytest.param(
            job_manifests, {"node_selector": [{"key": "a b", "value": ""}]}, "node_selector[0].key"
        ),
        pytest.param(
            job_manifests,
            {"node_selector": [{"key": "a", "value": "-"}]},
            "node_selector[0].value",
        ),
        pytest.param(
            job_manifests,
            {"node_selector": [{"key": "a", "value": "b"}] * 2},
            "node_selector[1].key",
        ),
        pytest.param(job_manifests, {"envs": {"A": "b"}}, "envs"),
        pytest.param(job_manifests, {"envs": [{"name": "1A", "value": "b"}]}, "envs[0].name"),
        pytest.param(job_manifests, {"envs": [{"name": "A", "value": 1}]}, "envs[0].value"),
        pytest.param(job_manifests, {"envs": [{"name": "A", "value": "1"}] * 2}, "envs[1].name"),
        pytest.param(job_manifests, {"envs": [{"name": "A", "val": "1"}]}, "envs[0].val"),
        pytest.param(job_manifests, {"secrets": "TOKEN"}, "secrets"),
        pytest.param(job_manifests, {"secrets": ["TOKEN", "TOKEN"]}, "secrets[1]"),
        pytest.param(job_manifests, {"secrets": ["A B"]}, "secrets[0]"),
        pytest.param(job_manifests, {"secrets": ["ABSENT"]}, "secret_values['ABSENT']"),
        pytest.param(
            job_manifests,
            {"secrets": ["TOKEN"], "envs": [{"name": "TOKEN", "value": ""}]},
            "secrets[0]",
        ),
        pytest.param(job_manifests, {"resources": [1]}, "resources"),
        pytest.param(job_manifests, {"resources": {"ram": {}}}, "resources.ram"),
        pytest.param(job_manifests, {"resources": {"cpu": "1"}}, "resources.cpu"),
        pytest.param(
            job_manifests, {"resources": {"cpu": {"requests": "abc"}}}, "resources.cpu.requests"
        ),
        pytest.param(
            job_manifests, {"resources": {"mem": {"limits": "1GiB"}}}, "resources.mem.limits"
        ),
        pytest.param(
            job_manifests,
            {"resources": {"mem": {"requests": "2Gi", "limits": "1000M"}}},
            "resources.mem.requests",
        ),
        pytest.param(
            job_manifests, {"resources": {"gpu": {"limits": "500m"}}}, "resources.gpu.limits"
        ),
        pytest.param(
            job_manifests, {"resources": {"gpu": {"requests": "1"}}}, "resources.gpu.limits"
        ),
        pytest.param(
            job_manifests,
            {"volumes": [VOLUME, {**VOLUME, "name": "w", "mount_path": "w"}]},
            "volumes[1].mount_path",
        ),
        pytest.param(
            job_manifests,
            {"volumes": [{**VOLUME, "mount_path": "/a/../b"}]},
            "volumes[0].mount_path",
        ),
        pytest.param(
            job_manifests, {"volumes": [{**VOLUME, "mount_path": "/tmp"}]}, "volumes[0].mount_path"
        ),
        pytest.param(job_manifests, {"volumes": [{**VOLUME, "name": "Not_A"}]}, "volumes[0].name"),
        pytest.param(
            job_manifests, {"volumes": [VOLUME, {**VOLUME, "name": "w"}]}, "volumes[1].mount_path"
        ),
        pytest.param(
            job_manifests, {"volumes": [VOLUME, {**VOLUME, "mount_path": "/w"}]}, "volumes[1].name"
        ),
        pytest.param(
            job_manifests,
            {"volumes": [{**VOLUME, "volume_type": "nfs"}]},
            "volumes[0].volume_type",
        ),
        pytest.param(
            job_manifests, {"volumes": [{**VOLUME, "spec": {"size": "1"}}]}, "volumes[0].spec.size"
        ),
        pytest.param(
            job_manifests,
            {"volumes": [{**VOLUME, "spec": {"size_limit": "x"}}]},
            "volumes[0].spec.size_limit",
        ),
        pytest.param(job_manifests, {"volumes": [{**VOLUME, "spec": 1}]}, "volumes[0].spec"),
        pytest.param(
            job_manifests, {"tolerations": [{"operator": "exists"}]}, "tolerations[0].operator"
        ),
        pytest.param(job_manifests, {"tolerations": [{"value": "a"}]}, "tolerations[0].key"),
        pytest.param(
            job_manifests,
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            "tolerations[0].value",
        ),
        pytest.param(
            job_manifests,
            {"tolerations": [{"key": "a", "effect": "Never"}]},
            "tolerations[0].effect",
        ),
        pytest.param(
            job_manifests,
            {"tolerations": [{"key": "a", "toleration_seconds": 1}]},
            "tolerations[0].toleration_seconds",
        ),
        pytest.param(job_manifests, {"affinity": []}, "affinity"),
        pytest.param(job_manifests, {"affinity": {"nodes": {}}}, "affinity.nodes"),
        pytest.param(
            job_manifests,
            {"affinity": {"node_affinity": {NODES: {}}}},
            f"affinity.node_affinity.{NODES}.node_selector_terms",
        ),
        pytest.param(
            job_manifests,
            {"affinity": {"pod_affinity": {NODES: [{}]}}},
            f"affinity.pod_affinity.{NODES}[0].topology_key",
        ),
    ],
)
def test_a_bad_value_is_refused_with_its_place(
    make: Make, parameters: dict[str, object], path: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        make(WORKLOAD, parameters)
    assert path in [problem.path for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": "Not_A_DNS Name"}, "name"),
        ({"name": "1a"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"image": "a b"}, "image"),
        ({"port": 70000}, "port"),
        ({"namespace": "a.b"}, "namespace"),
        ({"labels": {"a b": "c"}}, "labels['a b']"),
        ({"config": {"a/b": ""}}, "config['a/b']"),
        ({"config_path": "etc"}, "config_path"),
        ({"drain_seconds": -1}, "drain_seconds"),
    ],
)
def test_a_bad_workload_is_refused(changes: dict[str, Any], path: str) -> None:
    workload = Workload(**{"name": "f", "image": "i", **changes})
    with pytest.raises(ManifestError) as caught:
        serve_manifests(workload, {})
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_scheduled_job_has_a_shorter_name() -> None:
    workload = Workload(name="a" * 53, image="i")
    job_manifests(workload, {})
    with pytest.raises(ManifestError, match="at most 52"):
        job_manifests(workload, {"schedule": "@daily"})


def test_all_problems_are_in_one_error() -> None:
    bad = {
        "replicas": 0,
        "service_type": "x",
        "envs": [{"name": "", "value": 1}],
        "volumes": [VOLUME, {**VOLUME, "mount_path": "w"}],
    }
    with pytest.raises(ManifestError) as caught:
        serve_manifests(Workload(name="A", image="i"), bad)
    assert [problem.path for problem in caught.value.problems] == [
        "envs[0].name",
        "envs[0].value",
        "name",
        "replicas",
        "service_type",
        "volumes[1].mount_path",
        "volumes[1].name",
    ]


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "0 0 1 1 0", "*/15 0-6/2 1,15 JAN mon-fri", "@hourly", "5/10 * ? * *"],
)
def test_a_schedule_is_taken(schedule: str) -> None:
    job_manifests(WORKLOAD, {"schedule": schedule})


@pytest.mark.parametrize(
    "schedule",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 7", "*/0 * * * *", "5-1 * * * *", "a * * * *", "* * * * mon-", "@sometimes",
        "TZ=UTC * * * * *", "1,,2 * * * *", "* * * * fri-mon",
    ],
)  # fmt: skip
def test_a_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ManifestError, match="schedule"):
        job_manifests(WORKLOAD, {"schedule": schedule})


def changed(manifest: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return the manifest with another value at ``a.b.0.c``; None removes it."""
    tree = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    place: Any = tree
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return tree


POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


@pytest.mark.parametrize(
    ("kind", "path", "value", "found"),
    [
        pytest.param("Service", "spec.type", "NodePortt", "spec.type"),
        pytest.param("Service", "metadata.name", "1a", "metadata.name"),
        pytest.param("Service", "spec.ports.0.port", 0, "spec.ports[0].port"),
        pytest.param("Service", "spec.ports.0.targetPort", "-", "spec.ports[0].targetPort"),
        pytest.param("Service", "spec.ports.0.nodePort", 80, "spec.ports[0].nodePort"),
        pytest.param("Service", "spec.ports.0.protocol", "HTTP", "spec.ports[0].protocol"),
        pytest.param("Service", "spec.type", "ExternalName", "spec.externalName"),
        pytest.param("Deployment", "metadata.name", "Not_A_DNS Name", "metadata.name"),
        pytest.param("Deployment", "metadata.namespace", "A", "metadata.namespace"),
        pytest.param("Deployment", "metadata.labels", {"a": "b c"}, "metadata.labels['a']"),
        pytest.param("Deployment", "spec.replicas", -1, "spec.replicas"),
        pytest.param(
            "Deployment",
            "spec.selector.matchLabels",
            {"app": "other"},
            "spec.selector.matchLabels['app']",
        ),
        pytest.param("Deployment", f"{POD}.restartPolicy", "Never", f"{POD}.restartPolicy"),
        pytest.param("Job", f"{POD}.restartPolicy", "Always", f"{POD}.restartPolicy"),
        pytest.param("Job", f"{POD}.restartPolicy", None, f"{POD}.restartPolicy"),
        pytest.param("Job", "spec.completionMode", "Indexedd", "spec.completionMode"),
        pytest.param("Job", "spec.backoffLimit", -1, "spec.backoffLimit"),
        pytest.param("Job", f"{CONTAINER}.name", "A", f"{POD}.containers[0].name"),
        pytest.param("Job", f"{CONTAINER}.image", "", f"{POD}.containers[0].image"),
        pytest.param(
            "Job", f"{CONTAINER}.imagePullPolicy", "x", f"{POD}.containers[0].imagePullPolicy"
        ),
        pytest.param("Job", f"{CONTAINER}.env.0.name", "a b", f"{POD}.containers[0].env[0].name"),
        pytest.param(
            "Job",
            f"{CONTAINER}.resources",
            {"requests": {"cpu": "abc"}},
            f"{POD}.containers[0].resources.requests.cpu",
        ),
        pytest.param(
            "Job",
            f"{CONTAINER}.resources",
            {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}},
            f"{POD}.containers[0].resources.requests.cpu",
        ),
        pytest.param(
            "Job",
            f"{CONTAINER}.volumeMounts.0.name",
            "nowhere",
            f"{POD}.containers[0].volumeMounts[0].name",
        ),
        pytest.param(
            "Job",
            f"{CONTAINER}.volumeMounts.0.mountPath",
            "tmp",
            f"{POD}.containers[0].volumeMounts[0].mountPath",
        ),
        pytest.param("Job", f"{POD}.volumes.0.name", "A", f"{POD}.volumes[0].name"),
        pytest.param("Job", f"{POD}.nodeSelector", {"a b": ""}, f"{POD}.nodeSelector['a b']"),
        pytest.param(
            "Deployment",
            f"{CONTAINER}.ports.0.containerPort",
            70000,
            f"{POD}.containers[0].ports[0].containerPort",
        ),
        pytest.param(
            "Deployment",
            f"{CONTAINER}.livenessProbe.httpGet.port",
            "nowhere",
            f"{POD}.containers[0].livenessProbe.httpGet.port",
        ),
        pytest.param("CronJob", "spec.schedule", "every day", "spec.schedule"),
        pytest.param("CronJob", "spec.concurrencyPolicy", "No", "spec.concurrencyPolicy"),
        pytest.param("CronJob", "metadata.name", "a" * 53, "metadata.name"),
        pytest.param("HorizontalPodAutoscaler", "spec.maxReplicas", 1, "spec.maxReplicas"),
        pytest.param("ConfigMap", "data", {"a b": ""}, "data['a b']"),
        pytest.param("Secret", "data", {"a": "no base64!"}, "data['a']"),
        pytest.param(
            "PersistentVolumeClaim",
            "spec.resources.requests.storage",
            "big",
            "spec.resources.requests.storage",
        ),
    ],
)
def test_what_the_schemas_let_pass_is_found(
    kind: str, path: str, value: object, found: str
) -> None:
    manifests = [
        *job_manifests(WORKLOAD, JOB),
        *job_manifests(WORKLOAD, CRON),
        *serve_manifests(WORKLOAD, {"replicas": 1}),
        *serve_manifests(WORKLOAD, SERVE),
    ]
    bad = changed(next(m for m in manifests if m["kind"] == kind), path, value)
    validate(bad)  # so that the check is worth having
    assert found in [problem.path for problem in find_problems_in_manifest(bad)]
    with pytest.raises(ManifestError, match=kind):
        check_manifests([bad])


C0 = f"{POD}.containers[0]"
PROBE = f"{CONTAINER}.readinessProbe"
OTHER_NAME = {"key": "app.kubernetes.io/name", "operator": "In", "values": ["another"]}

# Where a value goes, and the place that is told.
MORE_THAT_IS_BAD: dict[str, tuple[str, str, object, str]] = {
    "expressions": ("Deployment", "spec.selector", {"matchExpressions": [OTHER_NAME]},
                    "spec.selector.matchExpressions[0]"),
    "operator": ("Deployment", "spec.selector",
                 {"matchExpressions": [{**OTHER_NAME, "operator": "Is"}]},
                 "spec.selector.matchExpressions[0].operator"),
    "values-of-exists": ("Deployment", "spec.selector",
                         {"matchExpressions": [{**OTHER_NAME, "operator": "Exists"}]},
                         "spec.selector.matchExpressions[0].values"),
    "empty-selector": ("Deployment", "spec.selector", {}, "spec.selector"),
    "annotation": ("Deployment", "metadata.annotations", {"a b": ""},
                   "metadata.annotations['a b']"),
    "strategy": ("Deployment", "spec.strategy", {"type": "Rolling"}, "spec.strategy.type"),
    "recreate": ("Deployment", "spec.strategy",
                 {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
                 "spec.strategy.rollingUpdate"),
    "no-containers": ("Deployment", f"{POD}.containers", [], f"{POD}.containers"),
    "dns-policy": ("Deployment", f"{POD}.dnsPolicy", "clusterFirst", f"{POD}.dnsPolicy"),
    "account": ("Deployment", f"{POD}.serviceAccountName", "A_b", f"{POD}.serviceAccountName"),
    "grace": ("Job", f"{POD}.terminationGracePeriodSeconds", -1,
              f"{POD}.terminationGracePeriodSeconds"),
    "effect": ("Job", f"{POD}.tolerations", [{"key": "a", "operator": "Exists", "effect": "No"}],
               f"{POD}.tolerations[0].effect"),
    "two-sources": ("Job", f"{POD}.volumes.0",
                    {"name": "config", "emptyDir": {}, "configMap": {"name": "f-0"}},
                    f"{POD}.volumes[0]"),
    "mode": ("Job", f"{POD}.volumes.0", {"name": "config", "secret": {"defaultMode": 1000}},
             f"{POD}.volumes[0].secret.defaultMode"),
    "medium": ("Job", f"{POD}.volumes.0", {"name": "config", "emptyDir": {"medium": "RAM"}},
               f"{POD}.volumes[0].emptyDir.medium"),
    "sub-path": ("Job", f"{CONTAINER}.volumeMounts.0.subPath", "../a",
                 f"{C0}.volumeMounts[0].subPath"),
    "root": ("Job", f"{CONTAINER}.securityContext", {"runAsNonRoot": True, "runAsUser": 0},
             f"{C0}.securityContext.runAsUser"),
    "privileged": ("Job", f"{CONTAINER}.securityContext",
                   {"privileged": True, "allowPrivilegeEscalation": False},
                   f"{C0}.securityContext.allowPrivilegeEscalation"),
    "host-port": ("Deployment", f"{CONTAINER}.ports.0.hostPort", 65536, f"{C0}.ports[0].hostPort"),
    "two-ports": ("Deployment", f"{CONTAINER}.ports",
                  [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}],
                  f"{C0}.ports[1].name"),
    "period": ("Deployment", f"{PROBE}.periodSeconds", 0, f"{C0}.readinessProbe.periodSeconds"),
    "scheme": ("Deployment", f"{PROBE}.httpGet.scheme", "https",
               f"{C0}.readinessProbe.httpGet.scheme"),
    "two-ways": ("Deployment", f"{PROBE}.tcpSocket", {"port": 80}, f"{C0}.readinessProbe"),
    "no-way": ("Deployment", PROBE, {"periodSeconds": 1}, f"{C0}.readinessProbe"),
    "liveness": ("Deployment", f"{CONTAINER}.livenessProbe.successThreshold", 2,
                 f"{C0}.livenessProbe.successThreshold"),
    "value-twice": ("Job", f"{CONTAINER}.env.0.valueFrom",
                    {"fieldRef": {"fieldPath": "metadata.name"}}, f"{C0}.env[0].valueFrom"),
    "no-source": ("Job", f"{CONTAINER}.env.0", {"name": "A", "valueFrom": {}},
                  f"{C0}.env[0].valueFrom"),
    "resource": ("Job", f"{CONTAINER}.resources", {"limits": {"cpus": "1"}},
                 f"{C0}.resources.limits.cpus"),
    "negative": ("Job", f"{CONTAINER}.resources", {"limits": {"cpu": -1}},
                 f"{C0}.resources.limits.cpu"),
    "long-job": ("Job", "metadata.name", "a" * 64, "metadata.name"),
    "per-index": ("Job", "spec.backoffLimitPerIndex", 1, "spec.backoffLimitPerIndex"),
    "time-to-live": ("Job", "spec.ttlSecondsAfterFinished", -1, "spec.ttlSecondsAfterFinished"),
    "history": ("CronJob", "spec.failedJobsHistoryLimit", -1, "spec.failedJobsHistoryLimit"),
    "deep": ("CronJob", "spec.jobTemplate.spec.completionMode", "indexed",
             "spec.jobTemplate.spec.completionMode"),
    "affinity": ("Service", "spec.sessionAffinity", "client", "spec.sessionAffinity"),
    "no-ports": ("Service", "spec.ports", [], "spec.ports"),
    "same-port": ("Service", "spec.ports",
                  [{"name": "a", "port": 1}, {"name": "b", "port": 1, "protocol": "TCP"}],
                  "spec.ports[1].port"),
    "selector": ("Service", "spec.selector", {"a": "b c"}, "spec.selector['a']"),
    "true-port": ("Service", "spec.ports.0.nodePort", 32768, "spec.ports[0].nodePort"),
    "metric": ("HorizontalPodAutoscaler", "spec.metrics.0.resource.target.type", "Percent",
               "spec.metrics[0].resource.target.type"),
    "access": ("PersistentVolumeClaim", "spec.accessModes", ["ReadWrite"], "spec.accessModes[0]"),
    "no-access": ("PersistentVolumeClaim", "spec.accessModes", [], "spec.accessModes"),
}  # fmt: skip


def every_kind() -> dict[str, dict[str, Any]]:
    made = [
        *job_manifests(WORKLOAD, CRON),
        *serve_manifests(WORKLOAD, SERVE),
        *job_manifests(WORKLOAD, JOB),
    ]
    return {str(manifest["kind"]): manifest for manifest in made}


@pytest.mark.parametrize("name", MORE_THAT_IS_BAD)
def test_what_a_server_refuses_is_found(name: str) -> None:
    kind, path, value, found = MORE_THAT_IS_BAD[name]
    bad = changed(every_kind()[kind], path, value)
    validate(bad)  # so that the check is worth having
    assert found in [problem.path for problem in find_problems_in_manifest(bad)]


GOOD: dict[str, tuple[str, str, object]] = {
    "float": ("Job", f"{CONTAINER}.resources", {"limits": {"cpu": 0.5, "memory": 1 << 30}}),
    "huge-pages": ("Job", f"{CONTAINER}.resources", {"limits": {"hugepages-2Mi": "4Mi"}}),
    "gpu": ("Job", f"{CONTAINER}.resources", {"limits": {"nvidia.com/gpu": 1}}),
    "volume-of-nothing": ("Job", f"{POD}.volumes.0", {"name": "of-nothing"}),
    "no-probe": ("Deployment", PROBE, {"exec": {"command": ["true"]}, "successThreshold": 2}),
    "exists": (
        "Deployment",
        "spec.selector",
        {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "Exists"}]},
    ),
    "headless": ("Service", "spec", {"clusterIP": "None", "selector": {"a": "b"}}),
    "every": ("CronJob", "spec.schedule", "@every 1h30m"),
    "recreate": ("Deployment", "spec.strategy", {"type": "Recreate"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_a_server_takes_passes(name: str) -> None:
    kind, path, value = GOOD[name]
    good = changed(every_kind()[kind], path, value)
    validate(good)
    found = [problem.path for problem in find_problems_in_manifest(good)]
    mounts = f"{C0}.volumeMounts"
    assert [place for place in found if not place.startswith(mounts)] == []


def test_the_pods_of_an_indexed_job_are_hosts() -> None:
    job = every_kind()["Job"]
    job["spec"].update(completionMode="Indexed", completions=11)
    assert list(find_problems_in_manifest(job)) == []
    for name in ("a" * 61, "a.b"):
        bad = changed(job, "metadata.name", name)
        assert [p.path for p in find_problems_in_manifest(bad)] == ["metadata.name"]


def test_an_indexed_job_says_how_many() -> None:
    job = job_manifests(WORKLOAD, {})[-1]
    bad = changed(changed(job, "spec.completionMode", "Indexed"), "spec.completions", None)
    assert [p.path for p in find_problems_in_manifest(bad)] == ["spec.completions"]


def test_a_bad_secret_is_not_shown() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a"},
        "data": {"a": "s3cret!"},
    }
    with pytest.raises(ManifestError) as caught:
        check_manifests([manifest])
    assert "s3cret" not in str(caught.value)


def test_manifests_are_written_in_the_order_to_apply(tmp_path: Path) -> None:
    manifests = serve_manifests(WORKLOAD, SERVE)
    paths = write_manifests(manifests, tmp_path / "out")
    assert [path.name for path in paths] == [
        "01-configmap.yaml",
        "02-secret.yaml",
        "03-persistentvolumeclaim.yaml",
        "04-deployment.yaml",
        "05-service.yaml",
        "06-horizontalpodautoscaler.yaml",
    ]
    assert [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths] == manifests
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    assert write_manifests(manifests, tmp_path / "out") == paths
