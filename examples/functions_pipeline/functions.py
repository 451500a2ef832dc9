"""The functions of the pipeline: plain Python, which can be called as it stands."""

import pandas as pd

import pyfunc
from pyfunc.functions import handler


@handler(outputs=["rows"])
def ingest():
    """Return the breast cancer data of scikit-learn as one table, with the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    print("user code: ingest")
    return load_breast_cancer(as_frame=True).frame


@handler(outputs=[{"name": "model", "kind": "sklearn"}, "accuracy"])
def train(rows: pd.DataFrame, trees: int = 50, seed: int = 0):
    """Fit a forest to three quarters of the rows; return it and its accuracy on the others."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    print("user code: train")
    known, unseen = train_test_split(rows, random_state=seed)
    forest = RandomForestClassifier(trees, random_state=seed)
    forest.fit(known.drop(columns="target"), known["target"])
    return forest, forest.score(unseen.drop(columns="target"), unseen["target"])


@handler(outputs=["predictions", "benign"])
def predict(model: pyfunc.PyFuncModel, rows: pd.DataFrame):
    """Return the rows with what the model says of each, and how many are benign."""
    print("user code: predict")
    said = model.predict(rows.drop(columns="target"))
    return rows.assign(said=said), int((said == 1).sum())


def init(context, model):
    """Load the model once per worker."""
    context.model = context.project.get_model(model).load()


def classify(context, event):
    """Answer records of measurements with a diagnosis each."""
    said = context.model.predict(pd.DataFrame(event.body["rows"]))
    return {"diagnoses": ["benign" if one == 1 else "malignant" for one in said]}
