"""The task of sentence-transformers: requests for embeddings, in both directions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
import pyfunc.flavors.sentence_transformers
from pyfunc.errors import InvalidArgumentError, SchemaError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.interop]

TASK = "llm/v1/embeddings"
REQUESTS = [
    pytest.param({"input": "a good day"}, id="text"),
    pytest.param({"input": ["a good day", "a dog"]}, id="texts"),
    pytest.param([{"input": "a"}, {"input": "a dog"}], id="requests"),
    pytest.param(pd.DataFrame({"input": ["a", "a dog"]}), id="frame"),
]


@pytest.fixture(name="sentences", scope="module")
def give_sentences(tiny: Any) -> Any:
    from sentence_transformers import SentenceTransformer, models

    pipeline = tiny.feature_extraction()
    with tempfile.TemporaryDirectory() as folder:
        pipeline.model.save_pretrained(folder)
        pipeline.tokenizer.save_pretrained(folder)
        words = models.Transformer(folder, max_seq_length=8)
    return SentenceTransformer(modules=[words, models.Pooling(8)], device="cpu")


@pytest.fixture(name="folders", scope="module")
def give_folders(sentences: Any, mlflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("sentences")
    both = (pyfunc.flavors.sentence_transformers, mlflow.sentence_transformers)
    for library, name in zip(both, ("ours", "mlflow"), strict=True):
        library.save_model(sentences, str(root / name), task=TASK, pip_requirements=["x"])
    return root


def rounded(answer: Any) -> Any:
    vectors = [np.float64(one["embedding"]).round(4).tolist() for one in answer["data"]]
    kept = [{key: one[key] for key in ("object", "index")} for one in answer["data"]]
    return answer["object"], answer["usage"], kept, vectors


@pytest.mark.parametrize("request_of", REQUESTS)
def test_both_answer_a_request_alike(request_of: Any, folders: Path, mlflow: Any) -> None:
    answers = []
    for name in ("ours", "mlflow"):
        there = mlflow.pyfunc.load_model(str(folders / name))
        here = pyfunc.load_model(folders / name, suppress_warnings=True)
        answers += [rounded(there.predict(request_of)), rounded(here.predict(request_of))]
    assert answers == answers[:1] * 4


def test_what_is_saved_says_what_mlflow_says(folders: Path) -> None:
    theirs, ours = (pyfunc.Model.load(folders / name) for name in ("mlflow", "ours"))
    assert ours.signature is not None
    assert theirs.signature is not None
    assert ours.signature.to_dict() == theirs.signature.to_dict()
    assert ours.metadata == theirs.metadata == {"task": TASK}
    for model in (theirs, ours):
        assert model.flavors["python_function"]["config"] == {"task": TASK}


def test_what_is_no_request_is_refused(folders: Path) -> None:
    with pytest.raises(SchemaError):
        pyfunc.load_model(folders / "mlflow", suppress_warnings=True).predict("a good day")


@pytest.mark.parametrize(
    "arguments",
    [{"task": "llm/v1/chat"}, {"task": TASK, "metadata": {"task": "other"}}],
    ids=["task", "metadata"],
)
def test_another_task_is_refused(
    arguments: dict[str, Any], sentences: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="task"):
        pyfunc.flavors.sentence_transformers.save_model(sentences, tmp_path / "model", **arguments)
    assert not (tmp_path / "model").exists()


def test_an_unknown_parameter_is_named(sentences: Any) -> None:
    model = pyfunc.flavors.sentence_transformers.SentencePredictor(sentences)
    with pytest.raises(InvalidArgumentError, match="no_such"):
        model.predict(["a"], {"no_such": 1})
