"""Documents of ours in the real packages; run by ``nox -s digitalhub``, one release at a time.

``PYFUNC_DIGITALHUB_PYTHON`` names the interpreter of an environment with digitalhub.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.functions import Project
from pyfunc.functions.documents import Document, Form, from_document

THEIRS = os.environ["PYFUNC_DIGITALHUB_PYTHON"]
BUILD = """
import json, sys
import digitalhub
try:
    from digitalhub.factory.entity import entity_factory
    build = entity_factory.build_entity_from_dict
except ImportError:  # the older ones want a project
    try:
        from digitalhub.factory.api import build_entity_from_dict as build
    except ImportError:
        from digitalhub.factory.factory import factory
        build = factory.build_entity_from_dict
    digitalhub.get_or_create_project("demo", local=True)
print(json.dumps([build(d).to_dict() for d in json.load(sys.stdin)], default=str))
"""
RELEASE = subprocess.run(
    [THEIRS, "-c", "from importlib.metadata import version; print(version('digitalhub'))"],
    capture_output=True, text=True, check=True,
).stdout.strip()  # fmt: skip
FORM: Form = "0.15" if tuple(map(int, RELEASE.split(".")[:2])) >= (0, 14) else "0.10"


def build(documents: list[Document]) -> list[dict[str, object]]:
    done = subprocess.run(
        [THEIRS, "-W", "ignore", "-c", BUILD],
        input=json.dumps(documents), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


class Adding(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any) -> Any:
        return model_input


@pytest.fixture
def documents(project: Project) -> list[Document]:
    item = project.log_dataitem("d", data=pd.DataFrame({"a": [1]}), labels=["x"])
    model = project.log_model("m", source=Adding())
    function = project.new_function(
        "f", code="def f(d=None, x=0): return x, {'a': 1}", handler="f", description="text",
        python_version=f"PYTHON3_{sys.version_info[1]}" if FORM == "0.15" else "PYTHON3_10",
        requirements=["numpy"], image="localhost/f:1",
    )  # fmt: skip
    resources = {"cpu": {"requests": "1", "limits": "2"}, "mem": {"limits": "1Gi"}}
    elsewhere = [
        function.run(action, local_execution=False, resources=resources, profile="p")
        for action in ("job", "serve")
    ]
    run = function.run(inputs={"d": item}, parameters={"x": 1}, outputs=["x", "y"], env="local")
    entities = [
        function,
        run,
        *elsewhere,
        item,
        model,
        *run.outputs().values(),
        *project.list_tasks(),
    ]
    return [entity.to_dict(FORM) for entity in entities]


def test_what_is_written_here_is_read_there(documents: list[Document]) -> None:
    for ours, theirs in zip(documents, build(documents), strict=True):
        for part in ("kind", "name", "id", "key", "project"):
            assert theirs[part] == ours[part]
        again = from_document(theirs)
        assert again["status"]["state"] == ours["status"]["state"]
        stored = from_document(ours)["spec"]
        kept = {name: stored[name] for name in again["spec"] if name in stored}
        assert {name: again["spec"][name] for name in kept} == kept


if FORM == "0.10":  # later releases run nothing without a server

    def test_results_are_those_that_are_recorded(tmp_path: Path) -> None:
        here = Path(__file__).parent
        path = tmp_path / "results.json"
        recorder = here / "record_digitalhub.py"
        subprocess.run([THEIRS, "-W", "ignore", str(recorder), str(path)], check=True)
        recorded = here.parent / "data" / "digitalhub" / "results.json"
        assert json.loads(path.read_bytes()) == json.loads(recorded.read_bytes())
