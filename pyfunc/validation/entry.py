"""``validate``: will a model work where it runs?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pyfunc.deploy.image import EXTRAS
from pyfunc.directory.mlmodel import read_mlmodel
from pyfunc.directory.verification import verify_files
from pyfunc.env.checking.mismatch import check
from pyfunc.env.creating.environments import Environment, prepare_environment
from pyfunc.env.creating.recipe import Recipe, read_recipe
from pyfunc.env.requirements.lines import parse_requirement
from pyfunc.errors import ModelIntegrityError, PyfuncError
from pyfunc.files.locations import resolve_model
from pyfunc.files.paths import size_of
from pyfunc.validation import probe
from pyfunc.validation.report import Step, Validation

__all__ = ["validate"]

EnvManager = Literal["local", "virtualenv", "uv", "conda"]
_SHOWN_OUTPUT = 2000


def validate(
    path: str | os.PathLike[str],
    *,
    env_manager: EnvManager = "local",
    sample: str | os.PathLike[str] | None = None,
    timeout: float | None = 600.0,
) -> Validation:
    """Return whether the model at ``path`` would work where it is deployed, step by step.

    Its files and its requirements are looked at; then a process of its own loads it, predicts
    its input example and answers it over every protocol of the server. The model's code runs.

    Args:
        path: the model, as for ``load_model``.
        env_manager: what makes the environment that it is tried in, with what an image of the
            model has; ``local`` is the running one.
        sample: a JSON file with one request, for a model with a request handler.
        timeout: seconds that loading and trying may take; None for no limit.

    Raises:
        ModelNotFoundError: there is no model.
        ModelFormatError: its MLmodel file is malformed.
        InvalidArgumentError: the manager is unknown.
    """
    root = resolve_model(path).resolve()
    read_mlmodel(root)
    steps = [_timed("files", lambda name: _check_files(name, root))]
    steps += _check_requirements(root)
    python = sys.executable
    if env_manager != "local" and not _has_failed(steps):
        made: list[Environment] = []
        steps.append(_timed("environment", lambda name: _make(name, root, env_manager, made)))
        python = str(made[0].python) if made else ""
    if not _has_failed(steps):
        steps += _run_probe(python, root, sample, timeout)
    return Validation(str(root), env_manager, tuple(steps))


def _has_failed(steps: list[Step]) -> bool:
    return any(step.status == "failed" for step in steps)


def _timed(name: str, step: Callable[[str], Step]) -> Step:
    started = time.perf_counter()
    try:
        found = step(name)
    except PyfuncError as error:
        found = Step(name, "failed", str(error), error.hint)
    return replace(found, seconds=time.perf_counter() - started)


def _check_files(name: str, root: Path) -> Step:
    size = size_of(root)
    try:
        manifest = verify_files(root)
    except ModelIntegrityError as error:
        remedy = "save the model again, or look at what changed and run pyfunc.refresh(path)"
        return Step(name, "failed", str(error), remedy, size=size)
    except PyfuncError as error:
        return Step(name, "warning", str(error), "run pyfunc.refresh(path) to pin its files")
    return Step(name, "ok", f"{len(manifest.files)} files are as they were saved", size=size)


def _check_requirements(root: Path) -> Iterator[Step]:
    """Yield whether the requirements can be installed elsewhere, are pinned, and are met here."""
    recipes: list[Recipe] = []

    def read(name: str) -> Step:
        recipes.append(read_recipe(root).check_restorable())
        return Step(name, "ok", f"{len(recipes[0].requirements)} requirement(s) can be restored")

    yield _timed("requirements", read)
    loose = [line for line in recipes[0].requirements if _is_loose(line)] if recipes else []
    if loose:
        remedy = "pin them with ==, or run pyfunc env lock where the model was trained"
        yield Step("pins", "warning", f"of no one version: {', '.join(loose)}", remedy)
    yield _timed("differences", lambda name: _compare(name, root))


def _is_loose(line: str) -> bool:
    requirement = parse_requirement(line)
    if requirement is None or requirement.url:
        return False
    return not any(item.operator in ("==", "===") for item in requirement.specifier)


def _compare(name: str, root: Path) -> Step:
    problems = check(root).problems
    if not problems:
        return Step(name, "ok", "what is installed here is what the model asks for")
    remedy = "try it in an environment of its own: --env-manager uv"
    return Step(name, "warning", "; ".join(map(str, problems)), remedy)


def _make(name: str, root: Path, manager: EnvManager, made: list[Environment]) -> Step:
    # As in an image, where the server is installed beside what the model requires.
    environment = prepare_environment(
        root, env_manager=manager, pip_requirements_override=EXTRAS["serve"]
    )
    made.append(environment)
    kept = "used again" if environment.reused else "made"
    detail = f"{kept} by {manager} with Python {environment.python_version}"
    return Step(name, "ok", detail, size=size_of(environment.directory))


def _run_probe(
    python: str, root: Path, sample: str | os.PathLike[str] | None, timeout: float | None
) -> list[Step]:
    given = [] if sample is None else [str(Path(sample).resolve())]
    with (
        tempfile.TemporaryDirectory(prefix="pyfunc-validate-") as folder,
        tempfile.TemporaryDirectory(prefix="pyfunc-elsewhere-") as elsewhere,
    ):
        result = Path(folder, "steps.jsonl")
        command = [python, "-m", probe.__name__, str(root), str(result), *given]
        problem = _run(command, elsewhere, timeout)
        text = result.read_text(encoding="utf-8") if result.is_file() else ""
        steps = [Step.from_dict(json.loads(line)) for line in text.splitlines()]
    if problem:
        steps.append(Step("process", "failed", problem, "the model ends or blocks its process"))
    return steps


def _run(command: list[str], folder: str, timeout: float | None) -> str:
    """Return why the process did not come to its end; nothing if it did."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout} seconds"
    output = done.stdout.decode("utf-8", "replace")[-_SHOWN_OUTPUT:]
    return f"it ended with status {done.returncode}:\n{output}" if done.returncode else ""
