"""``save_model``: from a Python object, a script or a loader module to a model directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.chat.classes import is_chat
from pyfunc.code.own_files import modules_of_pickle, modules_of_source
from pyfunc.code.scope import CodeScope
from pyfunc.directory.mlmodel import FLAVOR_NAME, PYTHON_LOADER, SCRIPT_LOADER
from pyfunc.env.installed.distributions import installed_version
from pyfunc.env.requirements.environment_files import CONDA_FILE, VIRTUALENV_FILE
from pyfunc.env.requirements.sources import pinned
from pyfunc.errors import InvalidTypeError
from pyfunc.files.copying import copy_into
from pyfunc.handlers.project import OutputStyle
from pyfunc.model.description import Model, add_to_model
from pyfunc.model.hints import TypeHints, pyfunc, read_type_hints
from pyfunc.model.mlflow_standin import stand_in_module
from pyfunc.model.pickle_writing import write_pickle
from pyfunc.model.python_model import (
    FunctionModel,
    PythonModel,
    check_python_model,
    is_python_model,
    overrides_stream,
)
from pyfunc.model.script import run_model_script
from pyfunc.saving.artifacts import copy_artifacts
from pyfunc.saving.mlflow_models import MlflowModel
from pyfunc.saving.request import SaveRequest, example_from
from pyfunc.saving.script_files import warned_of_files
from pyfunc.saving.writing import write_model

if TYPE_CHECKING:
    from pyfunc.schema import InputExample, ModelSignature

__all__ = ["save_model"]


def save_model(  # noqa: PLR0917 - MLflow's order of positional parameters
    path: str | os.PathLike[str],
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
    *,
    loader: Literal["pyfunc", "mlflow"] = "pyfunc",
    overwrite: bool = False,
    handler: str | os.PathLike[str] | None = None,
    project_dir: str | os.PathLike[str] | None = None,
    handler_metadata: Mapping[str, object] | None = None,
    handler_python_path: Sequence[str] | None = None,
    handler_output_style: OutputStyle | None = None,
    handler_tracker: Mapping[str, object] | None = None,
    wrap_as_pyfunc: bool = False,
    **kwargs: Model | MlflowModel | None,
) -> Model | None:
    """Write a model directory that this library and MLflow load; afterwards it is complete.

    Either ``python_model`` (with ``artifacts``) or ``loader_module`` (with ``data_path``) says
    what the model is.

    Args:
        path: must not exist, or be an empty directory; or a URL of a place in a store, such as
            ``s3://bucket/model``, where nothing is.
        loader_module: a module with ``_load_pyfunc(path)``; it is imported only at load.
        data_path: a file or folder, copied below ``data``, whose path the loader is given.
        code_paths: files and folders with code of the model, copied below ``code``.
        infer_code_paths: find the model's own modules below the working directory instead.
        conda_env: a conda environment or its file, instead of inferred requirements.
        mlflow_model: a description to extend; MLflow's own object is taken too, and filled.
        python_model: a :class:`PythonModel` instance, a callable of one argument, or the path
            of a script that calls :func:`set_model`.
        artifacts: name -> path or URL; copied, and given to ``load_context`` as paths.
        signature: what goes in and out; None to find it by trying ``input_example``; False for
            none. Type hints of ``predict`` that are checked make it in any case.
        input_example: data, or ``(data, params)``, saved with the model.
        pip_requirements: the complete list of requirements, or a requirements file.
        extra_pip_requirements: requirements beside those that are inferred.
        metadata: anything that YAML can hold.
        model_config: values for ``context.model_config``, or a YAML file of them.
        streamable: whether ``predict_stream`` works; None to see whether it is defined.
        resources: what else the model needs, as MLflow describes it.
        auth_policy: as MLflow describes it.
        uv_project_path: a folder with ``uv.lock`` and ``pyproject.toml`` to save too.
        uv_groups: dependency groups of that project that the model needs.
        uv_extras: extras of that project that the model needs.
        loader: which library the requirements name: this one, or ``"mlflow"``.
        overwrite: replace what is at ``path``, in one step; in a store there is no model
            meanwhile.
        handler: a Python file with ``pre_inference`` and ``post_inference``, relative to
            ``project_dir``; they work around the model in ``predict_sample``. MLflow passes
            over them.
        project_dir: a folder whose files the handler can read; it is copied below ``project``.
        handler_metadata: a dictionary that is passed to every function of the handler.
        handler_python_path: folders of the project that the handler's imports search.
        handler_output_style: what ``post_inference`` is given: what ``predict`` returned, or
            ``"onnx"``: a list of arrays, one per output.
        handler_tracker: which part of the answers a server counts: ``model_type``
            (``classification`` or ``regression``), and ``key`` if the answer is a mapping.
        wrap_as_pyfunc: make a model whose ``predict`` runs the handler, for MLflow too; the
            model itself, with its signature, is an artifact of it.
        **kwargs: ``model`` is another name for ``mlflow_model``; nothing else is taken.

    Returns:
        The description for a model with a loader module, else None.

    Raises:
        SaveConflictError: there is something at ``path``.
        StoreError: the store failed; there is no model at ``path``.
        PyfuncError: an argument cannot work. The target is as it was.
    """
    if mlflow_model is None:
        mlflow_model = kwargs.pop("model", None)
    if kwargs:
        raise InvalidTypeError(f"save_model() got unexpected arguments: {sorted(kwargs)}")
    request = SaveRequest.from_arguments(
        path,
        loader_module=loader_module,
        data_path=data_path,
        code_paths=code_paths,
        infer_code_paths=infer_code_paths,
        conda_env=conda_env,
        mlflow_model=mlflow_model,
        python_model=python_model,
        artifacts=artifacts,
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        metadata=metadata,
        model_config=model_config,
        streamable=streamable,
        resources=resources,
        auth_policy=auth_policy,
        uv_project_path=uv_project_path,
        uv_groups=uv_groups,
        uv_extras=uv_extras,
        loader=loader,
        overwrite=overwrite,
        handler=handler,
        project_dir=project_dir,
        handler_metadata=handler_metadata,
        handler_python_path=handler_python_path,
        handler_output_style=handler_output_style,
        handler_tracker=handler_tracker,
        wrap_as_pyfunc=wrap_as_pyfunc,
    )
    defaults = [pinned("cloudpickle")] if request.environment.needs_inference else []
    if loader_module is not None:
        return write_model(request, _LoaderContent(request, loader_module), defaults)
    write_model(request, _PythonContent(request), defaults)
    return None


@dataclass
class _LoaderContent:
    """A model that a module of the user's loads, from data of whatever form."""

    request: SaveRequest
    loader_module: str
    data: str | None = None
    imports: set[str] = field(default_factory=set)

    def write(self, directory: Path, model: Model) -> InputExample | None:
        request = self.request
        if request.signature is not None and not isinstance(request.signature, bool):
            if request.example is not None:
                from pyfunc.saving.signature import check_example

                check_example(request.signature, request.example)
            model.signature = request.signature
        if request.data_path is not None:
            self.data = f"data/{request.data_path.name}"
            copy_into(request.data_path, directory / self.data, key="data_path")
        return request.example

    def describe(self, model: Model, code: str | None) -> None:
        add_to_model(
            model,
            self.loader_module,
            data=self.data,
            conda_env=CONDA_FILE,
            python_env=VIRTUALENV_FILE,
            model_config=self.request.model_config,
            streamable=bool(self.request.streamable),
        )
        model.flavors[FLAVOR_NAME]["code"] = code

    def modules(self) -> set[str]:
        return {self.loader_module}


