"""A request handler and its project, as a save is asked to put them into a model.

The files go to ``project/`` and are described by a flavor of their own, which MLflow passes over.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pyfunc.code.project_files import find_project_files
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.deduplication import merge_duplicates
from pyfunc.env.requirements.environment_files import REQUIREMENTS_FILE
from pyfunc.env.requirements.lines import (
    RequirementLines,
    check_line,
    decode_lines,
    expand_lines,
)
from pyfunc.env.requirements.places import check_restorable
from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    PyfuncError,
    PyfuncWarning,
    shorten,
)
from pyfunc.files.copying import copy_into
from pyfunc.files.paths import find_problem_of_relative
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.handlers.contract import find_source_problems
from pyfunc.handlers.mounting import MOUNT_POINT
from pyfunc.handlers.tracker import Tracker

if TYPE_CHECKING:
    from pyfunc.env import EnvironmentSpec
    from pyfunc.model.description import Model

__all__ = [
    "API_VERSION",
    "HANDLER_FLAVOR",
    "PROJECT_FOLDER",
    "HandlerProject",
    "OutputStyle",
    "WRAPPED_KEY",
]

HANDLER_FLAVOR = "request_handler"
WRAPPED_KEY = "wrapped"
PROJECT_FOLDER = "project"
API_VERSION = 1

OutputStyle = Literal["pyfunc", "onnx"]

_NOTHING = RequirementLines((), ())


@dataclass(frozen=True)
class HandlerProject:
    """A checked request handler with everything that goes into the model.

    Attributes:
        path: the handler's file, relative to the project.
        files: relative path -> file, for every file of the project.
        metadata: the user's own dictionary, passed to every hook.
        python_path: folders of the project that imports search, relative to it.
        output_style: what ``post_inference`` is given: what ``predict`` returned, or a list of
            arrays as an ONNX session returns. None lets the kind of model decide.
        requirements: the lines of the project's ``requirements.txt``.
        tracker: what of the answers a server counts, or None.
        wraps: ``predict`` of the model runs the handler, in MLflow too.
    """

    path: str
    files: Mapping[str, Path]
    metadata: Mapping[str, Any]
    python_path: Sequence[str] = (".",)
    output_style: OutputStyle | None = None
    requirements: RequirementLines = _NOTHING
    tracker: Tracker | None = None
    wraps: bool = False

    @classmethod
    def from_arguments(
        cls,
        handler: Any,
        *,
        project_dir: Any = None,
        handler_metadata: Any = None,
        python_path: Any = None,
        output_style: Any = None,
        tracker: Any = None,
        wrap_as_pyfunc: Any = None,
        target: Path | None = None,
    ) -> HandlerProject | None:
        """Return the checked arguments of a save, or None if no handler was given.

        Args:
            handler: a Python file, relative to ``project_dir``.
            project_dir: a folder, all of whose files the handler can read; None for a handler
                that consists of its one file, then relative to the working directory.
            handler_metadata: a mapping with text keys and values that YAML can hold.
            python_path: folders that imports search; by default the project folder.
            output_style: see the class.
            tracker: a mapping with ``model_type`` and ``key``, as in a ``cortex.yaml``.
            wrap_as_pyfunc: whether ``predict`` of the model shall run the handler.
            target: where the model is saved; not part of the project.

        Raises:
            PyfuncError: an argument cannot work; nothing has been written.
        """
        others = {
            "project_dir": project_dir,
            "handler_metadata": handler_metadata,
            "handler_python_path": python_path,
            "handler_output_style": output_style,
            "handler_tracker": tracker,
            "wrap_as_pyfunc": wrap_as_pyfunc or None,
        }
        if handler is None:
            given = [name for name, value in others.items() if value is not None]
            if given:
                raise InvalidArgumentError(f"{', '.join(given)} cannot be given without handler")
            return None
        root, relative = _locate(handler, project_dir)
        if project_dir is None:
            files = {relative: root / relative}
        else:
            leave_out = () if target is None else (Path(os.path.abspath(target)),)
            files = find_project_files(root, leave_out=leave_out)
        if relative not in files:
            raise InvalidArgumentError(
                f"handler: {relative} is one of the files that are left out of the project\n"
                "hint: hidden files and those that .pyfuncignore names are"
            )
        _check_source(files[relative], relative)
        return cls(
            relative,
            files,
            _check_metadata(handler_metadata),
            _check_python_path(python_path, root),
            _check_style(output_style),
            _read_requirements(root, files),
            _check_tracker(tracker),
            _check_flag(wrap_as_pyfunc),
        )

    def section(self) -> dict[str, Any]:
        """Return the flavor's section of the MLmodel file."""
        section: dict[str, Any] = {
            "path": self.path,
            "project": PROJECT_FOLDER,
            "api": API_VERSION,
            "metadata": dict(self.metadata),
            "python_path": list(self.python_path),
        }
        if self.output_style is not None:
            section["output_style"] = self.output_style
        if self.tracker is not None:
            section["tracker"] = self.tracker.to_dict()
        return section

    def write(self, directory: Path, model: Model) -> None:
        """Copy the project into ``directory`` and describe the handler in ``model``.

        Raises:
            ModelPathError: a file of the project is a FIFO, a socket or a device, or changed.
        """
        for relative, file in self.files.items():
            copy_into(file, directory / PROJECT_FOLDER / relative, key="project_dir")
        model.add_flavor(HANDLER_FLAVOR, **self.section())

    def extend(self, environment: EnvironmentSpec) -> EnvironmentSpec:
        """Return ``environment`` with the requirements of the project added.

        Raises:
            InvalidArgumentError: they contradict those that were given.
        """
        added = self.requirements
        if not added.requirements and not added.constraints:
            return environment
        if environment.conda is not None:
            return dataclasses.replace(environment, conda=_with_pip(environment.conda, added))
        if environment.pip is not None:
            return dataclasses.replace(environment, pip=_joined(environment.pip, added))
        return dataclasses.replace(environment, extra=_joined(environment.extra, added))


