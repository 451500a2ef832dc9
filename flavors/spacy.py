"""spaCy pipelines, in the library's own folder; those that categorize text predict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
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
    "log_model",
    "save_model",
]

FLAVOR_NAME = "spacy"

_FOLDER = "model.spacy"


class SpacyPredictor(NativePredictor):
    """A pipeline with a text categorizer."""

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
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
    spacy_model: object, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the pipeline ``spacy_model`` to the new model directory ``path``.

    Args:
        spacy_model: a ``spacy.Language``. One without a text categorizer is saved for
            :func:`load_model` only.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not isinstance(spacy_model, library.language.Language):
        raise InvalidTypeError(f"expected a spacy.Language, got {shorten(type(spacy_model))}")
    categorizer = import_library("spacy.pipeline", extra=FLAVOR_NAME).TextCategorizer
    predicts = any(isinstance(component, categorizer) for _, component in spacy_model.pipeline)
    _frame.save(
        spacy_model,
        path,
        arguments,
        write=lambda directory: spacy_model.to_disk(str(directory / _FOLDER)),
        section={"data": _FOLDER, "spacy_version": library.__version__},
        python_function={"data": _FOLDER} if predicts else None,
    )


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    folder = opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="dir")
    # The configuration names the functions that build the pipeline.
    check_code_may_run(f"its folder {relative}", opened.root)
    with library_errors_named(opened, relative):
        return library.load(folder)


_frame = Frame(
    FLAVOR_NAME,
    ["spacy"],
    read=_read,
    predictor=SpacyPredictor,
    stored=Serialization("spacy", True),
)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
describe = _frame.describe
