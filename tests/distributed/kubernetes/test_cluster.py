"""Manifests at a server of the Kubernetes API, by the official client and by kubectl."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import kubernetes_validate
import pytest
import yaml
from kmock import KubernetesError, headers
from kubernetes.client import ApiClient, Configuration

from pyfunc.deploy.kubernetes import ManifestError
from pyfunc.distributed.kubernetes import (
    ClusterError,
    batch_manifests,
    delete,
    kserve_manifests,
    logs,
    serve_manifests,
    status,
    submit,
)

if TYPE_CHECKING:
    from tests.distributed.kubernetes.conftest import ApiServer

IMAGE = "registry.example/iris:1"
CLAIM = {
    "volume_type": "persistent_volume_claim",
    "name": "data",
    "mount_path": "/data",
    "spec": {"size": "1Gi"},
}
SERVE = serve_manifests(IMAGE, "iris", namespace="models")
BATCH = batch_manifests(
    IMAGE,
    "score",
    "/data/big.parquet",
    "/data/part-{shard}.parquet",
    {"volumes": [CLAIM]},
    shards=3,
    namespace="models",
)
NIGHTLY = batch_manifests(
    IMAGE,
    "nightly",
    "/data/big.parquet",
    "/data/part-{shard}.parquet",
    {"volumes": [CLAIM], "schedule": "30 2 * * *"},
    shards=3,
    namespace="models",
)
KSERVE = kserve_manifests(IMAGE, "iris-kserve", {"replicas": 1}, namespace="models")
ALL = [
    pytest.param(SERVE, id="serve"),
    pytest.param(BATCH, id="batch"),
    pytest.param(NIGHTLY, id="nightly"),
    pytest.param(KSERVE, id="kserve"),
]
Manifests = Sequence[dict[str, object]]


def name_of(manifest: dict[str, object]) -> str:
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    return f"{manifest['kind']}/{metadata['name']}"


@pytest.mark.parametrize("manifests", ALL)
def test_kubectl_applies_what_the_schemas_take(
    manifests: Manifests, kubeconfig: Path, client: ApiClient, tmp_path: Path
) -> None:
    for manifest in manifests:
        for version in ("1.30", "1.37") if manifest["kind"] != "InferenceService" else ():
            kubernetes_validate.validate(manifest, version, strict=True)
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    kubectl = shutil.which("kubectl")
    assert kubectl is not None
    command = [kubectl, "--kubeconfig", str(kubeconfig), "apply", "--validate=false", "-f"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(manifests)
    assert "absent" not in {found.state for found in status(manifests, client=client)}


@pytest.mark.parametrize("manifests", ALL)
def test_what_is_submitted_is_there_until_it_is_deleted(
    manifests: Manifests, client: ApiClient
) -> None:
    names = [name_of(manifest) for manifest in manifests]
    assert {found.state for found in status(manifests, client=client)} == {"absent"}
    submit(manifests, client=client)
    there = status(manifests, client=client)
    assert [f"{found.kind}/{found.name}" for found in there] == names
    assert "absent" not in {found.state for found in there}
    assert delete(manifests, client=client) == len(manifests)
    assert {found.state for found in status(manifests, client=client)} == {"absent"}
    assert delete(manifests, client=client) == 0


def test_what_is_there_already_is_changed(server: ApiServer, client: ApiClient) -> None:
    submit(SERVE, client=client)
    submit(serve_manifests("registry.example/iris:2", "iris", namespace="models"), client=client)
    asked = [method for method, path in server.requests() if "/deployments" in path]
    assert asked == ["POST", "POST", "PATCH"]
    stored = server.handler.objects["apps/v1/deployments", "models", "iris"].raw
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")


def test_a_job_that_is_there_is_not_changed(client: ApiClient) -> None:
    submit(BATCH[-1:], client=client)
    with pytest.raises(ClusterError, match="Job/score in models is there already") as caught:
        submit(BATCH[-1:], client=client)
    assert caught.value.status == 409


def test_nothing_is_sent_if_one_of_them_is_bad(server: ApiServer, client: ApiClient) -> None:
    bad = [{**manifest, "metadata": {"name": "Not_A_Name"}} for manifest in SERVE[:2]]
    with pytest.raises(ManifestError) as caught:
        submit([*SERVE, *bad], client=client)
    assert len(caught.value.problems) == 2
    assert server.requests() == []


def test_a_manifest_without_a_namespace_goes_where_it_is_told(
    server: ApiServer, client: ApiClient
) -> None:
    submit(serve_manifests(IMAGE, "iris"), namespace="elsewhere", client=client)
    assert {path.split("/namespaces/")[1].split("/")[0] for _, path in server.requests()} == {
        "elsewhere"
    }


SUBMIT = """
from pyfunc.distributed.kubernetes import serve_manifests, status, submit
manifests = serve_manifests("registry.example/iris:1", "iris")
submit(manifests)
print(len(status(manifests)))
"""


def test_the_context_says_the_namespace_and_the_server(
    server: ApiServer, kubeconfig: Path
) -> None:
    command = [sys.executable, "-c", SUBMIT]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"
    assert all("/namespaces/models/" in path for _, path in server.requests())


def test_without_a_configuration_it_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUBMIT]
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "ClusterError: no cluster is configured" in done.stderr


CONDITION = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}


@pytest.mark.parametrize(
    ("place", "told", "expected"),
    [
        pytest.param(
            "job", {"active": 2, "succeeded": 1}, ("running", "1 of 3 done"), id="active"
        ),
        pytest.param(
            "job",
            {"succeeded": 3, "conditions": [{"type": "Complete", "status": "True"}]},
            ("done", "3 of 3 done"),
            id="complete",
        ),
        pytest.param(
            "job",
            {"failed": 7, "conditions": [CONDITION]},
            ("failed", "BackoffLimit"),
            id="failed",
        ),
        pytest.param("deployment", {"readyReplicas": 2}, ("running", "2 of 2 ready"), id="ready"),
        pytest.param("deployment", {"readyReplicas": 1}, ("waiting", "1 of 2 ready"), id="half"),
    ],
)
def test_the_state_is_what_the_status_says(
    server: ApiServer,
    client: ApiClient,
    place: str,
    told: dict[str, object],
    expected: tuple[str, str],
) -> None:
    # Where none is to be added there is no autoscaler, and the Deployment says how many.
    alone = {"autoscaling": {"max_replicas": 2}, "replicas": 2}
    manifests = {
        "job": BATCH[-1:],
        "deployment": serve_manifests(IMAGE, "iris", alone, namespace="models")[:1],
    }[place]
    submit(manifests, client=client)
    group = {"job": "batch/v1/jobs", "deployment": "apps/v1/deployments"}[place]
    name = name_of(manifests[0]).partition("/")[2]
    server.handler.objects[group, "models", name].patch({"status": told})
    (found,) = status(manifests, client=client)
    assert found.state == expected[0]
    assert expected[1] in found.told


def test_logs_are_those_of_the_pods_by_their_label(server: ApiServer, client: ApiClient) -> None:
    submit(BATCH, client=client)
    for name in ("score-0", "score-1"):
        pod = {"metadata": {"name": name, "namespace": "models"}}
        server.handler.objects["v1/pods", "models", name] = pod
    log = server.handler["get /api/v1/namespaces/models/pods/score-0/log"]
    log << headers({"Content-Type": "text/plain"}) << b"done\n"
    # What a real server says of a container that has not started.
    waiting = KubernetesError(400, "BadRequest", "container is waiting to start")
    server.handler["get /api/v1/namespaces/models/pods/score-1/log"] << waiting
    found = logs(BATCH, client=client, lines=5)
    assert found == {"score-0": "done\n", "score-1": ""}
    asked = [path for method, path in server.requests() if "/pods" in path]
    assert "labelSelector=app.kubernetes.io/name%3Dscore" in asked[0].replace("%2F", "/")
    assert "tailLines=5" in asked[1]


def test_a_cluster_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nothing listens
        configuration = Configuration(host=f"http://127.0.0.1:{held.getsockname()[1]}")
        configuration.retries = False
        with pytest.raises(ClusterError, match="cannot be reached") as caught:
            submit(SERVE, client=ApiClient(configuration))
    assert caught.value.status is None


def test_a_kind_that_the_cluster_has_not_is_named(server: ApiServer, client: ApiClient) -> None:
    del server.handler.resources["serving.kserve.io/v1beta1/inferenceservices"]
    with pytest.raises(
        ClusterError, match=r"InferenceService/iris-kserve in models.*no such kind"
    ):
        submit(KSERVE, client=client)


def test_what_the_server_refuses_is_told_with_its_name(
    server: ApiServer, client: ApiClient
) -> None:
    refused = KubernetesError(403, "Forbidden", "services is forbidden")
    server.handler["post /api/v1/namespaces/models/services"] << refused
    with pytest.raises(
        ClusterError, match=r"Service/iris in models: .*403.*is forbidden"
    ) as caught:
        submit(SERVE, client=client)
    assert caught.value.status == 403
