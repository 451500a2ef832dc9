"""Loads the models that the plan on standard input names where MLflow cannot be imported.

Predicts with each and prints what came out as JSON.
"""

# mypy: ignore-errors
# A script whose results are checked, not its types.

import json
import sys
import traceback


def hide_mlflow():
    """Leave the stand-in package as the only ``mlflow``, as where none is installed."""
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec

    class WithoutMlflow(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.partition(".")[0] == "mlflow" else found(name, path, target)

    sys.meta_path = [WithoutMlflow if f is PathFinder else f for f in sys.meta_path]


def read_input(description):
    import numpy as np
    import pandas as pd

    kind, data = description["kind"], description["data"]
    if kind == "frame":
        return pd.DataFrame(data)
    return np.array(data) if kind == "array" else data


def run(case):
    import numpy as np
    import pandas as pd

    import pyfunc

    model = pyfunc.load_model(case["path"], suppress_warnings=True)
    data = read_input(case["input"])
    if case["stream"]:
        return list(model.predict_stream(data))
    found = model.predict(data, params=case["params"]) if case["params"] else model.predict(data)
    return found.tolist() if isinstance(found, (np.ndarray, pd.Series)) else found


def main():
    hide_mlflow()
    results = {}
    for case in json.load(sys.stdin):
        try:
            results[case["name"]] = {"value": run(case)}
        except Exception:  # noqa: PERF203 - each kind fails by itself
            results[case["name"]] = {"error": traceback.format_exc()[-2000:]}
    assert "mlflow.version" not in sys.modules  # real MLflow was not imported
    print("RESULT " + json.dumps(results))


if __name__ == "__main__":
    main()
