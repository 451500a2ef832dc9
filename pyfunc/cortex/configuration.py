"""Reading ``cortex.yaml``: one deployment and its APIs, in the forms of Cortex 0.8 to 0.10.

Everything is checked as Cortex checked it, except that a model may be a local path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pyfunc.errors import ModelFormatError, ModelNotFoundError, shorten
from pyfunc.files.yaml_reading import parse_yaml

__all__ = ["CONFIGURATION_FILE", "CortexApi", "CortexProject", "load_project"]

CONFIGURATION_FILE = "cortex.yaml"

ModelFormat = Literal["onnx", "tensorflow"]

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_BLOCKS = ("tensorflow", "onnx", "predictor")
_COMPUTE: dict[str, object] = {
    "min_replicas": 1,
    "max_replicas": 100,
    "init_replicas": None,
    "target_cpu_utilization": 80,
    "cpu": "200m",
    "gpu": 0,
    "mem": None,
}


@dataclass(frozen=True, slots=True)
class CortexApi:
    """One API of a project.

    Attributes:
        name: unique in the project.
        endpoint: the path that it was served at.
        model_format: what kind of file the model is.
        model: path or URL of the model, as written.
        request_handler: the handler's file relative to the project, or None.
        signature_key: of a TensorFlow model, or None.
        python_path: the folder that imports search, relative to the project, or None.
        metadata: the user's own dictionary.
        tracker: what of the answers was tracked, or None.
        compute: what each replica asked for, with Cortex's defaults.
    """

    name: str
    endpoint: str
    model_format: ModelFormat
    model: str
    request_handler: str | None = None
    signature_key: str | None = None
    python_path: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    tracker: Mapping[str, object] | None = None
    compute: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CortexProject:
    """A project: the folder of its ``cortex.yaml`` and what that file says."""

    root: Path
    deployment: str
    apis: tuple[CortexApi, ...]


def load_project(path: str | Path) -> CortexProject:
    """Return the project of a ``cortex.yaml``, or of the folder that holds one.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: it is malformed; ``key`` says where.
    """
    file = Path(path)
    if file.is_dir():
        file /= CONFIGURATION_FILE
    if not file.is_file():
        raise ModelNotFoundError(f"there is no {CONFIGURATION_FILE} at {path}")
    reader = _Reader(file)
    items = parse_yaml(file.read_bytes(), path=file)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise reader.wrong("", f"expected a list of mappings, got {shorten(items)}")
    return reader.read(items)


class _Reader:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._root = file.parent

    def wrong(self, key: str, problem: str) -> ModelFormatError:
        return ModelFormatError(problem, path=self._file, key=key or None)

    def read(self, items: list[dict[str, object]]) -> CortexProject:
        kinds = [item.get("kind") for item in items]
        for position, kind in enumerate(kinds):
            if kind not in ("deployment", "api"):
                raise self.wrong(
                    f"[{position}].kind", f"expected deployment or api, got {shorten(kind)}"
                )
        if kinds.count("deployment") != 1:
            found = kinds.count("deployment")
            raise self.wrong("", f"expected exactly one deployment, found {found}")
        position = kinds.index("deployment")
        deployment = self._name(items[position], f"[{position}]")
        apis = tuple(
            self._api(item, f"[{position}]", deployment)
            for position, item in enumerate(items)
            if item["kind"] == "api"
        )
        for what in ("name", "endpoint"):
            for value, count in Counter(getattr(api, what) for api in apis).items():
                if count > 1:
                    raise self.wrong("", f"{count} APIs have the {what} {value!r}")
        return CortexProject(self._root, deployment, apis)

    def _api(self, item: dict[str, object], where: str, deployment: str) -> CortexApi:
        name = self._name(item, where)
        model_format, block, place = self._model_block(item, where)
        # Some keys moved from the API into the block of the model, or back, between releases.
        merged = {**item, **block}
        return CortexApi(
            name=name,
            endpoint=self._text(item, where, "endpoint") or f"/{deployment}/{name}",
            model_format=model_format,
            model=self._required_text(block, place, "model"),
            request_handler=self._handler(merged, place),
            signature_key=self._text(merged, place, "signature_key")
            or self._text(merged, place, "tf_signature_key"),
            python_path=self._text(merged, place, "python_path"),
            metadata=self._mapping(merged, place, "metadata") or {},
            tracker=self._mapping(item, where, "tracker"),
            compute=self._compute(item, where),
        )

    def _model_block(
        self, item: dict[str, object], where: str
    ) -> tuple[ModelFormat, dict[str, object], str]:
        """Return the format of the model, the mapping that describes it, and where it stands."""
        blocks = [key for key in _BLOCKS if item.get(key) is not None]
        flat = item.get("model") is not None
        if len(blocks) + flat != 1:
            said = ", ".join([*blocks, *(["model"] if flat else [])]) or "none"
            raise self.wrong(where, f"expected exactly one of {', '.join(_BLOCKS)}, found {said}")
        if flat:
            return self._flat_format(item, where), item, where
        key = blocks[0]
        if key == "predictor":
            raise self.wrong(
                f"{where}.predictor",
                "predictors have no request handler\nhint: make it a PythonModel: init is "
                "load_context, predict is predict",
            )
        block = item[key]
        if not isinstance(block, dict):
            raise self.wrong(f"{where}.{key}", f"expected a mapping, got {shorten(block)}")
        return ("onnx" if key == "onnx" else "tensorflow"), block, f"{where}.{key}"

    def _flat_format(self, item: dict[str, object], where: str) -> ModelFormat:
        said = self._text(item, where, "model_format")
        if said is None:
            return "onnx" if str(item["model"]).endswith(".onnx") else "tensorflow"
        if said not in ("onnx", "tensorflow"):
            raise self.wrong(
                f"{where}.model_format", f"expected tensorflow or onnx, got {shorten(said)}"
            )
        return said  # type: ignore[return-value]

    def _handler(self, item: dict[str, object], where: str) -> str | None:
        handler = self._text(item, where, "request_handler")
        if handler is not None and not (self._root / handler).is_file():
            raise self.wrong(
                f"{where}.request_handler", f"{handler}: implementation file does not exist"
            )
        return handler

    def _compute(self, item: dict[str, object], where: str) -> dict[str, object]:
        given = self._mapping(item, where, "compute") or {}
        unknown = sorted(given.keys() - _COMPUTE.keys())
        if unknown:
            raise self.wrong(f"{where}.compute", f"unknown keys: {', '.join(unknown)}")
        compute = {**_COMPUTE, **given}
        if compute["init_replicas"] is None:
            compute["init_replicas"] = compute["min_replicas"]
        counts = [compute[key] for key in ("min_replicas", "init_replicas", "max_replicas")]
        whole = [count for count in counts if type(count) is int]
        if counts != whole or whole != sorted(whole):
            raise self.wrong(
                f"{where}.compute",
                "expected whole numbers with min_replicas <= init_replicas <= max_replicas, got "
                f"{counts[0]!r}, {counts[1]!r}, {counts[2]!r}",
            )
        return compute

    def _name(self, item: dict[str, object], where: str) -> str:
        name = self._required_text(item, where, "name")
        if len(name) > 63 or not _DNS_1035.fullmatch(name):
            raise self.wrong(
                f"{where}.name",
                "expected lower-case letters, digits and dashes, a letter first, "
                f"got {shorten(name)}",
            )
        return name

    def _required_text(self, item: dict[str, object], where: str, key: str) -> str:
        value = self._text(item, where, key)
        if value is None:
            raise self.wrong(f"{where}.{key}", "expected text, missing")
        return value

    def _text(self, item: dict[str, object], where: str, key: str) -> str | None:
        value = item.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(f"{where}.{key}", f"expected text, got {shorten(value)}")
        return value

    def _mapping(self, item: dict[str, object], where: str, key: str) -> dict[str, object] | None:
        value = item.get(key)
        if value is not None and (
            not isinstance(value, dict) or not all(isinstance(name, str) for name in value)
        ):
            raise self.wrong(
                f"{where}.{key}", f"expected a mapping with text keys, got {shorten(value)}"
            )
        return value
