"""A request handler around a loaded model: its code imported, its functions at work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pyfunc.code.calling import errors_named, told
from pyfunc.code.scope import CodeScope
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import HandlerError, ModelFormatError, PyfuncError, shorten
from pyfunc.files.paths import normal_relative
from pyfunc.handlers.adapters import Adapter, adapt
from pyfunc.handlers.debug_text import shortened
from pyfunc.handlers.hooks import Hooks, call_init
from pyfunc.handlers.project import API_VERSION, HANDLER_FLAVOR, OutputStyle
from pyfunc.handlers.signatures import HandlerSignature
from pyfunc.handlers.tracker import Tracker
from pyfunc.model.mlflow_standin import stand_in_module
from pyfunc.model.opened import OpenedModel
from pyfunc.variables import PROJECT_DIR

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["RequestHandler", "load_handler"]


_KEY = f"flavors.{HANDLER_FLAVOR}"
_NAME = "request_handler"
_logger = logging.getLogger("pyfunc.handlers")
_environment_lock = threading.RLock()


class RequestHandler:
    """Answers single requests: ``pre_inference``, the model, ``post_inference``.

    One request is answered at a time, from whatever threads they come, so that the global
    variables of a handler are safe.

    Attributes:
        path: the handler's file, relative to the project.
        project_dir: the folder with the project's files.
        metadata: the user's own dictionary; the same object for every call.
        inputs: what the model takes.
        outputs: what the model gives.
        tracker: what of the answers a server counts, or None.
    """

    def __init__(
        self,
        hooks: Hooks,
        adapter: Adapter,
        *,
        scope: CodeScope,
        project_dir: Path,
        metadata: Mapping[str, Any],
        tracker: Tracker | None = None,
    ) -> None:
        self.path = hooks.path
        self.project_dir = project_dir
        self.metadata = metadata
        self.tracker = tracker
        self.inputs: HandlerSignature = adapter.inputs
        self.outputs: HandlerSignature = adapter.outputs
        self._hooks = hooks
        self._adapter = adapter
        self._scope = scope
        self._lock = threading.RLock()
        scope.end_with(self)

    def predict_sample(self, sample: Any, *, debug: bool = False) -> Any:
        """Return the answer to one request.

        Args:
            sample: the payload, as JSON is read into Python.
            debug: write what goes in and out of each step to the log ``pyfunc.handlers``.

        Raises:
            HandlerError: a function of the handler failed; its exception is the cause.
            InvalidArgumentError: what ``pre_inference`` returned is no input of the model.
            SchemaError: its values do not fit the signature.
            Exception: whatever the model raises.
        """
        with self._lock:
            _log(debug, "sample", sample)
            with self._scope.active():
                prepared = self._hooks.run_pre(sample, self.inputs, self.metadata)
            if self._hooks.pre_inference is not None:
                _log(debug, "pre_inference", prepared)
            prediction = self._adapter.predict(prepared)
            _log(debug, "inference", prediction)
            with self._scope.active():
                result = self._hooks.run_post(prediction, self.outputs, self.metadata)
            if self._hooks.post_inference is not None:
                _log(debug, "post_inference", result)
            return result

    def close(self) -> None:
        """Give back the modules of the handler's code; it must not be called afterwards."""
        self._scope.close()


def _log(debug: bool, step: str, value: Any) -> None:
    if debug:
        _logger.info("%s: %s", step, shortened(value))


