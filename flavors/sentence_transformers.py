"""Sentence embeddings of sentence-transformers, in the library's own folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame, describe_weights
from pyfunc.flavors.loading import library_errors_named
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


class SentencePredictor(NativePredictor):
    """A ``SentenceTransformer``; parameters go to its ``encode``."""

    def predict(self, data: Any, params: Mapping[str, object] | None = None) -> object:
        """Return one row of float32 per sentence.

        Args:
            data: a sentence, a list of sentences, or a frame whose first column has them.
            params: keyword arguments of ``encode``.
        """
        if isinstance(data, pd.DataFrame):
            data = data.iloc[:, 0].tolist()
        sentences = [data] if isinstance(data, str) else list(data)
        return self.model.encode(sentences, **(params or {}))


def save_model(
    model: object, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the ``SentenceTransformer`` ``model`` to the new model directory ``path``.

    Args:
        model: a ``sentence_transformers.SentenceTransformer``.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes; without a signature and an example, the signature
            says: a string in, an array of float64 out.
    """
    library = _frame.library()
    if not isinstance(model, library.SentenceTransformer):
        raise InvalidTypeError(f"expected a SentenceTransformer, got {shorten(type(model))}")
    if arguments.get("signature") is None and arguments.get("input_example") is None:
        arguments["signature"] = _default_signature()
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
    )


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
)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
