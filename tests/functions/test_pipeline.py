"""The example of a pipeline, as a process, twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

from pyfunc.functions import Dataitem, Model, get_project

PIPELINE = Path(__file__).parents[2] / "examples" / "functions_pipeline" / "pipeline.py"
STEPS = ("ingest", "train", "predict")


def run(folder: Path) -> tuple[list[str], str]:
    command = [sys.executable, str(PIPELINE), str(folder / "store")]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    print(done.stderr)  # the seconds of CPU
    return done.stdout.splitlines(), done.stderr


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    assert [line for line in first if line.startswith("user code")] == [
        f"user code: {name}" for name in STEPS
    ]
    second, timing = run(tmp_path)
    assert not any("user code" in line for line in second)
    assert [line.partition(": ")[0] for line in second[:3]] == [*STEPS]
    assert all("taken from an earlier run" in line for line in second[:3])
    assert second[3] == first[-1] == "served: ['malignant', 'malignant', 'malignant']"
    assert "s of CPU" in timing

    project = get_project("cancer", root=tmp_path / "store")
    jobs = [run for run in project.list_runs() if run.spec.bind is None]
    assert [job.status.state for job in jobs] == ["COMPLETED"] * 6
    assert [job.status.cached_from for job in jobs[3:]] == [job.key for job in jobs[:3]]
    assert len(project.list_dataitems()) == 2
    assert len(project.list_models()) == 1
    training, prediction = jobs[1], jobs[2]
    accuracy = training.result("accuracy")
    assert isinstance(accuracy, float)
    assert accuracy > 0.9
    model, table = training.outputs()["model"], prediction.outputs()["predictions"]
    assert isinstance(model, Model)
    assert isinstance(table, Dataitem)
    frame = table.as_df()
    said = model.load().predict(frame.drop(columns=["target", "said"]))
    assert pd.Series(said).equals(frame["said"])
