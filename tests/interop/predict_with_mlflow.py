"""Run by an interpreter with real MLflow where this library cannot be imported.

Loads the models that the plan on standard input names, predicts, and prints what came out as
JSON.
"""

# mypy: ignore-errors
# A script whose results are checked, not its types.

import json
import sys
import traceback


class Blocker:
    """Makes ``import pyfunc`` fail, whatever is installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyfunc":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())


def read_input(description):
    import numpy as np
    import pandas as pd

    kind, data = description["kind"], description["data"]
    if kind == "frame":
        return pd.DataFrame(data)
    if kind == "array":
        return np.array(data)
    return data


def to_plain(value):
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value.to_dict("list")
    if isinstance(value, (pd.Series, np.ndarray)):
        return value.tolist()
    return value


def run(case):
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(case["path"], suppress_warnings=True)
    data = read_input(case["input"])
    if case.get("stream"):
        return list(model.predict_stream(data))
    if case.get("params") is not None:
        return to_plain(model.predict(data, params=case["params"]))
    return to_plain(model.predict(data))


def main():
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    results = {}
    for case in json.load(sys.stdin):
        try:
            results[case["name"]] = {"value": run(case)}
        except Exception:  # noqa: PERF203 - one failure must not hide the others
            results[case["name"]] = {"error": traceback.format_exc()[-2000:]}
    assert "pyfunc" not in sys.modules
    print("RESULT " + json.dumps(results))


if __name__ == "__main__":
    main()
