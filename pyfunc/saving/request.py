"""What a save was asked for: the arguments of ``save_model``, checked before anything is written.

Rules: format.md 3.1 to 3.3.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.code.shipped import check_code_paths
from pyfunc.env import EnvironmentSpec
from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    PyfuncError,
    shorten,
)
from pyfunc.handlers.project import HandlerProject
from pyfunc.model.config import read_model_config
from pyfunc.model.description import Model, new_model
from pyfunc.model.mlflow_names import PYTHON_LOADER
from pyfunc.model.python_model import PythonModel
from pyfunc.saving.artifacts import check_artifacts
from pyfunc.saving.resources import read_resources
from pyfunc.saving.uv_project import UvProject, find_uv_project

if TYPE_CHECKING:
    from pyfunc.schema import ModelSignature

__all__ = ["SaveRequest", "check_python_model", "is_python_model"]

Loader = Literal["pyfunc", "mlflow"]


@dataclass(frozen=True)
class SaveRequest:
    """One save. See ``save_model`` for the meaning of the fields."""

    path: Path
    environment: EnvironmentSpec
    model: Model
    loader_module: str | None = None
    data_path: Path | None = None
    python_model: Any = None
    script: Path | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    code_paths: Sequence[Path] = ()
    infer_code_paths: bool = False
    signature: ModelSignature | bool | None = None
    example: Any = None
    model_config: Mapping[str, Any] | None = None
    streamable: bool | None = None
    uv_project: UvProject | None = None
    loader: Loader = "pyfunc"
    overwrite: bool = False
    handler: HandlerProject | None = None

    @classmethod
    def from_arguments(cls, path: Any, **given: Any) -> SaveRequest:
        """Return the arguments of ``save_model`` as a checked request.

        Raises:
            PyfuncError: an argument cannot work; nothing has been written.
        """
        environment = EnvironmentSpec.from_arguments(
            conda_env=given["conda_env"],
            pip_requirements=given["pip_requirements"],
            extra_pip_requirements=given["extra_pip_requirements"],
        )
        config = _check_config(given["model_config"])
        script = _check_script(given["python_model"])
        python_model = None if script else given["python_model"]
        _check_kind(given, python_model)
        if python_model is not None:
            check_python_model(python_model)
            _check_has_source_of_requirements(python_model, given)
        target = _check_path(path)
        handler = _check_handler(given, target)
        return cls(
            path=target,
            environment=environment if handler is None else handler.extend(environment),
            model=_described_model(given),
            loader_module=given["loader_module"],
            data_path=_check_data_path(given["data_path"]),
            python_model=python_model,
            script=script,
            artifacts=check_artifacts(given["artifacts"]),
            code_paths=check_code_paths(given["code_paths"]),
            infer_code_paths=_check_infer(given),
            signature=_check_signature(given["signature"]),
            example=_check_example(given["input_example"]),
            model_config=config,
            streamable=given["streamable"],
            uv_project=find_uv_project(
                given["uv_project_path"], given["uv_groups"], given["uv_extras"]
            ),
            loader=_check_loader(given["loader"]),
            overwrite=bool(given["overwrite"]),
            handler=handler,
        )


def is_python_model(value: object) -> bool:
    """Return whether ``value`` is an instance of PythonModel, ours or that of real MLflow."""
    return isinstance(value, PythonModel) or any(
        base.__name__ == "PythonModel" and base.__module__ == PYTHON_LOADER
        for base in type(value).__mro__
    )


def check_python_model(value: object) -> None:
    """Check that ``value`` can be saved as a python model.

    Raises:
        InvalidArgumentError: it is neither a PythonModel instance nor a callable of one argument.
    """
    if is_python_model(value):
        return
    if not callable(value):
        raise InvalidArgumentError(
            "python_model: expected a PythonModel instance, a callable of one argument or the "
            f"path of a script that calls set_model, got {shorten(value)}"
        )
    if isinstance(value, type) and issubclass(value, PythonModel):
        raise InvalidArgumentError(
            f"python_model: expected an instance, got the class {value.__name__}\n"
            f"hint: pass {value.__name__}()"
        )
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"python_model: the parameters of {shorten(value)} cannot be read"
        ) from error
    if len(parameters) != 1:
        raise InvalidArgumentError(
            "python_model: a callable must take exactly one argument, "
            f"{shorten(value)} takes {len(parameters)}"
        )


def _check_path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InvalidTypeError(f"path: expected a path, got {shorten(path)}")
    return Path(path)


def _check_handler(given: Mapping[str, Any], target: Path) -> HandlerProject | None:
    # Other callers than ``save_model`` need not name these.
    return HandlerProject.from_arguments(
        given.get("handler"),
        project_dir=given.get("project_dir"),
        handler_metadata=given.get("handler_metadata"),
        python_path=given.get("handler_python_path"),
        output_style=given.get("handler_output_style"),
        tracker=given.get("handler_tracker"),
        wrap_as_pyfunc=given.get("wrap_as_pyfunc"),
        target=target,
    )


def _check_kind(given: Mapping[str, Any], python_model: Any) -> None:
    own = [name for name in ("loader_module", "data_path") if given[name] is not None]
    python = [name for name in ("python_model", "artifacts") if given[name] is not None]
    if own and python:
        raise InvalidArgumentError(
            f"{', '.join(own)} cannot be given together with {', '.join(python)}\n"
            "hint: a model has either a loader module of its own or a python model"
        )
    if given["loader_module"] is None and given["python_model"] is None:
        raise InvalidArgumentError(
            "either loader_module or python_model must be given\n"
            "hint: python_model takes an instance, a callable, or the path of a script"
        )
    if given["loader_module"] is not None and not isinstance(given["loader_module"], str):
        raise InvalidTypeError(
            f"loader_module: expected a module name, got {shorten(given['loader_module'])}"
        )


def _check_script(python_model: Any) -> Path | None:
    """Return the script that ``python_model`` names, or None if it is an object."""
    if not isinstance(python_model, (str, os.PathLike)):
        return None
    path = Path(os.path.abspath(python_model))
    if not path.exists():
        guess = "" if path.suffix else f"\nhint: did you mean {path}.py?"
        raise ModelNotFoundError(
            f"python_model: no such script: {path}{guess}", INVALID_PARAMETER_VALUE
        )
    if not path.is_file() or path.suffix != ".py":
        raise InvalidArgumentError(f"python_model: {path} is not a Python file")
    return path


def _check_has_source_of_requirements(python_model: Any, given: Mapping[str, Any]) -> None:
    if is_python_model(python_model):
        return
    names = ("input_example", "pip_requirements", "extra_pip_requirements")
    if all(given[name] is None for name in names):
        raise PyfuncError(
            f"a callable needs at least one of {', '.join(names)}, so that its requirements are "
            "known",
            INTERNAL_ERROR,
        )


def _check_config(config: Any) -> dict[str, Any] | None:
    if config is None:
        return None
    values = read_model_config(config)
    keys: list[Any] = list(values)
    odd = [key for key in keys if not isinstance(key, str)]
    if odd:
        raise InvalidArgumentError(f"model_config: keys must be strings, got {shorten(odd)}")
    try:
        json.dumps(values)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"model_config: values must be what JSON can hold: {error}"
        ) from error
    return values


def _check_data_path(data_path: Any) -> Path | None:
    if data_path is None:
        return None
    if not isinstance(data_path, (str, os.PathLike)):
        raise InvalidTypeError(f"data_path: expected a path, got {shorten(data_path)}")
    path = Path(os.path.abspath(data_path))
    if not path.exists():
        raise ModelNotFoundError(f"data_path: no such file or directory: {data_path}")
    return path


def _check_infer(given: Mapping[str, Any]) -> bool:
    if given["infer_code_paths"] and given["code_paths"] is not None:
        raise PyfuncError(
            "infer_code_paths and code_paths cannot be given together", INTERNAL_ERROR
        )
    return bool(given["infer_code_paths"])


def _check_signature(signature: Any) -> Any:
    from pyfunc.schema import ModelSignature

    if signature is None or signature is False or isinstance(signature, ModelSignature):
        return signature
    # A signature that real MLflow made says the same in its dictionary form.
    if type(signature).__name__ == "ModelSignature" and hasattr(signature, "to_dict"):
        return ModelSignature.from_dict(signature.to_dict())
    raise InvalidTypeError(
        f"signature: expected a ModelSignature, None or False, got {shorten(signature)}\n"
        "hint: pyfunc.schema.infer_signature(model_input, model_output) makes one"
    )


def _check_example(value: Any) -> Any:
    if value is None:
        return None
    from pyfunc.schema import InputExample

    return InputExample.from_value(value)


def _check_loader(loader: Any) -> Loader:
    if loader not in ("pyfunc", "mlflow"):
        raise InvalidArgumentError(f"loader: expected 'pyfunc' or 'mlflow', got {shorten(loader)}")
    return loader  # type: ignore[no-any-return]


def _described_model(given: Mapping[str, Any]) -> Model:
    model = given["mlflow_model"] if given["mlflow_model"] is not None else new_model()
    if not isinstance(model, Model):
        raise InvalidTypeError(f"mlflow_model: expected a pyfunc.Model, got {shorten(model)}")
    if given["metadata"] is not None:
        model.metadata = given["metadata"]
    policy = given["auth_policy"]
    if policy is not None:
        model.auth_policy = policy.to_dict() if hasattr(policy, "to_dict") else policy
    if given["resources"] is not None:
        model.resources = read_resources(given["resources"])
    return model
