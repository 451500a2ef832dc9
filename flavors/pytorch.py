"""PyTorch modules: exported programs, pickled modules and TorchScript (format.md 7.5)."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.flavors.torch_predictor import TorchPredictor, choose_device, export
from pyfunc.model import pickle_loading, pickle_writing
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

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

FLAVOR_NAME = "pytorch"

_FOLDER = "data"
_PICKLED = "model.pth"
_EXPORTED = "model.pt2"
_PICKLE_MODULE_FILE = "pickle_module_info.txt"
# The name under which MLflow finds cloudpickle's pickler again.
_PICKLE_MODULE = "mlflow.pytorch.pickle_module"


def save_model(
    pytorch_model: object,
    path: str | os.PathLike[str],
    *,
    serialization_format: Literal["pt2", "pickle"] | None = None,
    export_model: bool = False,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the module ``pytorch_model`` to the new model directory ``path``.

    Args:
        pytorch_model: a ``torch.nn.Module``, a TorchScript module among them; not changed.
        path: must not exist, or be an empty directory.
        serialization_format: ``pt2`` is a graph, traced with ``input_example``, that loads
            without the module's code; ``pickle`` keeps the Python object. By
            default ``pt2``, as in MLflow; TorchScript modules only have ``pickle``.
        export_model: another name for ``pt2``.
        **arguments: what every flavor takes.

    Raises:
        InvalidTypeError: it is no module.
        InvalidArgumentError: the format is unknown, or cannot hold the module.
    """
    torch = _frame.library()
    if not isinstance(pytorch_model, torch.nn.Module):
        raise InvalidTypeError(f"expected a torch.nn.Module, got {shorten(type(pytorch_model))}")
    written = serialization_format or "pt2"
    if written not in ("pt2", "pickle") or (export_model and written != "pt2"):
        raise InvalidArgumentError(
            f"serialization_format: expected 'pt2' or 'pickle', got {shorten(written)} "
            f"with export_model={export_model}"
        )
    is_script = isinstance(pytorch_model, torch.jit.ScriptModule)

    def write(directory: Path) -> None:
        folder = directory / _FOLDER
        folder.mkdir()
        if is_script and written == "pt2":
            raise InvalidArgumentError(
                "a TorchScript module cannot be exported\nhint: serialization_format='pickle'"
            )
        if is_script:
            torch.jit.save(pytorch_model, str(folder / _PICKLED))
        elif written == "pt2":
            program = export(torch, pytorch_model, arguments)
            torch.export.save(program, str(folder / _EXPORTED))
            return
        else:
            torch.save(
                pytorch_model, str(folder / _PICKLED), pickle_module=pickle_writing.pickle_module()
            )
        (folder / _PICKLE_MODULE_FILE).write_text(_PICKLE_MODULE, encoding="utf-8")

    _frame.save(
        pytorch_model,
        path,
        arguments,
        write=write,
        section={"model_data": _FOLDER, "pytorch_version": str(torch.__version__)},
        python_function={"data": _FOLDER, "pickle_module_name": _PICKLE_MODULE},
        predictor=lambda: TorchPredictor(torch, pytorch_model, _device_of(pytorch_model)),
        model_config={"device": None},
    )


def load_opened(opened: OpenedModel) -> TorchPredictor:
    """Return the module in an opened directory, on the device that its configuration names."""
    torch = _frame.library()
    device = choose_device(torch, (opened.model_config or {}).get("device"))
    return TorchPredictor(torch, _read(opened, device), device)


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return pt2 if there is an exported program, else pickle.

    An exported program holds plain weights and a graph, but its sample inputs are pickled.
    """
    exported = f"{section.get('model_data')}/{_EXPORTED}" in files
    return Serialization("pt2" if exported else "pickle", False)


def _read(opened: OpenedModel, device: str = "cpu") -> object:
    torch = _frame.library()
    folder = flavor_key(opened, FLAVOR_NAME, "model_data")
    key = f"flavors.{FLAVOR_NAME}.model_data"
    exported = f"{folder}/{_EXPORTED}"
    if (opened.root / exported).exists():
        # torch takes a pickle where it expected plain tensors, and evaluates formulas of shapes.
        check_code_may_run(f"its exported program {exported}", opened.root)
        data = opened.files.read(exported, key=key)
        with library_errors_named(opened, exported):
            return torch.export.load(io.BytesIO(data)).module().to(device)
    relative = f"{folder}/{_PICKLED}"
    # A pickle inside of an archive: the list of allowed names cannot be held against it.
    check_code_may_run(f"its pickle {relative}", opened.root)
    data = opened.files.read(relative, key=key)
    with opened.scope.active(), pickle_loading.pickle_errors_named(opened, opened.root / relative):
        if _is_script(data):
            return torch.jit.load(io.BytesIO(data), map_location=device)
        return torch.load(
            io.BytesIO(data),
            map_location=device,
            pickle_module=pickle_loading.pickle_module(opened.scope),
            weights_only=False,
        )


def _on_cpu(module: object) -> TorchPredictor:
    return TorchPredictor(_frame.library(), module, "cpu")


def _device_of(module: Any) -> str:
    first = next(iter(module.parameters()), None)
    return "cpu" if first is None else str(first.device)


def _is_script(data: bytes) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:  # the format of releases before 1.6
        return False


_frame = Frame(
    FLAVOR_NAME,
    ["torch", "cloudpickle"],
    read=_read,
    predictor=_on_cpu,
    load_opened=load_opened,
    extra="torch",
)

load_model = _frame.load_model
log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
