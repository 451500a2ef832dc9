"""The ``MLmodel`` file as an object: reading, writing, comparing, adding flavors.

Keys are those of format.md 1. What this library does not know is kept in ``extra`` and written
back unchanged; nothing from a file ever becomes an attribute.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from pyfunc.directory.mlmodel import (
    FLAVOR_NAME,
    MLMODEL_FILE,
    MLmodel,
    check_flavors,
    parse_mlmodel,
    read_mlmodel,
)
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import InvalidTypeError, ModelFormatError, PyfuncError, shorten
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.locations import is_remote, local_directory, local_path, resolve_model
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.model.info import ModelInfo
from pyfunc.model.resources import describe_resources

if TYPE_CHECKING:
    from pyfunc.schema import ModelSignature, ParamSchema, Schema
    from pyfunc.schema.examples.reading import ReadFile

__all__ = ["FORMAT_VERSION", "Model", "add_to_model"]

# The MLflow release whose format is written here; stock MLflow reads it from `mlflow_version`.
FORMAT_VERSION = "3.17.2"

# Key in the file -> whether it is written although it is None.
_PLAIN_KEYS = {
    "artifact_path": False,
    "run_id": False,
    "utc_time_created": False,
    "saved_input_example_info": False,
    "model_uuid": True,
    "mlflow_version": False,
    "metadata": False,
    "model_size_bytes": False,
    "resources": False,
    "env_vars": False,
    "auth_policy": False,
    "model_id": True,
    "prompts": True,
}
_TAGS = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
_HINT_FLAGS = {
    "is_signature_from_type_hint": "_is_signature_from_type_hint",
    "type_hint_from_example": "_is_type_hint_from_example",
}


class _TextStream(Protocol):
    def write(self, text: str, /) -> object:
        """Take ``text``."""


class Model:
    """One MLmodel file.

    The keyword arguments are the keys of the file (format.md 1.1); unknown ones go to ``extra``.

    Args:
        model_uuid: the id, or a function that returns one; without it there is a new one.
        resources: what else the model needs: as the file has it, the path of a YAML file with
            it, or a list of MLflow's objects.
        auth_policy: as the file has it, or MLflow's object.
    """

    def __init__(  # noqa: PLR0917 - MLflow's order of positional parameters
        self,
        artifact_path: str | None = None,
        run_id: str | None = None,
        utc_time_created: object = None,
        flavors: dict[str, dict[str, Any]] | None = None,
        signature: ModelSignature | None = None,
        saved_input_example_info: Mapping[str, object] | None = None,
        model_uuid: str | Callable[[], str] | None = lambda: uuid.uuid4().hex,
        mlflow_version: str | None = FORMAT_VERSION,
        metadata: object = None,
        model_size_bytes: int | None = None,
        resources: object = None,
        env_vars: list[str] | None = None,
        auth_policy: object = None,
        model_id: str | None = None,
        prompts: list[str] | None = None,
        **extra: object,
    ) -> None:
        self.artifact_path = artifact_path
        self.run_id = run_id
        self.utc_time_created = str(utc_time_created or _now())
        self.flavors: dict[str, dict[str, Any]] = {} if flavors is None else flavors
        self.saved_input_example_info = saved_input_example_info
        self.model_uuid = model_uuid() if callable(model_uuid) else model_uuid
        self.mlflow_version = mlflow_version
        self.metadata = metadata
        self.model_size_bytes = model_size_bytes
        self.resources = resources
        self.env_vars = env_vars
        self.auth_policy = auth_policy
        self.model_id = model_id
        self.prompts = prompts
        self.extra = extra
        self._file: str | None = None
        self._written_signature: dict[str, object] | None = None
        self._signature: ModelSignature | None = None
        self.signature = signature

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a description of ours or of MLflow's."""
        if "_written_signature" in state:
            vars(self).update(state)
            return
        plain = {name.lstrip("_"): value for name, value in state.items()}
        known = ("flavors", "signature", *_PLAIN_KEYS)
        Model.__init__(self, **{name: plain[name] for name in known if name in plain})

    @property
    def signature(self) -> ModelSignature | None:
        """The signature, or None; assigning False leaves it as it is."""
        if self._signature is None and self._written_signature is not None:
            self._signature = _read_signature(self._written_signature, self._file)
        return self._signature

    @signature.setter
    def signature(self, value: ModelSignature | bool | None) -> None:
        if value is False:
            return
        if value is not None and not hasattr(value, "to_dict"):
            raise InvalidTypeError(
                f"signature: expected a ModelSignature, None or False, got {shorten(value)}"
            )
        self._signature = value  # type: ignore[assignment]
        self._written_signature = None

    @property
    def env_vars(self) -> list[str] | None:
        """Names of environment variables that the model was seen to use, or None."""
        return self._env_vars

    @env_vars.setter
    def env_vars(self, value: list[str] | None) -> None:
        names: object = value
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if names and not is_list:
            raise InvalidTypeError(f"env_vars: expected a list of str, got {shorten(value)}")
        self._env_vars = value

    @property
    def resources(self) -> object:
        """What the model needs beside packages, as the file has it."""
        return self._resources

    @resources.setter
    def resources(self, value: object) -> None:
        self._resources = describe_resources(value)

    @property
    def auth_policy(self) -> object:
        """What the model may do in whose name, as the file has it."""
        return self._auth_policy

    @auth_policy.setter
    def auth_policy(self, value: object) -> None:
        self._auth_policy = value.to_dict() if hasattr(value, "to_dict") else value

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Return the model described by an MLmodel file, or by the directory that holds it.

        Args:
            path: of the file or the directory; a URI as for ``load_model``.

        Raises:
            ModelNotFoundError: there is no such file.
            ModelFormatError: the file is malformed; ``key`` says where.
        """
        if is_remote(path):
            url = os.fspath(path).removesuffix(f"/{MLMODEL_FILE}")
            return cls.from_mlmodel(read_mlmodel(resolve_model(url)))
        return cls.from_mlmodel(read_mlmodel(local_path(path)))

    @classmethod
    def from_bytes(cls, data: bytes, *, file: str | Path) -> Model:
        """Return the model described by the content of the MLmodel file ``file``.

        Raises:
            ModelFormatError: the content is malformed.
        """
        return cls.from_mlmodel(parse_mlmodel(data, path=file))

    @classmethod
    def from_mlmodel(cls, mlmodel: MLmodel) -> Model:
        """Return the model described by an MLmodel file that was parsed before.

        Raises:
            ModelFormatError: a key has a value that it cannot have.
        """
        return cls._from_file_values(dict(mlmodel.values), file=str(mlmodel.path))

    @classmethod
    def from_dict(cls, model_dict: Mapping[str, object]) -> Model:
        """Return the model that ``to_dict`` of an equal model describes.

        Raises:
            ModelFormatError: a key has a value that it cannot have.
        """
        return cls._from_file_values({"flavors": {}, **model_dict}, file=None)

    @classmethod
    def _from_file_values(cls, values: dict[str, Any], *, file: str | None) -> Model:
        flavors = values.pop("flavors", None)
        signature = values.pop("signature", None)
        flags = {key: values.pop(key) for key in _HINT_FLAGS if key in values}
        known = {key: values.pop(key) for key in _PLAIN_KEYS if key in values}
        check_flavors(flavors, file)
        _check_known(known, flags, signature, file)
        known = {"mlflow_version": None, "model_uuid": None, **known}
        resources = known.pop("resources", None)
        model = cls(flavors=dict(flavors), **known)
        model._resources = resources  # text in a file is no path for us to read
        model.extra = values
        model._file = file
        if signature is not None:
            model._written_signature = {**signature, **flags}
        return model

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file; containers inside are shared with this object."""
        content: dict[str, object] = {**self.extra, "flavors": self.flavors}
        for key, always in _PLAIN_KEYS.items():
            value = getattr(self, key)
            if value is not None or always:
                content[key] = value
        signature = self.signature
        written = {} if signature is None else signature.to_dict()
        if any(part is not None for part in written.values()):  # else nobody could read it back
            content["signature"] = written
            for key, attribute in _HINT_FLAGS.items():
                content[key] = bool(getattr(signature, attribute, False))
        return content

    def get_tags_dict(self) -> dict[str, Any]:
        """Return what of the file identifies the model, and its flavors without their config."""
        content = self.to_dict()
        tags = {key: content[key] for key in _TAGS if key in content}
        tags["flavors"] = {
            name: {key: value for key, value in section.items() if key != "config"}
            for name, section in self.flavors.items()
        }
        return tags

    @overload
    def to_yaml(self, stream: None = None) -> str: ...
    @overload
    def to_yaml(self, stream: _TextStream) -> None: ...
    def to_yaml(self, stream: _TextStream | None = None) -> str | None:
        """Return the text of the file, laid out as MLflow does it.

        Args:
            stream: where the text is written to; then nothing is returned.
        """
        text = dump_yaml(self.to_dict())
        if stream is None:
            return text
        stream.write(text)
        return None

    def __str__(self) -> str:
        return self.to_yaml()

    def to_json(self) -> str:
        """Return the content as JSON."""
        return json.dumps(self.to_dict())

    def write_into(self, directory: Path) -> None:
        """Write the file into ``directory``, which is being made and has no reader yet."""
        (directory / MLMODEL_FILE).write_bytes(self.to_yaml().encode())

    def save(self, path: str | Path) -> None:
        """Write the file ``path``, all of it or nothing."""
        write_file_atomically(Path(path), self.to_yaml().encode())

    def add_flavor(self, name: str, **params: object) -> Model:
        """Describe the flavor ``name`` by ``params``, replacing an earlier description."""
        self.flavors[name] = params
        return self

    def get_input_schema(self) -> Schema | None:
        """Return the schema of the input, or None."""
        return None if self.signature is None else self.signature.inputs

    def get_output_schema(self) -> Schema | None:
        """Return the schema of the output, or None."""
        return None if self.signature is None else self.signature.outputs

    def get_params_schema(self) -> ParamSchema | None:
        """Return the schema of the parameters, or None."""
        return None if self.signature is None else self.signature.params

    def load_input_example(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the input example saved in the model directory ``path``, or None.

        Its file is held against the manifest, if there is one.

        Raises:
            ModelFormatError: its description or its file is malformed.
        """
        if self.saved_input_example_info is None:
            return None
        from pyfunc.schema import read_input_example

        return read_input_example(
            self.saved_input_example_info, self._reader(path), self.get_input_schema()
        )

    def load_input_example_params(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the parameters saved with the input example, or None."""
        if self.saved_input_example_info is None:
            return None
        from pyfunc.schema import read_example_params

        return read_example_params(self.saved_input_example_info, self._reader(path))

    def get_serving_input(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Return the body of a serving request that the input example makes, or None."""
        if self.saved_input_example_info is None:
            return None
        from pyfunc.schema import read_serving_input

        return read_serving_input(self.saved_input_example_info, self._reader(path))

    def get_model_info(self, logged_model: object = None) -> ModelInfo:
        """Return what the file says of the model.

        Args:
            logged_model: what a tracking server says of it, as an object of MLflow. The server
                is not asked.
        """
        run = f"runs:/{self.run_id}/{self.artifact_path}"
        return ModelInfo(
            artifact_path=self.artifact_path,
            flavors=self.flavors,
            model_uri=f"models:/{self.model_id}" if self.model_id else run,
            model_uuid=self.model_uuid,
            run_id=self.run_id,
            saved_input_example_info=self.saved_input_example_info,
            signature=self.signature,
            utc_time_created=self.utc_time_created,
            mlflow_version=self.mlflow_version,
            metadata=self.metadata,
            env_vars=self.env_vars,
            prompts=self.prompts,
            logged_model=logged_model,
            model_id=self.model_id,
        )

    def _reader(self, path: str | os.PathLike[str] | None) -> ReadFile:
        place = Path(self._file or MLMODEL_FILE).parent if path is None else path
        files = ModelFiles.held_against_manifest(local_directory(place))
        return partial(files.read, key="saved_input_example_info")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Model(flavors={sorted(self.flavors)}, model_uuid={self.model_uuid!r})"


def add_to_model(  # noqa: PLR0917 - MLflow's order of positional parameters
    model: Model,
    loader_module: str,
    data: str | None = None,
    code: str | None = None,
    conda_env: str | None = None,
    python_env: str | None = None,
    model_config: object = None,
    model_code_path: str | None = None,
    **kwargs: object,
) -> Model:
    """Describe the python_function flavor of ``model`` and return it (format.md 2.1).

    Args:
        model: changed in place.
        loader_module: the module whose ``_load_pyfunc`` loads the model.
        data: path of the model's data inside the directory.
        code: path of its code directory.
        conda_env: path of its conda.yaml.
        python_env: path of its python_env.yaml.
        model_config: default configuration, stored under ``config``.
        model_code_path: path of its script.
        **kwargs: further keys of the flavor, kept as they are.
    """
    params = dict(kwargs)
    params["loader_module"] = loader_module
    params["python_version"] = platform.python_version()
    env = {
        key: value for key, value in (("conda", conda_env), ("virtualenv", python_env)) if value
    }
    given = {
        "code": code,
        "data": data,
        "env": env,
        "config": model_config,
        "model_code_path": model_code_path,
    }
    params.update({key: value for key, value in given.items() if value})
    return model.add_flavor(FLAVOR_NAME, **params)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "saved_input_example_info": dict,
    "model_uuid": str,
    "mlflow_version": str,
    "env_vars": list,
}


def _check_known(
    known: Mapping[str, Any], flags: Mapping[str, object], signature: object, file: str | None
) -> None:
    for key, kind in _TYPES.items():
        value = known.get(key)
        if value is not None and not isinstance(value, kind):
            raise ModelFormatError(
                f"expected a {getattr(kind, '__name__', kind)}, got {shorten(value)}",
                path=file,
                key=key,
            )
    names = known.get("env_vars") or []
    if not all(isinstance(name, str) for name in names):
        raise ModelFormatError(
            f"expected a list of str, got {shorten(names)}", path=file, key="env_vars"
        )
    for key, value in flags.items():
        if not isinstance(value, (bool, type(None))):
            raise ModelFormatError(
                f"expected true or false, got {shorten(value)}", path=file, key=key
            )
    if signature is not None and not isinstance(signature, Mapping):
        raise ModelFormatError(
            f"expected a mapping, got {shorten(signature)}", path=file, key="signature"
        )


def _read_signature(written: dict[str, object], file: str | None) -> ModelSignature | None:
    from pyfunc.schema import ModelSignature

    flags = {key: written.get(key) for key in _HINT_FLAGS}
    parts = {key: value for key, value in written.items() if key not in _HINT_FLAGS}
    try:
        signature = ModelSignature.from_dict(parts)
    except ModelFormatError:
        raise
    except PyfuncError as error:
        raise ModelFormatError(str(error), path=file, key="signature") from error
    for key, attribute in _HINT_FLAGS.items():
        setattr(signature, attribute, bool(flags[key]))
    return signature


def _now() -> str:
    return str(datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None))
