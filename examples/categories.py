"""Categories: LightGBM trained with a column of them, asked in frames, plain text and JSON."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

import pyfunc
import pyfunc.flavors.lightgbm as lightgbm_flavor

COLOURS = ["blue", "green", "red"]
PRICES = {"blue": 10.0, "green": 20.0, "red": 30.0}


def make_rows() -> pd.DataFrame:
    """Return sixty rows of a colour and a weight."""
    colours = pd.Categorical(COLOURS * 20, categories=COLOURS)
    return pd.DataFrame({"colour": colours, "weight": np.repeat(np.arange(20.0), 3)})


def main() -> None:
    rows = make_rows()
    prices = rows["colour"].map(PRICES).astype(float)
    regressor = LGBMRegressor(n_estimators=100, min_child_samples=2, verbose=-1).fit(rows, prices)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "prices")
        lightgbm_flavor.save_model(regressor, path, input_example=rows.head(3))
        model = pyfunc.load_model(path)
        print("takes:", model.metadata.signature.inputs)

        asked = pd.DataFrame({"colour": ["red", "blue"], "weight": [1.0, 5.0]})
        as_category = asked.astype({"colour": pd.CategoricalDtype(COLOURS)})
        print("of categories:", np.round(model.predict(as_category), 1).tolist())
        print("of text:", np.round(model.predict(asked), 1).tolist())
        records = [{"colour": "green", "weight": 2.0}]
        print("of JSON:", np.round(model.predict(records), 1).tolist())


if __name__ == "__main__":
    main()
