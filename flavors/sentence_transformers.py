"""Sentence embeddings of sentence-transformers, in the library's own folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import library_errors_named, load_native, open_from_inside
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "SentencePredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "save_model",
]

FLAVOR_NAME = "sentence_transformers"

_FOLDER = "model.sentence_transformer"


class SentencePredictor(NativePredictor):
    """A ``SentenceTransformer``; parameters go to its ``encode``."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
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
    model: Any, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the ``SentenceTransformer`` ``model`` to the new model directory ``path``.

    Args:
        model: a ``sentence_transformers.SentenceTransformer``.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes; without a signature and an example, the signature
            says: a string in, an array of float64 out.
    """
    library = import_library("sentence_transformers", extra=FLAVOR_NAME)
    if not isinstance(model, library.SentenceTransformer):
        raise InvalidTypeError(f"expected a SentenceTransformer, got {shorten(type(model))}")
    if arguments.get("signature") is None and arguments.get("input_example") is None:
        arguments["signature"] = _default_signature()
    transformer = getattr(model[0], "auto_model", None)
    native = NativeModel(
        FLAVOR_NAME,
        {
            "pipeline_model_type": type(transformer or model[0]).__name__,
            "source_model_name": str(
                getattr(getattr(transformer, "config", None), "name_or_path", "")
            ),
            "sentence_transformers_version": library.__version__,
        },
        {"data": _FOLDER},
        get_default_pip_requirements(),
        write=lambda directory: model.save(str(directory / _FOLDER)),
        predictor=lambda: SentencePredictor(model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the ``SentenceTransformer`` in the model at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> SentencePredictor:
    """Return the model in an opened directory, ready to predict."""
    return SentencePredictor(_read(opened))


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> SentencePredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return safetensors, unless the weights are a pickle."""
    pickled = any(name.endswith("pytorch_model.bin") for name in files)
    return Serialization("pickle" if pickled else "safetensors", not pickled)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["sentence_transformers", "transformers", "torch"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _default_signature() -> Any:
    import numpy as np

    from pyfunc.schema import ColSpec, ModelSignature, Schema, TensorSpec

    return ModelSignature(
        Schema([ColSpec("string")]), Schema([TensorSpec(np.dtype("float64"), (-1,))])
    )


def _read(opened: OpenedModel) -> Any:
    library = import_library("sentence_transformers", extra=FLAVOR_NAME)
    relative = opened.section.get("data") or _FOLDER
    key = "flavors.python_function.data"
    folder = opened.files.resolve(relative, key=key, kind="dir")
    # modules.json names the classes to import, and weights may be a pickle.
    check_code_may_run(f"its folder {relative}", opened.root)
    with library_errors_named(opened, relative):
        return library.SentenceTransformer(str(folder), local_files_only=True)
