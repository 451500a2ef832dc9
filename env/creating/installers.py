"""The commands that create environments and install into them: uv, venv with pip, and conda.

Commands are lists of arguments; no shell is involved, and what a model requires reaches an
installer only inside a file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyfunc.env.installed.interpreters import Interpreter, find_uv
from pyfunc.errors import EnvironmentCreationError, MissingDependencyError
from pyfunc.variables import CONDA_COMMAND, CONDA_EXECUTABLE, CONDA_HOME

__all__ = [
    "EnvManager",
    "Installer",
    "Progress",
    "find_conda",
    "find_python",
    "installer_environment",
    "make_installer",
]

EnvManager = Literal["local", "virtualenv", "uv", "conda"]
Progress = Callable[[str], None]
_SHOWN_OUTPUT = 4000
_CONDA_NAMES = ("micromamba", "mamba", "conda")


def find_python(directory: Path, system: str = os.name) -> Path:
    """Return where the environment in ``directory`` has its interpreter.

    On Windows conda puts it elsewhere than venv and uv do.
    """
    if system != "nt":
        return directory / "bin" / "python"
    of_conda = directory / "python.exe"
    return of_conda if of_conda.exists() else directory / "Scripts" / "python.exe"


def find_conda() -> str:
    """Return the conda-like executable to use.

    Raises:
        MissingDependencyError: none is installed.
    """
    home = CONDA_HOME.read()
    wanted = CONDA_COMMAND.read()
    beside = CONDA_EXECUTABLE.read()
    for candidate in (
        home and shutil.which("conda", path=os.pathsep.join(_programs_of_conda(home))),
        wanted and shutil.which(wanted),
        *(shutil.which(name) for name in _CONDA_NAMES),
        beside,
    ):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise MissingDependencyError(
        "env_manager='conda'",
        "install conda, mamba or micromamba and put it on PATH, or use env_manager='virtualenv'",
    )


def _programs_of_conda(home: str) -> list[str]:
    return [os.path.join(home, folder) for folder in ("bin", "condabin", "Scripts")]


@dataclass(frozen=True, slots=True)
class Installer:
    """Runs the commands of one environment manager.

    Attributes:
        manager: which one.
        executable: uv or conda; unused for virtualenv.
        progress: is told each command's purpose.
        lock: the descriptor of the environment's lock file, which commands inherit: should
            this process be killed, the lock is held until the last command has ended. On
            Windows they do not.
    """

    manager: EnvManager
    executable: str
    progress: Progress
    lock: int | None = None

    def create(self, directory: Path, python: Interpreter | None, conda: Sequence[str]) -> None:
        """Create an empty environment in ``directory``, which does not exist.

        Raises:
            EnvironmentCreationError: the command fails.
        """
        if self.manager == "conda":
            name = Path(self.executable).name
            verb = ["create"] if name == "micromamba" else ["create", "--quiet"]
            command = [self.executable, *verb, "--yes", "--prefix", str(directory), *conda]
        elif self.manager == "uv":
            assert python is not None
            command = [self.executable, "venv", "--quiet", "--no-project", "--python", python.path]
            command.append(str(directory))
        else:
            assert python is not None
            command = [python.path, "-m", "venv", str(directory)]
        self._run(command, "create the environment")

    def install(
        self,
        directory: Path,
        lines: Sequence[str],
        constraints: Sequence[str] = (),
        *,
        purpose: str = "install the requirements",
    ) -> None:
        """Install requirement lines into the environment in ``directory``.

        Raises:
            EnvironmentCreationError: the installer fails; its last output is in the message.
        """
        requirements = directory / ".pyfunc-requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        arguments = ["-r", str(requirements)]
        if constraints:
            bounds = directory / ".pyfunc-constraints.txt"
            bounds.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
            arguments += ["-c", str(bounds)]
        self._run(self._install_command(directory) + arguments, purpose)

    def install_wheel(self, directory: Path, wheel: Path) -> None:
        """Install the wheel file alone, without what it requires.

        Raises:
            EnvironmentCreationError: the installer fails.
        """
        arguments = ["--no-deps", "--no-index", str(wheel)]
        self._run(self._install_command(directory) + arguments, "install pyfunc itself")

    def _install_command(self, directory: Path) -> list[str]:
        python = str(find_python(directory))
        if self.manager == "uv":
            return [self.executable, "pip", "install", "--quiet", "--python", python]
        return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]

    def _run(self, command: Sequence[str], purpose: str) -> None:
        self.progress(purpose)
        try:
            done = subprocess.run(
                command,
                env=installer_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=() if self.lock is None or os.name == "nt" else (self.lock,),
                check=False,
            )
        except OSError as error:
            raise EnvironmentCreationError(f"cannot {purpose}: {error}") from error
        if done.returncode:
            output = done.stdout.decode("utf-8", "replace").strip()[-_SHOWN_OUTPUT:]
            raise EnvironmentCreationError(
                f"cannot {purpose}: exit status {done.returncode} of "
                f"{Path(command[0]).name}\n{output}"
            )


def installer_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for installers: nothing that leads elsewhere."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    kept = {name: value for name, value in current.items() if name not in left_out}
    if not kept.keys() & {"UV_CACHE_DIR", "XDG_CACHE_HOME"} and not _has_home():
        kept["UV_NO_CACHE"] = "1"  # pip sees by itself that there is no place for one
    return {**kept, "PIP_NO_INPUT": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}


def _has_home() -> bool:
    """Return whether this user has a folder to write to, as many a container has not."""
    try:
        home = Path.home()
    except RuntimeError:
        return False
    return os.access(home, os.W_OK)


def make_installer(manager: EnvManager, progress: Progress) -> Installer:
    """Return the installer for ``manager``.

    Raises:
        MissingDependencyError: its program is not installed.
    """
    if manager == "conda":
        return Installer(manager, find_conda(), progress)
    if manager == "uv":
        uv = find_uv()
        if uv is None:
            raise MissingDependencyError(
                "env_manager='uv'", "pip install 'pyfunc-format[envs]', or use 'virtualenv'"
            )
        return Installer(manager, uv, progress)
    return Installer(manager, "", progress)