@dataclass
class _PythonContent:
    """A model that is a Python object, pickled or made anew by its script at every load."""

    request: SaveRequest
    keys: dict[str, Any] = field(default_factory=dict)
    pickle: bytes | None = None
    imports: set[str] = field(default_factory=set)
    loader_module: str = PYTHON_LOADER

    def write(self, directory: Path, model: Model) -> InputExample | None:
        with contextlib.closing(CodeScope(stand_in=stand_in_module)) as scope:
            return self._write(directory, model, scope)

    def _write(self, directory: Path, model: Model, scope: CodeScope) -> InputExample | None:
        request = self.request
        python_model, hints = _prepared(request, directory, scope)
        if request.script is None:
            # Before the model is tried: what a trial sets on it must not be saved.
            written = write_pickle(python_model, directory, keep=request.infer_code_paths)
            self.keys.update(written.keys)
            self.pickle = written.pickle
        example, streams = self._tried(python_model, hints, model)
        artifacts = copy_artifacts(request.artifacts, directory)
        if artifacts:
            self.keys["artifacts"] = artifacts
        self.keys["streamable"] = streams if request.streamable is None else request.streamable
        return example

    def _tried(
        self, python_model: PythonModel, hints: TypeHints, model: Model
    ) -> tuple[InputExample | None, bool]:
        """Set the signature of ``model``; return the example, and whether there is a stream."""
        request = self.request
        if is_chat(python_model):
            from pyfunc.saving.chats import check_chat
            from pyfunc.saving.signature import Trial

            trial = Trial(python_model, request.artifacts, request.model_config, self.imports)
            chat, example = check_chat(trial, request, model)
            self.loader_module = chat.loader_module
            return example, True
        found = request.example or example_from(request.given_example)
        model.signature = _find_signature(request, python_model, hints, found, self.imports)
        return found, overrides_stream(python_model)

    def describe(self, model: Model, code: str | None) -> None:
        script = self.request.script
        add_to_model(
            model,
            self.loader_module if script is None else SCRIPT_LOADER,
            conda_env=CONDA_FILE,
            python_env=VIRTUALENV_FILE,
            model_config=self.request.model_config,
            model_code_path=None if script is None else str(script),
            cloudpickle_version=_cloudpickle_version(),
            **self.keys,
        )
        model.flavors[FLAVOR_NAME]["code"] = code

    def modules(self) -> set[str]:
        if self.request.script is not None:
            return modules_of_source(self.request.script)
        assert self.pickle is not None, "kept where the modules are asked for"
        return modules_of_pickle(self.pickle)


