"""Fit a classifier, save it as a model directory, load it back, and see what is checked."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import pyfunc
import pyfunc.env
import pyfunc.flavors.sklearn as sklearn_flavor
from pyfunc.schema import infer_signature


def main() -> None:
    iris = load_iris(as_frame=True)
    classifier = LogisticRegression(max_iter=500)
    classifier.fit(iris.data, iris.target)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "iris-model")
        sklearn_flavor.save_model(
            classifier,
            path,
            signature=infer_signature(iris.data, classifier.predict(iris.data)),
            input_example=iris.data.head(2),
        )
        print("saved:", ", ".join(sorted(file.name for file in path.iterdir())))

        model = pyfunc.load_model(path)
        flowers = iris.data.iloc[[0, 60, 120]]
        names = [str(iris.target_names[kind]) for kind in model.predict(flowers)]
        print("predicted:", names)

        broken = flowers.drop(columns="petal width (cm)")
        broken["petal length (cm)"] = "long"
        try:
            model.predict(broken)
        except pyfunc.SchemaError as error:
            print(f"refused: {error}")
        else:
            sys.exit("a frame that does not fit the signature was accepted")

        print("environment:", pyfunc.env.check(path))
        print("integrity:", pyfunc.inspect(path).integrity)


if __name__ == "__main__":
    main()
