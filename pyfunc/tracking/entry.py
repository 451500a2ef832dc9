"""``log_model``: a Python model saved to a tracking server, with MLflow's parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pyfunc.saving.entry import save_model
from pyfunc.tracking.logging import ModelInfo, log

if TYPE_CHECKING:
    from pyfunc.schema import ModelSignature

__all__ = ["log_model"]


def log_model(  # noqa: PLR0917 - MLflow's order of positional parameters
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | os.PathLike[str] | None = None,
    code_paths: list[str] | None = None,
    infer_code_paths: bool = False,
    conda_env: Mapping[str, object] | str | None = None,
    python_model: object = None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: object = None,
    await_registration_for: int | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    metadata: Mapping[str, object] | None = None,
    model_config: Mapping[str, object] | str | os.PathLike[str] | None = None,
    streamable: bool | None = None,
    resources: object = None,
    auth_policy: object = None,
    uv_project_path: str | os.PathLike[str] | None = None,
    uv_groups: list[str] | None = None,
    uv_extras: list[str] | None = None,
    prompts: list[object] | None = None,
    name: str | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **ours: object,
) -> ModelInfo:
    """Save a model to the tracking server that MLflow's client is set to; return what is there.

    The parameters are those of ``mlflow.pyfunc.log_model``; what they say of the model means
    what it means to :func:`pyfunc.save_model`.

    Args:
        artifact_path: MLflow's older name for ``name``.
        loader_module: as for ``save_model``, like all that are not listed here.
        data_path: as for ``save_model``.
        code_paths: as for ``save_model``.
        infer_code_paths: as for ``save_model``.
        conda_env: as for ``save_model``.
        python_model: as for ``save_model``.
        artifacts: as for ``save_model``.
        registered_model_name: the name in the registry that it becomes a new version of.
        signature: as for ``save_model``.
        input_example: as for ``save_model``; MLflow also tries it as a request to a server.
        await_registration_for: seconds to wait for the registry; 0 or None not to.
        pip_requirements: as for ``save_model``.
        extra_pip_requirements: as for ``save_model``.
        metadata: as for ``save_model``.
        model_config: as for ``save_model``; its values become parameters of the run.
        streamable: as for ``save_model``.
        resources: as for ``save_model``.
        auth_policy: as for ``save_model``.
        uv_project_path: as for ``save_model``.
        uv_groups: as for ``save_model``.
        uv_extras: as for ``save_model``.
        prompts: prompts of the registry that belong to the model, or their URIs.
        name: of the logged model.
        params: parameters of the logged model, beside those of the run.
        tags: of the logged model and of the version in the registry.
        model_type: of the logged model, such as ``agent``.
        step: of the run at which the model is its output.
        model_id: a logged model that was made before and is filled now.
        **ours: further arguments of ``save_model``, such as ``handler``.

    Returns:
        MLflow's ``ModelInfo``.

    Raises:
        MissingDependencyError: MLflow's client is not installed; names the pip command.
        StoreError: the server cannot be reached, or refuses.
        PyfuncError: as for ``save_model``; the logged model is marked as failed.
    """
    return log(
        "pyfunc",
        save_model,
        artifact_path=artifact_path,
        loader_module=loader_module,
        data_path=data_path,
        code_paths=code_paths,
        infer_code_paths=infer_code_paths,
        conda_env=conda_env,
        python_model=python_model,
        artifacts=artifacts,
        registered_model_name=registered_model_name,
        signature=signature,
        input_example=input_example,
        await_registration_for=await_registration_for or 0,
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
        prompts=prompts,
        name=name,
        params=params,
        tags=tags,
        model_type=model_type,
        step=step,
        model_id=model_id,
        **ours,
    )
