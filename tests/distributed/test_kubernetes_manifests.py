"""What runs the image of a model in a cluster, judged by Kubernetes' schemas and by our checks."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from pyfunc.cli.app import app
from pyfunc.deploy.kubernetes import ManifestError, check_manifests, find_problems_in_manifest
from pyfunc.distributed.batch.shards import parse_shard
from pyfunc.distributed.kubernetes import batch_manifests, kserve_manifests, serve_manifests

IMAGE = "registry.example/iris:1"
IN, OUT = "/data/big.parquet", "/data/part-{shard}.parquet"
CLAIM = {"volume_type": "persistent_volume_claim", "name": "data", "mount_path": "/data"}
ON_DISK = {"volumes": [CLAIM]}
Manifest = dict[str, Any]


def validate(manifest: Manifest) -> None:
    for version in ("1.30", "1.37"):
        kubernetes_validate.validate(manifest, version, strict=True)


def by_kind(manifests: list[dict[str, object]]) -> dict[str, Manifest]:
    return {str(manifest["kind"]): manifest for manifest in manifests}


SCRATCH = {"volume_type": "empty_dir", "name": "scratch", "mount_path": "/scratch"}


@pytest.mark.parametrize(
    ("parameters", "kinds"),
    [
        pytest.param({}, ["HorizontalPodAutoscaler"], id="bare"),
        pytest.param({"replicas": 1, "autoscaling": {"max_replicas": 1}}, [], id="no-more"),
        pytest.param({"resources": {"cpu": {"limits": "1"}}}, [], id="no-cpu-asked-for"),
        pytest.param(
            {"replicas": 3, "volumes": [SCRATCH], "secrets": ["TOKEN"], "envs": []},
            ["HorizontalPodAutoscaler"],
            id="more",
        ),
    ],
)
def test_a_service_has_all_that_it_needs(parameters: Manifest, kinds: list[str]) -> None:
    before = copy.deepcopy(parameters)
    made = serve_manifests(IMAGE, "iris", parameters, namespace="models", port=9000)
    assert parameters == before
    assert [m["kind"] for m in made] == ["Deployment", "Service", *kinds, "PodDisruptionBudget"]
    for manifest in made:
        validate(manifest)
    found = by_kind(made)
    spec = found["Deployment"]["spec"]
    # An autoscaler has the number of pods; without one the Deployment has it.
    assert ("replicas" in spec) is not bool(kinds)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert container["resources"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/ping", "port": "http"}
    assert container["ports"][0]["containerPort"] == 9000
    labels = spec["template"]["metadata"]["labels"]
    selectors = (
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    )
    for selector in selectors:
        assert selector.items() <= labels.items()


@pytest.mark.parametrize("schedule", [None, "30 2 * * *"])
@pytest.mark.parametrize(
    ("shards", "parallelism", "at_once"), [(1, None, 1), (3, 2, 2), (3, 9, 3)]
)
def test_a_job_has_a_pod_for_each_share(
    schedule: str | None,
    shards: int,
    parallelism: int | None,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {**ON_DISK, "schedule": schedule}
    (made,) = batch_manifests(
        IMAGE, "score", IN, OUT, given, shards=shards, parallelism=parallelism
    )
    validate(made)
    spec: Any = made["spec"] if schedule is None else made["spec"]["jobTemplate"]["spec"]  # type: ignore[index]
    assert spec["completionMode"] == "Indexed"
    assert (spec["completions"], spec["parallelism"]) == (shards, at_once)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    # What the pods are told has to be what the command reads.
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    monkeypatch.setenv("JOB_COMPLETION_INDEX", str(shards - 1))
    shard = parse_shard(container["args"][container["args"].index("--shard") + 1])
    assert (shard.index, shard.count) == (shards - 1, shards)
    assert container["args"][:4] == ["-i", IN, "-o", OUT]
    assert "predict" in container["command"]


def test_a_service_of_kserve_runs_the_image_and_no_more_than_knative_takes() -> None:
    made = kserve_manifests(
        IMAGE,
        "iris",
        {"volumes": [{**CLAIM, "spec": {"size": "1Gi"}}]},
        deployment_mode="Standard",
    )
    assert [m["kind"] for m in made] == ["PersistentVolumeClaim", "InferenceService"]
    service: Manifest = made[-1]
    mode = service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
    assert mode == "Standard"
    predictor = service["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert (container["name"], container["image"]) == ("kserve-container", IMAGE)
    assert container["securityContext"]["runAsUser"] == 10001
    assert {"securityContext", "restartPolicy"}.isdisjoint(predictor)
    # No schema of KServe is at hand; the pod in it is one of Kubernetes.
    own = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget")
    pod = {name: value for name, value in predictor.items() if name not in own}
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod})


def changed(manifest: Manifest, path: str, value: object) -> Manifest:
    tree = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    place: Any = tree
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return tree


@pytest.mark.parametrize(
    ("kind", "path", "value", "found"),
    [
        pytest.param("PodDisruptionBudget", "spec.minAvailable", 1, "spec", id="both"),
        pytest.param("PodDisruptionBudget", "spec.maxUnavailable", None, "spec", id="neither"),
        pytest.param(
            "PodDisruptionBudget", "spec.maxUnavailable", "half", "spec.maxUnavailable", id="half"
        ),
        pytest.param(
            "PodDisruptionBudget", "spec.maxUnavailable", "101%", "spec.maxUnavailable", id="101"
        ),
        pytest.param(
            "PodDisruptionBudget",
            "spec.selector",
            {},
            "spec.selector.matchLabels",
            id="selects-all",
        ),
        pytest.param("InferenceService", "metadata.name", "1a", "metadata.name", id="name"),
        pytest.param(
            "InferenceService",
            "spec.predictor.containers.0.name",
            "model",
            "spec.predictor.containers",
            id="container",
        ),
        pytest.param(
            "InferenceService",
            "spec.predictor.maxReplicas",
            1,
            "spec.predictor.maxReplicas",
            id="fewer-than-least",
        ),
        pytest.param(
            "InferenceService",
            "spec.predictor.containers.0.resources",
            {"requests": {"cpu": "abc"}},
            "spec.predictor.containers[0].resources.requests.cpu",
            id="cpu",
        ),
        pytest.param(
            "InferenceService",
            "spec.predictor.containers.0.volumeMounts.0.name",
            "nowhere",
            "spec.predictor.containers[0].volumeMounts[0].name",
            id="mount",
        ),
    ],
)
def test_what_no_schema_holds_is_found(kind: str, path: str, value: object, found: str) -> None:
    made = [*serve_manifests(IMAGE, "iris"), *kserve_manifests(IMAGE, "iris")]
    bad = changed(by_kind(made)[kind], path, value)
    if kind != "InferenceService":
        validate(bad)  # so that the check is worth having
    assert found in [problem.path for problem in find_problems_in_manifest(bad)]
    with pytest.raises(ManifestError, match=kind):
        check_manifests([bad])


def test_all_that_is_wrong_is_in_one_error() -> None:
    with pytest.raises(ManifestError) as caught:
        batch_manifests(
            "Bad Image!",
            "Not_A_Name",
            "data.csv",
            "/tmp/out.parquet",
            {"envs": [{"name": "1x", "value": "y"}]},
            shards=0,
            parallelism=0,
        )
    assert {problem.path for problem in caught.value.problems} == {
        "envs[0].name",
        "image",
        "input_path",
        "name",
        "output_path",
        "parallelism",
        "shards",
    }


@pytest.mark.parametrize(
    ("target", "volumes"),
    [
        pytest.param("/data/x-{shard}.parquet", [], id="no-volume"),
        pytest.param("/scratch/x-{shard}.parquet", [SCRATCH], id="goes-with-the-pod"),
        pytest.param("/data/x.parquet", [CLAIM], id="one-file-for-all"),
        pytest.param("/data/x-{shard}.csv", [CLAIM], id="no-parquet"),
        pytest.param("/data/../x-{shard}.parquet", [CLAIM], id="leads-away"),
        pytest.param("/data-2/x-{shard}.parquet", [CLAIM], id="begins-alike"),
    ],
)
def test_an_output_that_would_be_lost_is_refused(target: str, volumes: list[Manifest]) -> None:
    with pytest.raises(ManifestError, match="output_path"):
        batch_manifests(IMAGE, "score", IN, target, {"volumes": volumes}, shards=3)


BAD: dict[str, tuple[Any, str]] = {
    "more-than-32-bits": ({"replicas": 1 << 31}, "replicas"),
    "negative": ({"replicas": -1}, "replicas"),
    "unknown": ({"replicas": 2, "autoscaling": {"max_replicas": 2, "x": 1}}, "autoscaling.x"),
    "percent": (
        {"autoscaling": {"max_replicas": 2, "cpu_percent": "x"}},
        "autoscaling.cpu_percent",
    ),
    "text": ("replicas", "parameters"),
    "list": ([1], "parameters"),
}


@pytest.mark.parametrize("make", [serve_manifests, kserve_manifests])
@pytest.mark.parametrize("name", BAD)
def test_each_bad_parameter_is_named_alone(make: Any, name: str) -> None:
    parameters, path = BAD[name]
    with pytest.raises(ManifestError) as caught:
        make(IMAGE, "iris", parameters)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("labels", [5, ["a"], "a=b"])
def test_labels_are_an_object(labels: Any) -> None:
    with pytest.raises(ManifestError, match="labels: expected an object"):
        serve_manifests(IMAGE, "iris", labels=labels)


def test_an_indexed_job_has_a_bound() -> None:
    many: Any = {"shards": 200_000}
    validate(batch_manifests(IMAGE, "score", IN, OUT, ON_DISK, parallelism=100_000, **many)[0])
    with pytest.raises(ManifestError, match=r"spec\.parallelism: expected at most 100000"):
        batch_manifests(IMAGE, "score", IN, OUT, ON_DISK, **many)


def test_kserve_takes_no_type_of_service() -> None:
    mode: Any = "raw"
    with pytest.raises(ManifestError) as caught:
        kserve_manifests(IMAGE, "i", {"service_type": "NodePort"}, deployment_mode=mode)
    assert [p.path for p in caught.value.problems] == ["deployment_mode", "service_type"]


@pytest.mark.parametrize(
    ("words", "made"),
    [
        pytest.param(["serve", IMAGE, "-n", "iris"], serve_manifests(IMAGE, "iris"), id="serve"),
        pytest.param(["kserve", IMAGE, "-n", "i"], kserve_manifests(IMAGE, "i"), id="kserve"),
        pytest.param(
            ["batch", IMAGE, "-n", "s", "-i", IN, "-o", OUT, "--shards", "3",
             "--parameters", '{"volumes": [{"volume_type": "persistent_volume_claim", '
             '"name": "data", "mount_path": "/data"}]}'],
            batch_manifests(IMAGE, "s", IN, OUT, ON_DISK, shards=3),
            id="batch",
        ),
    ],
)  # fmt: skip
def test_the_command_prints_them_as_yaml(words: list[str], made: list[Manifest]) -> None:
    done = CliRunner().invoke(app, ["kubernetes", *words])
    assert list(yaml.safe_load_all(done.stdout)) == made
    assert "&id" not in done.stdout


@pytest.mark.parametrize("parameters", ["{", "[]", "1"])
def test_parameters_that_are_no_object_are_wrong_usage(parameters: str) -> None:
    done = CliRunner().invoke(app, ["kubernetes", "serve", IMAGE, "--parameters", parameters])
    assert done.exit_code == 2
    assert "--parameters: expected a JSON object" in done.stderr
