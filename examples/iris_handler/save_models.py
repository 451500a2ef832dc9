"""Saves one iris classifier twice, as ONNX and as scikit-learn, each with the same handler.

    python examples/iris_handler/save_models.py models
    pyfunc serve -m models/onnx
    curl -H 'content-type: application/json' localhost:5000/predict \
        -d '{"sepal_length": 5.2, "sepal_width": 3.6, "petal_length": 1.4, "petal_width": 0.3}'
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from pyfunc.flavors import onnx as onnx_flavor
from pyfunc.flavors import sklearn as sklearn_flavor
from pyfunc.schema import ModelSignature, Schema, TensorSpec

PROJECT = Path(__file__).parent
SAMPLE = {"sepal_length": 5.2, "sepal_width": 3.6, "petal_length": 1.4, "petal_width": 0.3}


def train() -> LogisticRegression:
    features, kinds = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=1000).fit(features.astype(np.float32), kinds)


def save_as_onnx(classifier: LogisticRegression, path: Path) -> None:
    """Save the graph of the classifier, cut to its probabilities."""
    from skl2onnx import to_onnx

    options: dict[Any, Any] = {id(classifier): {"zipmap": False}}
    graph = to_onnx(classifier, np.zeros((1, 4), np.float32), options=options)
    del graph.graph.output[0]  # the label; the handler takes the first output for probabilities
    onnx_flavor.save_model(graph, path, handler="handler.py", project_dir=PROJECT)


def save_as_sklearn(classifier: LogisticRegression, path: Path) -> None:
    """Save the estimator; the handler gets its probabilities as an ONNX session gives them."""
    single = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(single, (-1, 4))]), Schema([TensorSpec(single, (-1, 3))])
    )
    sklearn_flavor.save_model(
        classifier,
        path,
        signature=signature,
        pyfunc_predict_fn="predict_proba",
        handler="handler.py",
        project_dir=PROJECT,
        handler_output_style="onnx",
    )


def main(folder: Path) -> None:
    import pyfunc

    classifier = train()
    save_as_onnx(classifier, folder / "onnx")
    save_as_sklearn(classifier, folder / "sklearn")
    for name in ("onnx", "sklearn"):
        answer = pyfunc.load_model(folder / name).predict_sample(SAMPLE)
        print(f"{name}: {answer['class_label']} {np.round(answer['probabilities'], 3)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "models"))