def _prepared(
    request: SaveRequest, directory: Path, scope: CodeScope
) -> tuple[PythonModel, TypeHints]:
    """Return the model as an object with ``predict``, and the hints of its predict."""
    model = request.python_model
    if request.script is not None:
        copy_into(request.script, directory / request.script.name, key="python_model")
        # Under its own path, as everywhere else: it may look for files beside itself.
        with warned_of_files(request.script, [*request.code_paths, *request.artifacts.values()]):
            model = run_model_script(
                request.script, scope=scope, model_config=request.model_config
            )
        check_python_model(model)
    if is_python_model(model):
        return model, read_type_hints(model.predict)
    assert callable(model), "checked with the other arguments"
    return FunctionModel(pyfunc(model)), read_type_hints(model)


def _find_signature(
    request: SaveRequest,
    python_model: PythonModel,
    hints: TypeHints,
    example: InputExample | None,
    imports: set[str],
) -> ModelSignature | None:
    """Return the signature to save; only a model that has to be tried costs the imports.

    What the model imports as it is tried is added to ``imports``.
    """
    if example is None and hints.input is None:
        return None if isinstance(request.signature, bool) else request.signature
    from pyfunc.saving.signature import Trial, find_signature

    trial = Trial(python_model, request.artifacts, request.model_config, imports)
    return find_signature(trial, hints, example, request.signature)


def _cloudpickle_version() -> str:
    return installed_version("cloudpickle") or ""
