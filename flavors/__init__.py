"""How each ML library is written and read: one module per library.

::

    import pyfunc.flavors

    pyfunc.flavors.save(estimator, "model", input_example=frame)   # by the type of the object
    pyfunc.flavors.sklearn.save_model(estimator, "model")          # or by name
    pyfunc.flavors.sklearn.load_model("model")                     # the estimator again

A library is imported only when a model of its is saved or loaded.
"""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".protocol": ("Flavor", "Predictor", "Serialization"),
        ".registry": (
            "describe",
            "find_flavor",
            "find_flavor_of",
            "known_flavors",
            "register",
            "save",
        ),
    },
    modules=(
        "catboost",
        "keras",
        "lightgbm",
        "onnx",
        "prophet",
        "pytorch",
        "sentence_transformers",
        "sklearn",
        "spacy",
        "statsmodels",
        "tensorflow",
        "transformers",
        "xgboost",
    ),
)
