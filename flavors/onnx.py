"""ONNX graphs, run by onnxruntime (format.md 7.6)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.onnx_files import Graph, check_graph
from pyfunc.flavors.onnx_options import check_providers, check_session_options
from pyfunc.flavors.onnx_session import OnnxPredictor, open_session
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "onnx"

_FILE = "model.onnx"
_EXTERNAL_FILE = "model.onnx.data"
_EXTERNAL_THRESHOLD = 1024
_PROVIDERS: list[object] = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def save_model(
    onnx_model: object,
    path: str | os.PathLike[str],
    *,
    onnx_execution_providers: list[object] | None = None,
    onnx_session_options: Mapping[str, object] | None = None,
    save_as_external_data: bool = True,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the graph ``onnx_model`` to the new model directory ``path``.

    Args:
        onnx_model: an ``onnx.ModelProto``; checked, and not changed.
        path: must not exist, or be an empty directory.
        onnx_execution_providers: what onnxruntime may run it on, the first choice first: names,
            or pairs of a name and a mapping of options; by default CUDA, then the CPU. Those
            that are not there at load are passed over.
        onnx_session_options: ``inter_op_num_threads``, ``intra_op_num_threads``,
            ``execution_mode`` (``sequential`` or ``parallel``), ``graph_optimization_level`` (0,
            1, 2 or 99) and ``extra_session_config``, a mapping of onnxruntime's switches. What
            would name a file is refused; docs/flavors.md has the list.
        save_as_external_data: put tensors of more than 1 KiB into a file beside the graph; a
            graph of more than 2 GB can only be saved so.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not isinstance(onnx_model, library.ModelProto):
        raise InvalidTypeError(f"expected an onnx.ModelProto, got {shorten(type(onnx_model))}")
    if onnx_session_options is not None:
        check_session_options(onnx_session_options)
    providers = _PROVIDERS if onnx_execution_providers is None else onnx_execution_providers
    check_providers(providers)

    def write(directory: Path) -> None:
        _write(library, onnx_model, directory / _FILE, save_as_external_data)

    _frame.save(
        onnx_model,
        path,
        arguments,
        write=write,
        section={
            "data": _FILE,
            "onnx_version": library.__version__,
            "providers": [list(p) if isinstance(p, tuple) else p for p in providers],
            "onnx_session_options": (
                None if onnx_session_options is None else dict(onnx_session_options)
            ),
        },
        python_function={"data": _FILE},
        predictor=lambda: OnnxPredictor(
            open_session(onnx_model.SerializeToString(), onnx_session_options, providers)
        ),
    )


def load_opened(opened: OpenedModel) -> OnnxPredictor:
    """Return a session of onnxruntime for the model in an opened directory.

    Raises:
        ModelIncompleteError: the graph is missing, damaged or cannot be run.
        MissingDependencyError: onnxruntime is not installed.
    """
    _, path = _read_graph(opened)
    section = opened.flavor(FLAVOR_NAME)
    try:
        with library_errors_named(opened, path.name):
            session = open_session(
                str(path), section.get("onnx_session_options"), section.get("providers")
            )
    except InvalidArgumentError as error:  # what the file says is no argument of the caller
        raise ModelFormatError(
            str(error), path=opened.root / MLMODEL_FILE, key=f"flavors.{FLAVOR_NAME}"
        ) from error
    return OnnxPredictor(session)


def _write(library: ModuleType, model: object, file: Path, external: bool) -> None:
    try:
        library.checker.check_model(model)
    except library.checker.ValidationError as error:
        raise InvalidArgumentError(f"the onnx model is not valid: {error}") from error
    if external:
        # The library moves the tensors out of the object itself.
        saved = library.ModelProto()
        saved.CopyFrom(model)
        library.save_model(
            saved,
            str(file),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=_EXTERNAL_FILE,
            size_threshold=_EXTERNAL_THRESHOLD,
        )
    else:
        library.save_model(model, str(file))


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    model, path = _read_graph(opened)
    with library_errors_named(opened, path.name):
        helper = import_library("onnx.external_data_helper", extra=FLAVOR_NAME)
        helper.load_external_data_for_model(model, str(path.parent))
        library.checker.check_model(model)
        return model


def _read_graph(opened: OpenedModel) -> tuple[Graph, Path]:
    """Return the graph without what lies in other files, which are checked, and its path."""
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    key = f"flavors.{FLAVOR_NAME}.data"
    path = opened.files.resolve(relative, key=key, kind="file")
    placed = path.relative_to(opened.root).as_posix()
    data = opened.files.read(placed, key=key)
    with library_errors_named(opened, path.name):
        graph: Graph = _frame.library().load_model_from_string(data)
        check_graph(opened, placed, graph)
    return graph, path


_frame = Frame(
    FLAVOR_NAME,
    ["onnx", "onnxruntime"],
    read=_read,
    predictor=OnnxPredictor,
    load_opened=load_opened,
    stored=Serialization("onnx", True, "data"),
)

load_model = _frame.load_model
log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
describe = _frame.describe
