"""pydantic, which the types of agents are made with, or the command that installs it."""

from __future__ import annotations

from pyfunc.errors import MissingDependencyError

try:
    import pydantic
except ImportError as error:
    raise MissingDependencyError(
        "the types of agents", "pip install 'pyfunc-format[chat]'"
    ) from error

__all__ = ["BaseModel", "Record"]


class BaseModel(pydantic.BaseModel):
    """Base of the types of agents: a pydantic model with the names that MLflow 2 gave methods."""

    @classmethod
    def validate_compat(cls, obj: object) -> pydantic.BaseModel:
        """Return what ``model_validate`` returns."""
        return cls.model_validate(obj)

    def model_dump_compat(
        self, *, exclude_none: bool = False, exclude_unset: bool = False
    ) -> dict[str, object]:
        """Return what ``model_dump`` returns."""
        return self.model_dump(exclude_none=exclude_none, exclude_unset=exclude_unset)


Record = BaseModel
