"""A graph of ONNX: two named outputs, no pickle, and so loadable where no code may run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import pyfunc
import pyfunc.flavors.onnx as onnx_flavor


def main() -> None:
    data = load_digits()
    pixels = (data.data / 16).astype(np.float32)
    classifier = LogisticRegression(max_iter=500).fit(pixels, data.target)
    options = {id(classifier): {"zipmap": False}}  # probabilities as one tensor
    graph = to_onnx(classifier, pixels[:1], options=options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits")
        onnx_flavor.save_model(graph, path, input_example=pixels[:2])
        model = pyfunc.load_model(path, trust="allowlist")  # nothing in it can run
        print("takes:", model.metadata.signature.inputs)
        print("gives:", model.metadata.signature.outputs)

        answer = model.predict(pixels[:5])
        print("labels:", answer["label"].tolist(), "in truth:", data.target[:5].tolist())
        print("probabilities:", answer["probabilities"].shape, answer["probabilities"].dtype)
        try:
            model.predict(pixels.reshape(-1, 8, 8))
        except pyfunc.SchemaError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    main()
