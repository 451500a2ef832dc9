"""A file that is predicted in parts: killed in the middle, and gone on with where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyfunc


class Diagnosis(pyfunc.PythonModel):
    """Says which rows it is asked for, and dies at the one where the power fails."""

    def __init__(self, estimator):
        self.estimator = estimator

    def predict(self, context, model_input, params=None):
        first, last = model_input["row"].iloc[0], model_input["row"].iloc[-1]
        print(f"  rows {first} to {last}", file=sys.stderr, flush=True)
        if first <= int(os.environ.get("POWER_FAILS_AT", "-1")) <= last:
            os.kill(os.getpid(), signal.SIGKILL)
        said = self.estimator.predict(model_input.drop(columns="row"))
        return pd.DataFrame({"row": model_input["row"], "benign": said == 1})


def prepare(folder: Path) -> None:
    """Write the model, and a file of 569 rows in six groups."""
    data = load_breast_cancer(as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target)
    rows = data.data.assign(row=range(len(data.data)))
    pyfunc.save_model(
        folder / "model", python_model=Diagnosis(estimator), input_example=rows.head(2)
    )
    pq.write_table(pa.Table.from_pandas(rows), folder / "rows.parquet", row_group_size=100)


def predict(folder: Path, *options: str, **environment: str) -> None:
    """Run ``pyfunc predict`` as a command, and say what it did."""
    command = [sys.executable, "-m", "pyfunc", "predict", "model", *options]
    print("pyfunc predict model", *options, *(f"({k}={v})" for k, v in environment.items()))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(*(line for line in done.stderr.splitlines() if line.startswith("  rows")), sep="\n")
    print(f"  ended with {done.returncode};", "there is:", *list_outputs(folder))


def list_outputs(folder: Path) -> list[str]:
    """Return the names of what the command has written."""
    return sorted(path.name for path in folder.glob("said*"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        files = ("-i", "rows.parquet", "-o", "said.parquet")
        predict(folder, *files, POWER_FAILS_AT="321")
        predict(folder, *files)
        said = pd.read_parquet(folder / "said.parquet")
        print(f"{len(said)} rows in order: {said['row'].is_monotonic_increasing};", end=" ")
        print(f"benign: {said['benign'].sum()}")

        shards = ("-i", "rows.parquet", "-o", "said-{shard}.parquet")
        predict(folder, *shards, "--shard", "0/2")
        predict(folder, *shards, "--shard", "1/2")
        both = pd.concat(pd.read_parquet(folder / f"said-{shard}.parquet") for shard in (0, 1))
        print("two shares are the whole:", both.reset_index(drop=True).equals(said))


if __name__ == "__main__":
    main()