def _locate(handler: Any, project_dir: Any) -> tuple[Path, str]:
    """Return the project's folder and the handler's path in it."""
    for name, value in (("handler", handler), ("project_dir", project_dir)):
        is_path = isinstance(value, (str, os.PathLike)) and bool(os.fspath(value))
        if not is_path and not (name == "project_dir" and value is None):
            raise InvalidTypeError(f"{name}: expected a path, got {shorten(value)}")
    text = os.fspath(handler)
    if project_dir is None:
        file = Path(os.path.abspath(text))
        root = file.parent
    else:
        root = Path(os.path.abspath(os.fspath(project_dir)))
        file = Path(os.path.abspath(root / text))
    if root not in file.parents:
        raise InvalidArgumentError(f"handler: {text} is not inside the project {root}")
    if file.suffix != ".py":
        raise InvalidArgumentError(
            f"handler: expected a Python file, got {text}\n"
            "hint: handlers stored as pickles are not supported, give their source"
        )
    if not file.is_file():
        raise ModelNotFoundError(
            f"handler: {file}: implementation file does not exist", INVALID_PARAMETER_VALUE
        )
    return root, file.relative_to(root).as_posix()


def _check_source(file: Path, relative: str) -> None:
    source = file.read_bytes()
    try:
        problems = list(find_source_problems(source, str(file)))
    except (SyntaxError, ValueError) as error:
        raise InvalidArgumentError(f"handler: {relative} is not valid Python: {error}") from error
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise InvalidArgumentError(f"handler: {relative} cannot be a request handler\n{lines}")
    if MOUNT_POINT.encode() in source:
        warnings.warn(
            f"handler: {relative} reads from {MOUNT_POINT}, which exists in containers that "
            "pyfunc dockerfile makes and with pyfunc serve --mount-project\n"
            "hint: elsewhere the global variable project_dir of the handler has the folder",
            PyfuncWarning,
            stacklevel=6,
        )


