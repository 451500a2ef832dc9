"""A run in a process of its own: in this environment or in one made for the function.

The child writes into the same store. It ends with this process: a pipe that only this process
holds open says so to a thread of the child, and on Linux the kernel itself ends it. The child
holds the lock of its run, so whoever looks at the run knows whether it goes on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pyfunc.errors import InvalidArgumentError, RunError, shorten
from pyfunc.functions.executing import write_log
from pyfunc.functions.liveness import RUN_VARIABLE, release_alive
from pyfunc.functions.names import WORKER_MODULE, parse_key
from pyfunc.functions.run import LOG, Run, set_state
from pyfunc.functions.store import Store

__all__ = [
    "Env", "check_can_have_processes", "find_environment_differences", "make_environment",
    "start_child",
]  # fmt: skip

Env = Literal["auto", "local", "isolated", "container"]

_START = f"import sys; from {WORKER_MODULE} import main; sys.exit(main(sys.argv[1:]))"
_VERSION = re.compile(r"PYTHON3_(\d+)")
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def check_can_have_processes() -> None:
    """Return if runs can have processes of their own on this system.

    Raises:
        InvalidArgumentError: they cannot: it has no groups of processes to be ended as a whole.
    """
    if os.name != "posix":
        raise InvalidArgumentError(
            "runs have processes of their own on Linux and macOS only: here there is no serve, "
            "timeout, wait=False, envs or secrets, and no environment that differs from this one\n"
            "hint: run('job', env='local') runs the function in this process"
        )


def find_environment_differences(spec: Mapping[str, object]) -> list[str]:
    """Return how this environment differs from what a function asks for, one text each."""
    from pyfunc.env.checking.mismatch import compare
    from pyfunc.env.installed.distributions import installed_version

    found = []
    version = _python_version(spec)
    if version != f"{sys.version_info[0]}.{sys.version_info[1]}":
        found.append(
            f"python: expected {version}, got {sys.version_info[0]}.{sys.version_info[1]}"
        )
    return [*found, *map(str, compare(_requirements(spec), installed_version))]


def make_environment(spec: Mapping[str, object], more: Sequence[str] = ()) -> Path:
    """Return the interpreter of an environment with what a function asks for, and ``more``.

    It is made once for equal requirements and kept where environments of models are kept.

    Raises:
        InvalidArgumentError: this library does not run on the Python version.
        PyfuncError: it cannot be made.
    """
    from pyfunc.env.creating.environments import prepare_environment

    version = _python_version(spec)
    if version == "3.9":
        raise InvalidArgumentError(
            "python_version: no job runs in an environment with Python 3.9, which this library "
            "does not support\nhint: env='local' runs it in this process all the same"
        )
    with tempfile.TemporaryDirectory(prefix="pyfunc-function-") as folder:
        lines = "".join(f"{line}\n" for line in (*_requirements(spec), *more))
        Path(folder, "requirements.txt").write_text(lines, encoding="utf-8")
        text = f'python: "{version}"\ndependencies:\n- -r requirements.txt\n'
        Path(folder, "python_env.yaml").write_text(text, encoding="utf-8")
        return prepare_environment(folder).python


def _python_version(spec: Mapping[str, object]) -> str:
    match = _VERSION.fullmatch(str(spec.get("python_version")))
    if match is None:
        said = shorten(spec.get("python_version"))
        raise InvalidArgumentError(f"python_version: expected such as PYTHON3_11, got {said}")
    return f"3.{match[1]}"


def _requirements(spec: Mapping[str, object]) -> list[str]:
    found = spec.get("requirements")
    return [*map(str, found)] if isinstance(found, list) else []


def start_child(
    run: Run,
    store: Store,
    alive: int,
    *,
    python: Path | None,
    variables: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start the process of ``run`` and return it; its output goes to the log of the run.

    Args:
        run: in state BUILT.
        store: its store.
        alive: the descriptor that holds the lock of the run; the child takes it over.
        python: the interpreter, or None for the running one and what it can import.
        variables: environment variables for the run.

    Raises:
        RunError: it does not start; the run is in state ERROR.
    """
    lifeline, our_end = os.pipe()
    write_log(run.path, "a process of its own starts")
    try:
        with open(run.path / LOG, "ab") as log:
            process = subprocess.Popen(
                _command(run, store, python, (lifeline, alive)),
                pass_fds=(lifeline, alive),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(run, python, variables),
                start_new_session=True,  # a group of its own, to be ended as a whole
            )
    except BaseException as error:
        os.close(our_end)
        if not isinstance(error, OSError):
            raise
        # Variables that are too long together, or the limit of processes.
        message = f"its process does not start: {error}"
        set_state(store, parse_key(run.key), "ERROR", message=message)
        raise RunError(f"{run.key} failed: {message}", run=run.key) from error
    finally:
        os.close(lifeline)
        release_alive(alive)
    threading.Thread(target=_reap, args=(process, our_end), daemon=True).start()
    return process


def _reap(process: subprocess.Popen[bytes], our_end: int) -> None:
    process.wait()
    os.close(our_end)


def _command(run: Run, store: Store, python: Path | None, descriptors: Sequence[int]) -> list[str]:
    # Isolated mode: nothing comes from the folder that this process happens to run in.
    # Unbuffered: the log is read meanwhile, and kept whatever becomes of the process.
    start = [sys.executable, "-u"] if python is None else [str(python), "-I", "-u"]
    # The kernel watches the thread that started the child, so it has to be one that stays.
    stays = threading.current_thread() is threading.main_thread()
    arguments = (store.root, run.project, run.id, *descriptors, os.getpid(), int(stays))
    return [*start, "-c", _START, *map(str, arguments)]


def _environment(run: Run, python: Path | None, variables: Mapping[str, str]) -> dict[str, str]:
    own = {"PROJECT_NAME": run.project, "RUN_ID": run.id, RUN_VARIABLE: run.id}
    if python is None:
        search = os.pathsep.join(entry or "." for entry in sys.path)
        return {**os.environ, "PYTHONPATH": search, **variables, **own}
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    path = f"{python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, **variables, **own}
