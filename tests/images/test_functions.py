"""Functions in images: built for real by podman and buildah, their jobs run in containers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc.functions as dh
from tests.images.conftest import (
    ENGINES,
    ask,
    define,
    free_port,
    is_answered,
    played,
    podman,
    removed,
    wait_until,
    wait_until_answered,
)

pytestmark = pytest.mark.parametrize("project", ENGINES, indirect=True)


def test_the_function_names_an_image_that_is_there(project: dh.Project, image: str) -> None:
    [found] = json.loads(podman("image", "inspect", image))
    assert found["Config"]["User"] == "10001:10001"
    assert found["Config"]["WorkingDir"] == "/shared"
    assert "/-/ready" in found["Healthcheck"]["Test"][-1]
    run = podman("run", "--rm", "--entrypoint", "sh", image, "-c", 'git --version; echo "$A"')
    assert run.startswith("git version")
    assert run.endswith("in the image: $HOME \"'\\ \n")


def test_a_job_runs_in_the_image(project: dh.Project, image: str) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})
    dataitem = project.log_dataitem("rows", data=frame)
    run = define(project, "function", image).run(
        action="job",
        env="container",
        inputs={"di": dataitem.key},
        parameters={"param1": "some value"},
    )
    assert run.status.state == "COMPLETED"
    data = run.output("data")
    assert isinstance(data, dh.Dataitem)
    assert data.as_df().equals(frame * 2)
    assert run.result("number") == 3
    assert [item["type"] for item in data.relationships] == ["produced_by"]
    thing = run.output("thing")
    assert isinstance(thing, dh.Artifact)
    assert "it runs in an image" in "\n".join(run.logs())
    assert run.status.container["name"] == f"pyfunc-{run.id}"
    assert (run.path / "log.txt").stat().st_uid == os.getuid()


def test_a_container_gets_variables_and_secrets(project: dh.Project, image: str) -> None:
    project.new_secret("TOKEN", "hush")
    run = define(project, "told", image).run(
        env="container", envs=[{"name": "A", "value": "b"}], secrets=["TOKEN"]
    )
    git, variable, length, run_id, _ = run.results().values()
    assert str(git).startswith("git version")
    assert (variable, length, run_id) == ("b", 4, run.id)
    assert "hush" not in run.path.joinpath("entity.json").read_text() + "\n".join(run.logs())


def test_the_image_serves_by_itself(project: dh.Project, image: str) -> None:
    # The container is in the network of this machine: it may only listen where nobody else does.
    plan = json.loads(
        podman("run", "--rm", "--entrypoint", "cat", image, "/opt/pyfunc/function.json")
    )
    assert (plan["host"], plan["port"], plan["function"]) == ("0.0.0.0", 8080, "main:function")
    port = free_port()
    plan |= {"host": "127.0.0.1", "port": port, "function": "main:serve"}
    path = project.path / "plan.json"
    path.write_text(json.dumps(plan))
    command = ["run", "--detach", "--volume", f"{path}:/plan.json:ro", image]
    name = podman(*command, "pyfunc.functions.server", "/plan.json").strip()
    with removed(name):
        wait_until_answered(f"http://127.0.0.1:{port}/-/ready", name)
        assert json.loads(ask(f"http://127.0.0.1:{port}/x", b'{"a": 1}')) == {"got": {"a": 1}}
        podman("kill", "--signal", "TERM", name)
        assert podman("wait", name).strip() == "0"


def test_the_manifests_of_a_service_are_played(
    project: dh.Project, image: str, tmp_path: Path
) -> None:
    port = free_port()
    run = define(project, "serve", image).run(
        "serve", local_execution=False, port=port, workers=1,
        envs=[{"name": "B", "value": "c"}],
        volumes=[{"volume_type": "empty_dir", "name": "scratch", "mount_path": "/scratch"}],
    )  # fmt: skip
    assert run.status.state == "BUILT"
    kept = [item for item in run.to_manifests() if item["kind"] in ("ConfigMap", "Deployment")]
    with played(kept, tmp_path):
        wait_until(lambda: is_answered(f"http://127.0.0.1:{port}/-/ready"))
        assert json.loads(ask(f"http://127.0.0.1:{port}/", b'{"a": 1}')) == {"got": {"a": 1}}


def test_the_pods_of_a_job_are_played(project: dh.Project, image: str, tmp_path: Path) -> None:
    # podman knows no Job: the pod of its template is played.
    run = define(project, "told", image).run(
        "job",
        local_execution=False,
        envs=[{"name": "A", "value": "b"}, {"name": "TOKEN", "value": "x"}],
    )
    config, job = run.to_manifests()
    assert (config["kind"], job["kind"]) == ("ConfigMap", "Job")
    spec: Any = job["spec"]
    template = spec["template"]
    metadata = {**template["metadata"], "name": "a-pod"}
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}
    with played([config, pod], tmp_path):
        name = "a-pod-function"
        assert podman("wait", name).strip() == "0"
        found = json.loads(podman("logs", name).splitlines()[-1])
    assert found["run"] == run.key
    assert [*found["results"].values()][1:] == ["b", 1, run.id, 10001]
