"""spaCy pipelines, in the library's own folder; those that categorize text predict."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "SpacyPredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "save_model",
]

FLAVOR_NAME = "spacy"

_FOLDER = "model.spacy"


class SpacyPredictor(NativePredictor):
    """A pipeline with a text categorizer."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return a frame with the scores of each text in the column ``predictions``.

        Raises:
            InvalidArgumentError: ``data`` is no frame of one column.
        """
        if not isinstance(data, pd.DataFrame) or data.shape[1] != 1:
            raise InvalidArgumentError(
                f"expected a frame with one column of texts, got {shorten(data)}"
            )
        texts = data.iloc[:, 0]
        return pd.DataFrame({"predictions": [self.model(text).cats for text in texts]})


def save_model(
    spacy_model: Any, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the pipeline ``spacy_model`` to the new model directory ``path``.

    Args:
        spacy_model: a ``spacy.Language``. One without a text categorizer is saved for
            :func:`load_model` only.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = import_library("spacy", extra=FLAVOR_NAME)
    if not isinstance(spacy_model, library.language.Language):
        raise InvalidTypeError(f"expected a spacy.Language, got {shorten(type(spacy_model))}")
    categorizer = import_library("spacy.pipeline", extra=FLAVOR_NAME).TextCategorizer
    predicts = any(isinstance(component, categorizer) for _, component in spacy_model.pipeline)
    native = NativeModel(
        FLAVOR_NAME,
        {"data": _FOLDER, "spacy_version": library.__version__},
        {"data": _FOLDER} if predicts else None,
        get_default_pip_requirements(),
        write=lambda directory: spacy_model.to_disk(str(directory / _FOLDER)),
        predictor=lambda: SpacyPredictor(spacy_model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the pipeline in the model at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> SpacyPredictor:
    """Return the model in an opened directory, ready to predict."""
    return SpacyPredictor(_read(opened))


def _load_pyfunc(path: str) -> SpacyPredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return the library's format, which holds data only."""
    return Serialization("spacy", True)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["spacy"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _read(opened: OpenedModel) -> Any:
    library = import_library("spacy", extra=FLAVOR_NAME)
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    folder = opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="dir")
    # The configuration names the functions that build the pipeline.
    check_code_may_run(f"its folder {relative}", opened.root)
    with library_errors_named(opened, relative):
        return library.load(folder)
