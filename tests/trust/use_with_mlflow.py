"""Run by an interpreter with real MLflow: does to models what MLflow's users do.

Usage: use_with_mlflow.py FOLDER. ``FOLDER/model`` is a model that ships code; what happened is
printed as JSON.
"""

# mypy: ignore-errors
# A script whose results are checked, not its types.

import json
import os
import shutil
import sys
from pathlib import Path


class Blocker:
    """Makes ``import pyfunc`` fail, whatever is installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyfunc":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def names_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def main(folder):
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature, set_signature

    frame = pd.DataFrame({"text": ["x"]})
    os.chdir(folder)
    mlflow.set_tracking_uri((folder / "runs").as_uri())
    report = {"version": mlflow.__version__}

    shutil.copytree("model", "loaded")
    report["predicted"] = list(mlflow.pyfunc.load_model("loaded").predict(frame))

    fetched = mlflow.artifacts.download_artifacts(
        artifact_uri=(folder / "model").as_uri(), dst_path=str(folder / "fetched")
    )
    report["fetched"], report["fetched_files"] = fetched, names_below(fetched)

    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder / "model"), "logged")
    uri = f"runs:/{run.info.run_id}/logged"
    report["logged"] = mlflow.artifacts.download_artifacts(uri, dst_path=str(folder / "back"))
    report["logged_predicted"] = list(mlflow.pyfunc.load_model(uri).predict(frame))

    shutil.copytree("model", "signature_set")
    set_signature(str(folder / "signature_set"), infer_signature(frame))
    report["after_set_signature"] = list(mlflow.pyfunc.load_model("signature_set").predict(frame))

    shutil.copytree("model", "requirements_changed")
    mlflow.models.update_model_requirements("requirements_changed", "add", ["packaging"])
    return report


if __name__ == "__main__":
    sys.meta_path.insert(0, Blocker())
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print("REPORT " + json.dumps(main(Path(sys.argv[1]))))
