"""Sentence embeddings of sentence-transformers, in the library's own folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame, describe_weights
from pyfunc.flavors.loading import library_errors_named
from pyfunc.flavors.pipelines.given import describe_task
from pyfunc.flavors.pipelines.llm import read_embedding_inputs, to_embeddings
from pyfunc.flavors.pipelines.llm_signatures import llm_task_named
from pyfunc.flavors.pipelines.predictor import options_named
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyfunc.schema import ModelSignature

__all__ = [
    "FLAVOR_NAME",
    "SentencePredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "sentence_transformers"

describe = describe_weights

_FOLDER = "model.sentence_transformer"
_EMBEDDINGS = "llm/v1/embeddings"


class SentencePredictor(NativePredictor):
    """A ``SentenceTransformer``; parameters go to its ``encode``.

    Args:
        model: the ``SentenceTransformer``.
        task: ``llm/v1/embeddings``, and requests ``{"input": ...}`` are answered in the form of
            OpenAI's interface; or None.
    """

    def __init__(self, model: Any, task: str | None = None) -> None:
        super().__init__(model)
        self._task = task

    def predict(self, data: Any, params: Mapping[str, object] | None = None) -> object:
        """Return one row of float32 per sentence, or the answer to a request.

        Args:
            data: a sentence, a list of sentences, or a frame whose first column has them; a
                request, or a frame of requests.
            params: keyword arguments of ``encode``.

        Raises:
            InvalidArgumentError: ``encode`` has no such parameter.
        """
        asks = self._task is not None and (isinstance(data, Mapping) or _is_of_requests(data))
        sentences = read_embedding_inputs(data) if asks else _sentences(data)
        with options_named(self.model, params or {}):
            vectors = self.model.encode(sentences, **(params or {}))
        if not asks:
            return vectors
        tokens = self.model.tokenizer(sentences)["input_ids"]
        return to_embeddings(list(vectors), sum(len(ids) for ids in tokens))


def _is_of_requests(data: object) -> bool:
    return isinstance(data, pd.DataFrame) and data.columns[0] == "input"


def _sentences(data: Any) -> list[str]:
    if isinstance(data, pd.DataFrame):
        data = data.iloc[:, 0].tolist()
    return [data] if isinstance(data, str) else list(data)


def save_model(
    model: object,
    path: str | os.PathLike[str],
    *,
    task: str | None = None,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the ``SentenceTransformer`` ``model`` to the new model directory ``path``.

    Args:
        model: a ``sentence_transformers.SentenceTransformer``.
        path: must not exist, or be an empty directory.
        task: ``llm/v1/embeddings``, and the model takes and gives the requests and answers of
            OpenAI's interface.
        **arguments: what every flavor takes; without a signature that can be found, it says: a
            string in, an array of float64 out.

    Raises:
        InvalidArgumentError: the arguments do not go together; nothing is written.
        PyfuncError: as for every flavor.
    """
    library = _frame.library()
    if not isinstance(model, library.SentenceTransformer):
        raise InvalidTypeError(f"expected a SentenceTransformer, got {shorten(type(model))}")
    if task is not None:
        _check_task(task)
        arguments["signature"] = llm_task_named(task).signature
        describe_task(arguments, task, task=task)
    transformer = getattr(model[0], "auto_model", None)
    _frame.save(
        model,
        path,
        arguments,
        write=lambda directory: model.save(str(directory / _FOLDER)),
        section={
            "pipeline_model_type": type(transformer or model[0]).__name__,
            "source_model_name": str(
                getattr(getattr(transformer, "config", None), "name_or_path", "")
            ),
            "sentence_transformers_version": library.__version__,
        },
        python_function={"data": _FOLDER},
        predictor=lambda: SentencePredictor(model, task),
        model_config=None if task is None else {"task": task},
        default_signature=_default_signature(),
    )


def load_opened(opened: OpenedModel) -> SentencePredictor:
    """Return the model in an opened directory, ready to predict.

    Raises:
        ModelIncompleteError: its file is missing, damaged or needs what is not installed.
        InvalidArgumentError: its task is none that is known here.
    """
    task = (opened.model_config or {}).get("task")
    return SentencePredictor(_read(opened), None if task is None else _check_task(task))


def _check_task(task: object) -> str:
    if task != _EMBEDDINGS:
        raise InvalidArgumentError(f"task: expected {_EMBEDDINGS}, got {shorten(task)}")
    return _EMBEDDINGS


def _default_signature() -> ModelSignature:
    import numpy as np

    from pyfunc.schema import ColSpec, ModelSignature, Schema, TensorSpec

    return ModelSignature(
        Schema([ColSpec("string")]), Schema([TensorSpec(np.dtype("float64"), (-1,))])
    )


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    relative = opened.section.get("data") or _FOLDER
    key = "flavors.python_function.data"
    folder = opened.files.resolve(relative, key=key, kind="dir")
    # modules.json names the classes to import, and weights may be a pickle.
    check_code_may_run(f"its folder {relative}", opened.root)
    with library_errors_named(opened, relative):
        return library.SentenceTransformer(str(folder), local_files_only=True)


_frame = Frame(
    FLAVOR_NAME,
    ["sentence_transformers", "transformers", "torch"],
    read=_read,
    predictor=SentencePredictor,
    load_opened=load_opened,
)

load_model = _frame.load_model
log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
