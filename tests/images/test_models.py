"""Images of models: built for real by podman and buildah, and asked."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.deploy.kubernetes.findings import as_tree
from pyfunc.distributed.kubernetes import batch_manifests, serve_manifests
from tests.images.conftest import (
    BASE,
    ENGINES,
    ask,
    free_port,
    is_answered,
    played,
    podman,
    wait_until,
    wait_until_answered,
)

SCRIPT = """
import pyfunc


class Doubling(pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input["a"] * 2


pyfunc.set_model(Doubling())
"""


def build(model: Path, context: Path, name: str, engine: str, port: int) -> None:
    options = ["-d", str(context), "--build", "--name", name, "--engine", engine]
    command = [sys.executable, "-m", "pyfunc", "dockerfile", str(model), *options]
    subprocess.run([*command, "--base-image", BASE, "--port", str(port)], check=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_image_of_a_model_answers(engine: str, tmp_path: Path) -> None:
    model, name = tmp_path / "model", f"localhost/model-{engine}:1"
    (tmp_path / "script.py").write_text(SCRIPT)
    example = pd.DataFrame({"a": [1.0]})
    pyfunc.save_model(model, python_model=str(tmp_path / "script.py"), input_example=example)
    port = free_port()
    build(model, tmp_path / "context", name, engine, port)
    [found] = json.loads(podman("image", "inspect", name))
    assert "/ping" in found["Healthcheck"]["Test"][-1]
    container = podman("run", "--detach", name).strip()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_answered(f"{url}/ping", container)
        answer = ask(
            f"{url}/invocations", b'{"dataframe_split": {"columns": ["a"], "data": [[1.5], [2]]}}'
        )
        assert json.loads(answer)["predictions"] == [{"a": 3.0}, {"a": 4.0}]
        podman("kill", "--signal", "TERM", container)
        assert podman("wait", container).strip() == "0"
    finally:
        podman("rm", "--force", "--time", "0", container)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """Return a model that reads parquet, the name of its image, and the port that it serves."""
    folder, name, port = (
        tmp_path_factory.mktemp("built"),
        "localhost/model-of-shards:1",
        free_port(),
    )
    (folder / "script.py").write_text(SCRIPT)
    pyfunc.save_model(
        folder / "model",
        python_model=str(folder / "script.py"),
        input_example=pd.DataFrame({"a": [1.0]}),
        pip_requirements=["pandas", "pyarrow"],
    )
    build(folder / "model", folder / "context", name, "podman", port)
    return folder / "model", name, port


def test_the_deployment_of_a_model_is_played(built: tuple[Path, str, int], tmp_path: Path) -> None:
    _, image, port = built
    manifests = serve_manifests(image, "model", {"replicas": 1}, port=port)
    kept = [item for item in manifests if item["kind"] == "Deployment"]
    with played(kept, tmp_path):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_answered(f"{url}/ping"))
        answer = ask(f"{url}/invocations", b'{"dataframe_records": [{"a": 1.5}]}')
        assert json.loads(answer)["predictions"] == [{"a": 3.0}]


def test_the_shards_of_a_job_joined_are_the_direct_prediction(
    built: tuple[Path, str, int], tmp_path: Path
) -> None:
    model, image, _ = built
    volume = podman("volume", "create", "data").strip()
    place = Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip())
    frame = pd.DataFrame({"a": [i / 4 for i in range(1000)]})
    frame.to_parquet(place / "in.parquet", row_group_size=128)  # eight groups, for three shards
    place.chmod(0o777)  # the cluster does that by fsGroup
    mount = {"volume_type": "persistent_volume_claim", "name": volume, "mount_path": "/data"}
    [job] = batch_manifests(
        image, "score", "/data/in.parquet", "/data/part-{shard}.parquet", {"volumes": [mount]},
        shards=3,
    )  # fmt: skip
    assert as_tree(job["spec"])["completionMode"] == "Indexed"
    with played([pod_of_job(job, index) for index in range(3)], tmp_path):
        for index in range(3):
            assert podman("wait", f"score-{index}-model").strip() == "0"
    parts = [pd.read_parquet(place / f"part-{index}.parquet") for index in range(3)]
    assert all(len(part) for part in parts)
    joined = pd.concat(parts, ignore_index=True)
    direct = pyfunc.load_model(model).predict(frame)
    assert joined["a"].tolist() == direct.tolist()


def pod_of_job(job: dict[str, object], index: int) -> dict[str, object]:
    """Return the pod that a cluster makes for one index of a job, which podman does not know."""
    template = copy.deepcopy(as_tree(as_tree(job["spec"])["template"]))
    pod: dict[str, Any] = dict(as_tree(template["spec"]))
    pod["containers"][0]["env"].append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
    metadata = {**as_tree(template["metadata"]), "name": f"score-{index}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}
