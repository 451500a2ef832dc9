from . import (
    catboost as catboost,
    keras as keras,
    lightgbm as lightgbm,
    onnx as onnx,
    prophet as prophet,
    pytorch as pytorch,
    sentence_transformers as sentence_transformers,
    sklearn as sklearn,
    spacy as spacy,
    statsmodels as statsmodels,
    tensorflow as tensorflow,
    transformers as transformers,
    xgboost as xgboost,
)
from .protocol import (
    Flavor as Flavor,
    Predictor as Predictor,
    Serialization as Serialization,
)
from .registry import (
    describe as describe,
    find_flavor as find_flavor,
    find_flavor_of as find_flavor_of,
    known_flavors as known_flavors,
    register as register,
    save as save,
)

__all__: list[str]
