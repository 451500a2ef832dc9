"""Stores what real MLflow makes of every case, with its predictions, below ``tests/data/flavors``.

Run it with the Python of an environment that has MLflow and the libraries, naming the folders::

    python tests/flavors/save_with_mlflow.py sklearn xgboost
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
TARGET = HERE.parent / "data" / "flavors"
ROWS = 5


def describe(value: Any) -> dict[str, Any]:
    if isinstance(value, pd.DataFrame):
        return {"frame": json.loads(value.to_json(orient="split", date_format="iso"))}
    if isinstance(value, pd.Series):
        return {"array": value.tolist()}
    if isinstance(value, dict):
        return {"dict": {name: describe(part) for name, part in value.items()}}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    return {"value": value}


def first_rows(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: part[:ROWS] for name, part in data.items()}
    return data[:ROWS]


def store(case: Any) -> None:
    import mlflow

    directory = TARGET / case.folder / case.id
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    built = case.build()
    flavor = importlib.import_module(f"mlflow.{case.flavor}")
    arguments = case.save_arguments(built)
    if case.flavor == "transformers":
        arguments["pip_requirements"] = ["transformers", "torch"]  # what it infers is not there
    flavor.save_model(built.model, str(directory / "model"), **arguments)
    description = directory / "model" / "MLmodel"
    text = description.read_text(encoding="utf-8")
    # The folder that the weights came from; it is of no use to anybody.
    text = re.sub(r"source_model_name: /\S+", "source_model_name: tiny-bert", text)
    description.write_text(text, encoding="utf-8")
    data = first_rows(built.data)
    found = mlflow.pyfunc.load_model(str(directory / "model")).predict(data)
    content = {
        "flavor": case.flavor,
        "input": describe(data),
        "mlflow": mlflow.__version__,
        "output": describe(found),
        "pickle_free": case.pickle_free,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
    }
    text = json.dumps(content, indent=1, sort_keys=True)
    (directory / "case.json").write_text(text + "\n", encoding="utf-8")


def main(folders: list[str]) -> None:
    sys.path.insert(0, str(HERE))
    from zoo import cases_of

    for folder in folders:
        for case in cases_of(folder):
            store(case)


if __name__ == "__main__":
    main(sys.argv[1:])