def _check_metadata(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidTypeError(f"handler_metadata: expected a mapping, got {shorten(metadata)}")
    odd = [key for key in metadata if not isinstance(key, str)]
    if odd:
        raise InvalidArgumentError(f"handler_metadata: keys must be text, got {shorten(odd)}")
    copied = deepcopy(dict(metadata))
    try:
        dump_yaml(copied)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"handler_metadata: {error}") from error
    return copied


def _check_python_path(python_path: Any, root: Path) -> tuple[str, ...]:
    if python_path is None:
        return (".",)
    entries = [python_path] if isinstance(python_path, (str, os.PathLike)) else list(python_path)
    checked = []
    for entry in entries:
        if not isinstance(entry, (str, os.PathLike)):
            raise InvalidTypeError(f"handler_python_path: expected paths, got {shorten(entry)}")
        text = os.fspath(entry).rstrip("/") or "/"
        problem = None if text == "." else find_problem_of_relative(text)
        if problem is not None or not (root / text).is_dir():
            reason = problem or f"there is no such folder in {root}"
            raise InvalidArgumentError(f"handler_python_path: {entry!r}: {reason}")
        checked.append(text)
    return tuple(checked)


def _check_style(style: Any) -> OutputStyle | None:
    if style is not None and style not in get_args(OutputStyle):
        raise InvalidArgumentError(
            f"handler_output_style: expected 'pyfunc' or 'onnx', got {shorten(style)}"
        )
    return style  # type: ignore[no-any-return]


def _check_tracker(given: Any) -> Tracker | None:
    try:
        return None if given is None else Tracker.from_mapping(given)
    except PyfuncError as error:
        raise type(error)(f"handler_tracker: {error}") from error


def _check_flag(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidTypeError(f"wrap_as_pyfunc: expected True or False, got {shorten(value)}")
    return bool(value)


def _read_requirements(root: Path, files: Mapping[str, Path]) -> RequirementLines:
    """Return the lines of the project's requirements file, with the files that it names."""
    file = files.get(REQUIREMENTS_FILE)
    if file is None:
        return _NOTHING

    def read(name: str, base: Path) -> tuple[Path, str]:
        path = Path(os.path.abspath(base / name))
        if root not in path.parents:
            raise InvalidArgumentError(
                f"requirements.txt of the project: {name!r} is outside the project"
            )
        if not path.is_file():
            raise ModelNotFoundError(f"requirements.txt of the project: no such file: {path}")
        return path, _read_text(path)

    found = expand_lines(_read_text(file).splitlines(), root, read)
    for line in (*found.requirements, *found.constraints):
        check_line(line, source="requirements.txt of the project")
        check_restorable(line, source="requirements.txt of the project")
    return RequirementLines(
        tuple(without_credentials(line) for line in found.requirements),
        tuple(without_credentials(line) for line in found.constraints),
    )


def _read_text(path: Path) -> str:
    try:
        return decode_lines(path.read_bytes())
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path} is not UTF-8 text: {error}") from error


def _joined(lines: RequirementLines, added: RequirementLines) -> RequirementLines:
    requirements = (*lines.requirements, *added.requirements)
    _check_agreement(requirements)
    constraints = (*lines.constraints, *added.constraints)
    return RequirementLines(requirements, constraints)


def _with_pip(conda: Mapping[str, Any], added: RequirementLines) -> dict[str, Any]:
    if added.constraints:
        raise InvalidArgumentError(
            "requirements.txt of the project names constraints, which conda_env cannot hold\n"
            "hint: give pip_requirements instead of conda_env"
        )
    dependencies = [
        {"pip": list(item["pip"])} if isinstance(item, dict) else item
        for item in conda["dependencies"]
    ]
    sections = [item for item in dependencies if isinstance(item, dict)]
    if not sections:
        sections = [{"pip": []}]
        dependencies.append(sections[0])
    sections[0]["pip"] += [line for line in added.requirements if line not in sections[0]["pip"]]
    _check_agreement(line for item in sections for line in item["pip"])
    return {**conda, "dependencies": dependencies}


def _check_agreement(lines: Any) -> None:
    try:
        merge_duplicates(list(lines))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"requirements.txt of the project contradicts the model's requirements: {error}"
        ) from error
