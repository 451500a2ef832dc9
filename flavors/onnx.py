"""ONNX graphs, run by onnxruntime (format.md 7.6)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.onnx_session import OnnxPredictor, check_session_options, open_session
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
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
    "save_model",
]

FLAVOR_NAME = "onnx"

_FILE = "model.onnx"
_EXTERNAL_FILE = "model.onnx.data"
_EXTERNAL_THRESHOLD = 1024
_PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def save_model(
    onnx_model: Any,
    path: str | os.PathLike[str],
    *,
    onnx_execution_providers: list[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the graph ``onnx_model`` to the new model directory ``path``.

    Args:
        onnx_model: an ``onnx.ModelProto``; checked, and not changed.
        path: must not exist, or be an empty directory.
        onnx_execution_providers: what onnxruntime may run it on, the first choice first; by
            default CUDA, then the CPU. Those that are not there at load are passed over.
        onnx_session_options: ``inter_op_num_threads``, ``intra_op_num_threads``,
            ``execution_mode`` (``sequential`` or ``parallel``), ``graph_optimization_level`` (0,
            1, 2 or 99) and ``extra_session_config``, a mapping of strings.
        save_as_external_data: put tensors of more than 1 KiB into a file beside the graph; a
            graph of more than 2 GB can only be saved so.
        **arguments: what every flavor takes.
    """
    library = import_library("onnx", extra=FLAVOR_NAME)
    if not isinstance(onnx_model, library.ModelProto):
        raise InvalidTypeError(f"expected an onnx.ModelProto, got {shorten(type(onnx_model))}")
    if onnx_session_options is not None:
        check_session_options(onnx_session_options)
    providers = _PROVIDERS if onnx_execution_providers is None else onnx_execution_providers

    def write(directory: Path) -> None:
        _write(library, onnx_model, directory / _FILE, save_as_external_data)

    native = NativeModel(
        FLAVOR_NAME,
        {
            "data": _FILE,
            "onnx_version": library.__version__,
            "providers": list(providers),
            "onnx_session_options": (
                None if onnx_session_options is None else dict(onnx_session_options)
            ),
        },
        {"data": _FILE},
        get_default_pip_requirements(),
        write,
        predictor=lambda: OnnxPredictor(
            open_session(onnx_model.SerializeToString(), onnx_session_options, providers)
        ),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the ``onnx.ModelProto`` in the model at ``model_uri``, checked."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> OnnxPredictor:
    """Return a session of onnxruntime for the model in an opened directory.

    Raises:
        ModelIncompleteError: the graph is missing, damaged or cannot be run.
        MissingDependencyError: onnxruntime is not installed.
    """
    path = _resolve(opened)
    section = opened.flavor(FLAVOR_NAME)
    with library_errors_named(opened, path.name):
        session = open_session(
            str(path), section.get("onnx_session_options"), section.get("providers")
        )
    return OnnxPredictor(session)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> OnnxPredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return onnx: a graph holds no code of Python."""
    return Serialization("onnx", True)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["onnx", "onnxruntime"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _write(library: Any, model: Any, file: Path, external: bool) -> None:
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


def _read(opened: OpenedModel) -> Any:
    library = import_library("onnx", extra=FLAVOR_NAME)
    path = _resolve(opened)
    with library_errors_named(opened, path.name):
        model = library.load(str(path))
        library.checker.check_model(model)
        return model


def _resolve(opened: OpenedModel) -> Path:
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    return opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="file")