def load_handler(opened: OpenedModel, model: PyFuncModel) -> RequestHandler:
    """Return the request handler of an opened model, its code run and its ``init`` called.

    The module's global ``project_dir`` and, while the module is imported and ``init`` runs, the
    environment variable ``PYFUNC_PROJECT_DIR`` say where the project's files are.

    Raises:
        HandlerError: its code fails, or its functions take other arguments than they should.
        ModelFormatError: its section in MLmodel is malformed.
        ModelPathError: the section names something outside the model.
        ModelIncompleteError: a file is missing.
    """
    section = _Section(opened)
    project = opened.files.resolve(section.text("project"), key=f"{_KEY}.project", kind="dir")
    relative = section.text("path")
    file = opened.files.resolve(
        section.in_project(relative, "path"), key=f"{_KEY}.path", kind="file"
    )
    scope = _scope(opened, section, project)
    try:
        adapter = adapt(model, section.style())
        metadata, tracker = section.metadata(), section.tracker()
        with _project_variable(project), scope.active():
            module = _run(scope, file, relative, project)
            hooks = Hooks.of_module(module, relative)
            call_init(
                module,
                relative,
                {
                    "sample": None,
                    "signature": adapter.inputs,
                    "metadata": metadata,
                    "model_path": str(opened.root),
                    "model": model,
                },
            )
    except BaseException:
        scope.close()
        raise
    return RequestHandler(
        hooks, adapter, scope=scope, project_dir=project, metadata=metadata, tracker=tracker
    )


def _run(scope: CodeScope, file: Path, relative: str, project: Path) -> Any:
    def failed(error: Exception) -> HandlerError:
        text = f"request_handler {relative}: the file cannot be run: {told(error)}"
        return HandlerError(text, stage="load")

    with errors_named(failed):
        return scope.run_script(file, name=_NAME, attributes={"project_dir": str(project)})


@contextmanager
def _project_variable(project: Path) -> Iterator[None]:
    with _environment_lock, PROJECT_DIR.setting(str(project)):
        yield


def _scope(opened: OpenedModel, section: _Section, project: Path) -> CodeScope:
    def read(path: Path) -> bytes:
        return opened.files.read(path.relative_to(opened.root).as_posix(), key=_KEY)

    folders = [
        project
        if entry == "."
        else opened.files.resolve(
            section.in_project(entry, "python_path"), key=f"{_KEY}.python_path", kind="dir"
        )
        for entry in section.python_path()
    ]
    return CodeScope(folders, read=read, stand_in=stand_in_module)


class _Section:
    """The handler's section of an MLmodel file, each value checked as it is asked for."""

    def __init__(self, opened: OpenedModel) -> None:
        self._values = opened.meta.flavors[HANDLER_FLAVOR]
        self._file = opened.root / MLMODEL_FILE
        if not isinstance(self._values, Mapping):
            raise ModelFormatError("expected a mapping", path=self._file, key=_KEY)
        version = self._values.get("api")
        if version != API_VERSION:
            raise self._wrong("api", f"{API_VERSION}, which is all that this release knows")

    def _wrong(self, key: str, expected: str) -> ModelFormatError:
        got = shorten(self._values.get(key))
        return ModelFormatError(
            f"expected {expected}, got {got}", path=self._file, key=f"{_KEY}.{key}"
        )

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def in_project(self, relative: str, key: str) -> str:
        """Return the path in the model of what the section names inside its project."""
        inside = normal_relative(relative, key=f"{_KEY}.{key}", file=self._file)
        return f"{self.text('project')}/{inside}"

    def metadata(self) -> Mapping[str, Any]:
        value = self._values.get("metadata")
        if value is not None and not isinstance(value, Mapping):
            raise self._wrong("metadata", "a mapping")
        return {} if value is None else value

    def tracker(self) -> Tracker | None:
        value = self._values.get("tracker")
        try:
            return None if value is None else Tracker.from_mapping(value)
        except PyfuncError as error:
            raise ModelFormatError(str(error), path=self._file, key=f"{_KEY}.tracker") from error

    def python_path(self) -> list[str]:
        value = self._values.get("python_path", ["."])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._wrong("python_path", "a list of strings")
        return value

    def style(self) -> OutputStyle | None:
        value = self._values.get("output_style")
        if value is not None and value not in get_args(OutputStyle):
            raise self._wrong("output_style", "'pyfunc' or 'onnx'")
        return value
