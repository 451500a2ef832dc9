"""What is known about a model, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyfunc.schema import ModelSignature

__all__ = ["ModelInfo"]


@dataclass
class ModelInfo:
    """What is known about a model, as ``Model.get_model_info`` returns it.

    Attributes:
        logged_model: what a tracking server says of the model, or None; whatever else is asked
            for (``name``, ``metrics``, ``params``, ``tags``, ``creation_timestamp``) is of it.
    """

    artifact_path: str | None
    flavors: Mapping[str, Mapping[str, object]]
    model_uri: str
    model_uuid: str | None
    run_id: str | None
    saved_input_example_info: Mapping[str, object] | None
    signature: ModelSignature | None
    utc_time_created: str
    mlflow_version: str | None
    metadata: object = None
    registered_model_version: int | None = None
    env_vars: list[str] | None = None
    prompts: list[str] | None = None
    logged_model: object = None
    model_id: str | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _OF_LOGGED_MODEL:
            return getattr(self.logged_model, name, None)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


_OF_LOGGED_MODEL = ("creation_timestamp", "metrics", "name", "params", "tags")
