"""Small models of every flavor, fitted on data that ships with the libraries.

Each case gives a model, an input and the library's own predictions for it. A library is imported
only by its cases. The tests take them by the name of the folder that they are in, and
``save_with_mlflow.py`` stores what real MLflow makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Built:
    """A model, an input and what the library predicts for it."""

    model: Any
    data: Any
    expected: Any
    example: Any = None


@dataclass(frozen=True)
class Case:
    """A model to build, and how to save it; ``folder`` is the library that has to be there."""

    flavor: str
    name: str
    build: Callable[[], Built]
    arguments: dict[str, Any] = field(default_factory=dict)
    pickle_free: bool = True
    folder: str = ""

    @property
    def id(self) -> str:
        return f"{self.flavor}-{self.name}"

    def save_arguments(self, built: Built) -> dict[str, Any]:
        example = {} if built.example is None else {"input_example": built.example}
        return {**self.arguments, **example}


CASES: list[Case] = []


def case(
    flavor: str, name: str, *, pickle_free: bool = True, folder: str = "", **arguments: Any
) -> Callable[[Callable[[], Built]], Callable[[], Built]]:
    def add(build: Callable[[], Built]) -> Callable[[], Built]:
        CASES.append(Case(flavor, name, build, arguments, pickle_free, folder or flavor))
        return build

    return add


def cases_of(folder: str) -> Iterator[Case]:
    return (item for item in CASES if item.folder == folder)


def iris() -> tuple[pd.DataFrame, pd.Series[Any]]:
    from sklearn.datasets import load_iris

    frame, target = load_iris(return_X_y=True, as_frame=True)
    frame.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return frame, target


# ---- scikit-learn


@case("sklearn", "skops")
@case("sklearn", "pickle", serialization_format="pickle", pickle_free=False)
@case("sklearn", "cloudpickle", serialization_format="cloudpickle", pickle_free=False)
def pipeline() -> Built:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, target = iris()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    return Built(model, frame, model.predict(frame), frame.head(2))


@case("sklearn", "proba", pyfunc_predict_fn="predict_proba")
def probabilities() -> Built:
    from sklearn.linear_model import LogisticRegression

    frame, target = iris()
    model = LogisticRegression(max_iter=500).fit(frame, target)
    return Built(model, frame, model.predict_proba(frame))


@case(
    "sklearn",
    "trusted",
    skops_trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
)
def boosted() -> Built:
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame, target = iris()
    model = HistGradientBoostingRegressor(max_iter=2, max_depth=2).fit(frame, target)
    return Built(model, frame, model.predict(frame))


# ---- XGBoost


@case("xgboost", "booster")
def xgboost_booster() -> Built:
    import xgboost

    frame, target = iris()
    parameters = {"max_depth": 2, "objective": "multi:softprob", "num_class": 3}
    model = xgboost.train(parameters, xgboost.DMatrix(frame, target), 2)
    return Built(model, frame, model.predict(xgboost.DMatrix(frame)), frame.head(2))


@case("xgboost", "classifier")
@case("xgboost", "classifier_json", model_format="json")
@case("xgboost", "classifier_xgb", model_format="xgb")
def xgboost_classifier() -> Built:
    import xgboost

    frame, target = iris()
    model = xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(frame, target)
    return Built(model, frame, model.predict(frame), frame.head(2))


@case("xgboost", "regressor")
def xgboost_regressor() -> Built:
    import xgboost

    frame, target = iris()
    model = xgboost.XGBRegressor(n_estimators=2, max_depth=2).fit(frame.to_numpy(), target)
    return Built(model, frame.to_numpy(), model.predict(frame.to_numpy()))


# ---- LightGBM


@case("lightgbm", "booster")
def lightgbm_booster() -> Built:
    import lightgbm

    frame, target = iris()
    parameters = {"num_leaves": 4, "objective": "multiclass", "num_class": 3, "verbose": -1}
    model = lightgbm.train(parameters, lightgbm.Dataset(frame, target), 2)
    return Built(model, frame, model.predict(frame), frame.head(2))


@case("lightgbm", "classifier")
@case("lightgbm", "cloudpickle", serialization_format="cloudpickle", pickle_free=False)
def lightgbm_classifier() -> Built:
    import lightgbm

    frame, target = iris()
    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1).fit(frame, target)
    return Built(model, frame, model.predict(frame), frame.head(2))


@case("lightgbm", "regressor")
def lightgbm_regressor() -> Built:
    import lightgbm

    frame, target = iris()
    model = lightgbm.LGBMRegressor(n_estimators=2, num_leaves=4, verbose=-1).fit(frame, target)
    return Built(model, frame, model.predict(frame))


# ---- ONNX


def to_onnx(model: Any, inputs: dict[str, int]) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    types = [(name, FloatTensorType([None, width])) for name, width in inputs.items()]
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    return to_onnx(model, initial_types=types, options=options)


@case("onnx", "array")
@case("onnx", "inline", save_as_external_data=False)
def onnx_classifier() -> Built:
    from sklearn.linear_model import LogisticRegression

    frame, target = iris()
    array = frame.to_numpy(dtype=np.float32)
    model = LogisticRegression(max_iter=500).fit(array, target)
    expected = {"label": model.predict(array), "probabilities": model.predict_proba(array)}
    return Built(to_onnx(model, {"x": 4}), array, expected)


@case(
    "onnx",
    "dict",
    onnx_execution_providers=["CPUExecutionProvider"],
    onnx_session_options={
        "execution_mode": "sequential",
        "graph_optimization_level": 99,
        "intra_op_num_threads": 1,
        "extra_session_config": {"session.set_denormal_as_zero": "1"},
    },
)
def onnx_columns() -> Built:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame, target = iris()
    taken = ColumnTransformer([("taken", "passthrough", list(frame.columns))])
    model = make_pipeline(taken, LogisticRegression(max_iter=500)).fit(frame, target)
    data = {name: frame[[name]].to_numpy() for name in frame.columns}
    expected = {"label": model.predict(frame), "probabilities": model.predict_proba(frame)}
    return Built(to_onnx(model, dict.fromkeys(frame.columns, 1)), data, expected)


@case("onnx", "frame")
def onnx_regressor() -> Built:
    from sklearn.linear_model import LinearRegression

    frame, target = iris()
    model = LinearRegression().fit(frame.to_numpy(dtype=np.float32), target)
    expected = pd.DataFrame({"variable": model.predict(frame.to_numpy(dtype=np.float32))})
    return Built(to_onnx(model, {"x": 4}), frame, expected)


# ---- statsmodels


@case("statsmodels", "ols", pickle_free=False)
@case("statsmodels", "ols_without_data", pickle_free=False, remove_data=True)
def statsmodels_ols() -> Built:
    import statsmodels.api

    # the library's own data: engine and fuel figures would need a download, iris does not
    frame, target = iris()
    data = statsmodels.api.add_constant(frame)
    model = statsmodels.api.OLS(target.astype(float), data).fit()
    return Built(model, data, model.predict(data), data.head(2))


@case("statsmodels", "formula", pickle_free=False)
def statsmodels_formula() -> Built:
    import statsmodels.api
    import statsmodels.formula.api

    data = statsmodels.api.datasets.longley.load_pandas().data
    model = statsmodels.formula.api.ols("TOTEMP ~ GNP + UNEMP", data=data).fit()
    return Built(model, data, model.predict(data))


@case("statsmodels", "arima", pickle_free=False)
def statsmodels_arima() -> Built:
    import statsmodels.api
    from statsmodels.tsa.arima.model import ARIMA

    sunspots = statsmodels.api.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    model = ARIMA(sunspots[:60], order=(1, 0, 0)).fit()
    return Built(model, pd.DataFrame({"start": [55], "end": [64]}), model.predict(55, 64))


# ---- PyTorch


def torch_net() -> Any:
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(3, 2)]
    return torch.nn.Sequential(*layers)


def torch_expected(net: Any, array: Any) -> Any:
    import torch

    with torch.no_grad():
        return net.eval()(torch.from_numpy(array)).numpy()


@case("pytorch", "pickle", folder="torch", serialization_format="pickle", pickle_free=False)
@case("pytorch", "pt2", folder="torch", serialization_format="pt2", pickle_free=False)
def torch_array() -> Built:
    array = iris()[0].to_numpy(dtype=np.float32)
    net = torch_net()
    return Built(net, array, torch_expected(net, array), array[:2])


@case("pytorch", "frame", folder="torch", serialization_format="pickle", pickle_free=False)
def torch_frame() -> Built:
    frame = iris()[0]
    net = torch_net()
    expected = pd.DataFrame(torch_expected(net, frame.to_numpy(dtype=np.float32)))
    return Built(net, frame, expected)


@case("pytorch", "script", folder="torch", serialization_format="pickle", pickle_free=False)
def torch_script() -> Built:
    import torch

    array = iris()[0].to_numpy(dtype=np.float32)
    net = torch_net().eval()
    return Built(torch.jit.script(net), array, torch_expected(net, array))


# ---- in an environment of their own


@case("catboost", "regressor")
@case("catboost", "regressor_json", format="json")
def catboost_regressor() -> Built:
    import catboost

    frame, target = iris()
    model = catboost.CatBoostRegressor(
        iterations=2, depth=2, verbose=0, allow_writing_files=False, thread_count=1
    ).fit(frame, target)
    return Built(model, frame, model.predict(frame), frame.head(2))


@case("catboost", "classifier")
def catboost_classifier() -> Built:
    import catboost

    frame, target = iris()
    model = catboost.CatBoostClassifier(
        iterations=2, depth=2, verbose=0, allow_writing_files=False, thread_count=1
    ).fit(frame, target)
    return Built(model, frame, model.predict(frame))


@case("prophet", "trend")
def prophet_trend() -> Built:
    import statsmodels.api
    from prophet import Prophet

    spots = statsmodels.api.datasets.sunspots.load_pandas().data["SUNACTIVITY"][:60]
    data = pd.DataFrame({"ds": pd.date_range("1700-01-01", periods=60, freq="YS"), "y": spots})
    model = Prophet(
        weekly_seasonality=False,
        yearly_seasonality=False,
        daily_seasonality=False,
        uncertainty_samples=0,
    ).fit(data)
    future = model.make_future_dataframe(3, freq="YS").tail(3).reset_index(drop=True)
    return Built(model, future, model.predict(future))


@case("spacy", "textcat")
def spacy_textcat() -> Built:
    import spacy

    nlp = spacy.blank("en")
    bag = {"@architectures": "spacy.TextCatBOW.v3", "length": 64, "exclusive_classes": True}
    labels = nlp.add_pipe(
        "textcat", config={"model": {**bag, "ngram_size": 1, "no_output_layer": False}}
    )
    labels.add_label("good")
    labels.add_label("bad")
    nlp.initialize()
    data = pd.DataFrame({"text": ["a good day", "a bad one"]})
    expected = pd.DataFrame({"predictions": [nlp(text).cats for text in data["text"]]})
    return Built(nlp, data, expected)


@case("keras", "dense")
def keras_dense() -> Built:
    import keras

    keras.utils.set_random_seed(0)
    array = iris()[0].to_numpy(dtype=np.float32)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    return Built(model, array, model.predict(array, verbose=0))


@case("tensorflow", "keras")
def tensorflow_keras() -> Built:
    built = keras_dense()
    return Built(built.model, built.data, built.expected, built.data[:2])


def tiny_bert() -> tuple[Any, Any]:
    """Return a configuration and a tokenizer of nine words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "day"]
    words_model = models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    tokenizer = Tokenizer(words_model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    config = BertConfig(
        vocab_size=9,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    return config, fast


@case("sentence_transformers", "sentences")
def sentences() -> Built:
    import tempfile

    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertModel

    with tempfile.TemporaryDirectory() as directory:
        config, tokenizer = tiny_bert()
        torch.manual_seed(0)
        BertModel(config).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        words = models.Transformer(directory, max_seq_length=8)
    words.auto_model.config._name_or_path = "tiny-bert"
    model = SentenceTransformer(modules=[words, models.Pooling(8)], device="cpu")
    data = ["a good day", "a bad day"]
    return Built(model, data, model.encode(data))


def tiny_pipeline(task: str, kind: str) -> Any:
    import torch
    import transformers

    config, tokenizer = tiny_bert()
    torch.manual_seed(0)
    network = getattr(transformers, kind)(config).eval()
    return transformers.pipeline(task, model=network, tokenizer=tokenizer, device="cpu")


@case("transformers", "text_classification")
def text_classification() -> Built:
    model = tiny_pipeline("text-classification", "BertForSequenceClassification")
    data = ["a good day", "a bad day"]
    return Built(model, data, pd.DataFrame(model(data)))


@case("transformers", "token_classification")
def token_classification() -> Built:
    model = tiny_pipeline("token-classification", "BertForTokenClassification")
    data = ["a good day", "a bad day"]
    return Built(
        model, data, [",".join(word["entity"] for word in found) for found in model(data)]
    )


@case("transformers", "fill_mask")
def fill_mask() -> Built:
    model = tiny_pipeline("fill-mask", "BertForMaskedLM")
    data = ["a [MASK] day", "a bad [MASK]"]
    return Built(model, data, [found[0]["token_str"] for found in model(data)])
