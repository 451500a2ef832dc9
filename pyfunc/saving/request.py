"""What a save was asked for: the arguments of ``save_model``, checked before anything is written.

Rules: format.md 3.1 to 3.3.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyfunc.chat.classes import is_chat
from pyfunc.code.shipped import check_code_paths
from pyfunc.env import EnvironmentSpec
from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    InvalidTypeError,
    ModelFormatError,
    ModelNotFoundError,
    PyfuncError,
    shorten,
)
from pyfunc.files.locations import is_remote, local_path
from pyfunc.files.tracked import is_tracked
from pyfunc.files.urls import without_credentials
from pyfunc.files.yaml_reading import parse_yaml
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.handlers.project import HandlerProject, OutputStyle
from pyfunc.model.config import read_model_config
from pyfunc.model.description import Model
from pyfunc.model.python_model import check_python_model, is_python_model
from pyfunc.model.resources import read_resources
from pyfunc.saving.artifacts import check_artifacts
from pyfunc.saving.mlflow_models import (
    MlflowModel,
    fill_mlflow_model,
    from_mlflow_model,
    is_mlflow_model,
)
from pyfunc.saving.uv_project import UvProject, find_uv_project

if TYPE_CHECKING:
    from pyfunc.schema import InputExample, ModelSignature

__all__ = ["SaveRequest", "example_from"]

Loader = Literal["pyfunc", "mlflow"]


@dataclass(frozen=True)
class SaveRequest:
    """One save. See ``save_model`` for the meaning of the fields; text is a URL of a store."""

    path: Path | str
    environment: EnvironmentSpec
    given_model: Model | MlflowModel | None = None
    described: Mapping[str, object] = field(default_factory=dict)
    loader_module: str | None = None
    data_path: Path | None = None
    python_model: object = None
    script: Path | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    code_paths: Sequence[Path] = ()
    infer_code_paths: bool = False
    signature: ModelSignature | bool | None = None
    example: InputExample | None = None
    given_example: object = None
    model_config: dict[str, object] | None = None
    streamable: bool | None = None
    uv_project: UvProject | None = None
    loader: Loader = "pyfunc"
    overwrite: bool = False
    handler: HandlerProject | None = None
    extra_files: Sequence[Path] = ()

    @classmethod
    def from_arguments(
        cls,
        path: str | os.PathLike[str],
        *,
        loader_module: str | None = None,
        data_path: str | os.PathLike[str] | None = None,
        code_paths: list[str] | None = None,
        infer_code_paths: bool = False,
        conda_env: Mapping[str, object] | str | None = None,
        mlflow_model: Model | MlflowModel | None = None,
        python_model: object = None,
        artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
        signature: ModelSignature | bool | None = None,
        input_example: object = None,
        pip_requirements: Iterable[str] | str | None = None,
        extra_pip_requirements: Iterable[str] | str | None = None,
        metadata: object = None,
        model_config: Mapping[str, object] | str | os.PathLike[str] | None = None,
        streamable: bool | None = None,
        resources: object = None,
        auth_policy: object = None,
        uv_project_path: str | os.PathLike[str] | None = None,
        uv_groups: list[str] | None = None,
        uv_extras: list[str] | None = None,
        loader: Literal["pyfunc", "mlflow"] = "pyfunc",
        overwrite: bool = False,
        handler: str | os.PathLike[str] | None = None,
        project_dir: str | os.PathLike[str] | None = None,
        handler_metadata: Mapping[str, object] | None = None,
        handler_python_path: Sequence[str] | None = None,
        handler_output_style: OutputStyle | None = None,
        handler_tracker: Mapping[str, object] | None = None,
        wrap_as_pyfunc: bool = False,
        extra_files: list[str | os.PathLike[str]] | None = None,
    ) -> SaveRequest:
        """Return the arguments of ``save_model`` as a checked request.

        Raises:
            PyfuncError: an argument cannot work; nothing has been written.
        """
        environment = EnvironmentSpec.from_arguments(
            conda_env=conda_env,
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
        )
        config = _check_config(model_config)
        script = _check_script(python_model)
        _check_kind(loader_module, data_path, python_model, artifacts)
        if script is None and python_model is not None:
            check_python_model(python_model)
            known = (input_example, pip_requirements, extra_pip_requirements)
            _check_has_source_of_requirements(python_model, known)
        is_late = script is not None or is_chat(python_model)
        target = _check_path(path)
        checked_handler = HandlerProject.from_arguments(
            handler,
            project_dir=project_dir,
            handler_metadata=handler_metadata,
            python_path=handler_python_path,
            output_style=handler_output_style,
            tracker=handler_tracker,
            wrap_as_pyfunc=wrap_as_pyfunc,
            target=target if isinstance(target, Path) else None,
        )
        if checked_handler is not None:
            environment = checked_handler.extend(environment)
        return cls(
            path=target,
            environment=environment,
            given_model=_check_model(mlflow_model),
            described=_described(metadata, auth_policy, resources),
            loader_module=loader_module,
            data_path=_check_data_path(data_path),
            python_model=None if script else python_model,
            script=script,
            artifacts=check_artifacts(artifacts),
            code_paths=check_code_paths(code_paths),
            infer_code_paths=_check_infer(infer_code_paths, code_paths),
            signature=_check_signature(signature),
            # What a script or a chat takes shows only when there is an object.
            example=None if is_late else example_from(input_example),
            given_example=input_example if is_late else None,
            model_config=config,
            streamable=streamable,
            uv_project=find_uv_project(uv_project_path, uv_groups, uv_extras),
            loader=_check_loader(loader),
            overwrite=bool(overwrite),
            handler=checked_handler,
            extra_files=_check_extra_files(extra_files),
        )

    def new_description(self) -> Model:
        """Return what the save describes the model in: new, or a copy of what was given."""
        given = self.given_model
        if is_mlflow_model(given):
            model = from_mlflow_model(given)
        else:
            model = copy.copy(given) if isinstance(given, Model) else Model()
        model.flavors = dict(model.flavors)
        for name, value in self.described.items():
            setattr(model, name, value)
        return model

    def hand_out(self, model: Model) -> Model:
        """Return ``model``, or the Model that the caller gave after it says the same."""
        given = self.given_model
        if is_mlflow_model(given):
            fill_mlflow_model(given, model)
        if not isinstance(given, Model):
            return model
        vars(given).update(vars(model))
        return given


def _check_path(path: object) -> Path | str:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InvalidTypeError(f"path: expected a path, got {shorten(path)}")
    if not isinstance(path, str) or not is_remote(path):
        return local_path(path)
    if is_tracked(path):
        raise InvalidArgumentError(
            f"path: {without_credentials(path)}: a tracking server gives a model its place "
            "itself\nhint: log_model(name=..., registered_model_name=...) saves one there"
        )
    return path


def _check_kind(
    loader_module: object, data_path: object, python_model: object, artifacts: object
) -> None:
    own = _names_given(loader_module=loader_module, data_path=data_path)
    python = _names_given(python_model=python_model, artifacts=artifacts)
    if own and python:
        raise InvalidArgumentError(
            f"{', '.join(own)} cannot be given together with {', '.join(python)}\n"
            "hint: a model has either a loader module of its own or a python model"
        )
    if loader_module is None and python_model is None:
        raise InvalidArgumentError(
            "either loader_module or python_model must be given\n"
            "hint: python_model takes an instance, a callable, or the path of a script"
        )
    if loader_module is not None and not isinstance(loader_module, str):
        raise InvalidTypeError(
            f"loader_module: expected a module name, got {shorten(loader_module)}"
        )


def _names_given(**values: object) -> list[str]:
    return [name for name, value in values.items() if value is not None]


def _check_script(python_model: object) -> Path | None:
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


def _check_has_source_of_requirements(python_model: object, sources: Iterable[object]) -> None:
    if not is_python_model(python_model) and all(source is None for source in sources):
        raise PyfuncError(
            "a callable needs at least one of input_example, pip_requirements, "
            "extra_pip_requirements, so that its requirements are known",
            INTERNAL_ERROR,
        )


def _check_config(
    config: Mapping[str, object] | str | os.PathLike[str] | None,
) -> dict[str, object] | None:
    if config is None:
        return None
    values = read_model_config(config)
    if not isinstance(config, Mapping):
        return _check_config_of_file(values)
    keys: list[object] = list(values)
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


def _check_config_of_file(values: dict[str, object]) -> dict[str, object]:
    """Check that MLmodel can hold what a file of the caller's has, dates and numbers as keys too.

    Raises:
        InvalidArgumentError: it cannot.
    """
    try:
        parse_yaml(dump_yaml({"config": values}))
    except ModelFormatError as error:
        raise InvalidArgumentError(f"model_config: {error}") from error
    return values


def _check_data_path(data_path: object) -> Path | None:
    if data_path is None:
        return None
    if not isinstance(data_path, (str, os.PathLike)):
        raise InvalidTypeError(f"data_path: expected a path, got {shorten(data_path)}")
    path = Path(os.path.abspath(data_path))
    if not path.exists():
        raise ModelNotFoundError(f"data_path: no such file or directory: {data_path}")
    return path


def _check_infer(infer_code_paths: object, code_paths: object) -> bool:
    if infer_code_paths and code_paths is not None:
        raise PyfuncError(
            "infer_code_paths and code_paths cannot be given together", INTERNAL_ERROR
        )
    return bool(infer_code_paths)


def _check_signature(signature: object) -> ModelSignature | bool | None:
    from pyfunc.schema import ModelSignature
    from pyfunc.schema.signature import check_readable

    if isinstance(signature, ModelSignature):
        return check_readable(signature)
    if signature is None or signature is False:
        return signature
    # A signature that real MLflow made says the same in its dictionary form.
    if type(signature).__name__ == "ModelSignature" and hasattr(signature, "to_dict"):
        return ModelSignature.from_dict(signature.to_dict())
    raise InvalidTypeError(
        f"signature: expected a ModelSignature, None or False, got {shorten(signature)}\n"
        "hint: pyfunc.schema.infer_signature(model_input, model_output) makes one"
    )


def example_from(value: object) -> InputExample | None:
    """Return the input example that a caller gave as what is saved of it; None for none.

    Raises:
        InvalidArgumentError: it is of a kind that no model directory can hold.
        InvalidTypeError: a part of it has no JSON form.
    """
    if value is None:
        return None
    from pyfunc.schema import InputExample

    return InputExample.from_value(value)


def _check_loader(loader: object) -> Loader:
    if loader == "pyfunc":
        return "pyfunc"
    if loader == "mlflow":
        return "mlflow"
    raise InvalidArgumentError(f"loader: expected 'pyfunc' or 'mlflow', got {shorten(loader)}")


def _check_extra_files(given: object) -> list[Path]:
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        raise InvalidTypeError(f"extra_files: expected a list of paths, got {shorten(given)}")
    return [Path(os.path.abspath(item)) for item in given]


def _check_model(model: object) -> Model | MlflowModel | None:
    if model is None or isinstance(model, Model) or is_mlflow_model(model):
        return model
    raise InvalidTypeError(
        f"mlflow_model: expected a pyfunc.Model or an mlflow.models.Model, got {shorten(model)}"
    )


def _described(metadata: object, auth_policy: object, resources: object) -> dict[str, object]:
    """Return what the caller says of the model, by the attributes of a description."""
    policy = auth_policy.to_dict() if hasattr(auth_policy, "to_dict") else auth_policy
    found = {
        "metadata": metadata,
        "auth_policy": policy,
        "resources": None if resources is None else read_resources(resources),
    }
    return {name: value for name, value in found.items() if value is not None}
