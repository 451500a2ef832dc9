"""A model of one's own: a class with files beside it, a setting, and a parameter of requests."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

import pyfunc


class NearestCellar(pyfunc.PythonModel):
    """Names the cultivar whose average wine is nearest, or none where all are far away."""

    def load_context(self, context):
        self.averages = pd.read_csv(context.artifacts["averages"], index_col="cultivar")
        self.spread = pd.Series(json.loads(Path(context.artifacts["spread"]).read_text()))
        self.unit = context.model_config["unit"]

    def predict(self, context, model_input, params=None):
        rows = model_input[self.spread.index]
        scaled = [(rows - average) / self.spread for _, average in self.averages.iterrows()]
        distances = np.stack([np.linalg.norm(one, axis=1) for one in scaled], axis=1)
        nearest = distances.argmin(axis=1)
        near = distances.min(axis=1) <= params["farthest"]
        return pd.DataFrame(
            {
                "cultivar": np.where(near, self.averages.index[nearest], "none"),
                f"distance in {self.unit}": distances.min(axis=1).round(2),
            }
        )


def write_artifacts(folder: Path) -> dict[str, str]:
    """Write what the model was fitted to as files, and return where they are."""
    wine = load_wine(as_frame=True)
    names = wine.target.map(lambda kind: wine.target_names[kind]).rename("cultivar")
    wine.data.groupby(names).mean().to_csv(folder / "averages.csv")
    (folder / "spread.json").write_text(wine.data.std().to_json())
    return {name.partition(".")[0]: str(folder / name) for name in ("averages.csv", "spread.json")}


def main() -> None:
    wines = load_wine(as_frame=True).data.iloc[[0, 70, 150]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cellar")
        pyfunc.save_model(
            path,
            python_model=NearestCellar(),
            artifacts=write_artifacts(Path(folder)),
            model_config={"unit": "standard deviations"},
            input_example=(wines, {"farthest": 5.0}),
        )
        model = pyfunc.load_model(path)
        print(model.predict(wines))
        print(model.predict(wines, params={"farthest": 2.5}))
        print("what a request may hold:", model.metadata.signature.params)


if __name__ == "__main__":
    main()
