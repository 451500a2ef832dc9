"""Layout of ``conda.yaml``, ``python_env.yaml``, ``requirements.txt`` and ``constraints.txt``.

The bytes are those that MLflow writes for the same requirements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pyfunc.env.installed.distributions import installed_version
from pyfunc.env.requirements.lines import RequirementLines
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.yaml_writing import dump_yaml

__all__ = [
    "CONDA_FILE",
    "CONDA_KEY",
    "CONSTRAINTS_FILE",
    "MAX_REQUIREMENTS_BYTES",
    "REQUIREMENTS_FILE",
    "VIRTUALENV_FILE",
    "default_conda_env",
    "encode_lines",
    "write_files",
]


CONDA_FILE = "conda.yaml"
CONDA_KEY = "flavors.python_function.env"  # where MLmodel names it
VIRTUALENV_FILE = "python_env.yaml"
REQUIREMENTS_FILE = "requirements.txt"
CONSTRAINTS_FILE = "constraints.txt"

MAX_REQUIREMENTS_BYTES = 1 << 20
"""The largest file of requirements or constraints that is read, and so that is written."""

_BUILD_TOOLS = ("pip", "setuptools", "wheel")


def default_conda_env(requirements: Sequence[str], python: str) -> dict[str, object]:
    """Return the conda environment for a list of pip requirements."""
    pip = installed_version("pip")  # there is none where uv made the environment
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [
            f"python={python}",
            "pip" if pip is None else f"pip<={pip}",
            {"pip": list(requirements)},
        ],
    }


def write_files(
    directory: Path, lines: RequirementLines, conda: Mapping[str, object], python: str
) -> None:
    """Write the environment files into ``directory``, which exists.

    ``constraints.txt`` is written only if there are constraints. The text files end without
    a line break, as MLflow's do.
    """
    (directory / CONDA_FILE).write_bytes(_yaml_bytes(conda, sort_keys=True))
    if lines.constraints:
        constraints = encode_lines(lines.constraints, CONSTRAINTS_FILE)
        (directory / CONSTRAINTS_FILE).write_bytes(constraints)
    (directory / REQUIREMENTS_FILE).write_bytes(encode_lines(lines.requirements))
    virtualenv = _yaml_bytes(_virtualenv(python), sort_keys=False)
    (directory / VIRTUALENV_FILE).write_bytes(virtualenv)


def encode_lines(lines: Sequence[str], name: str = REQUIREMENTS_FILE) -> bytes:
    """Return the content of the file ``name`` that holds ``lines``.

    Raises:
        InvalidArgumentError: it is larger than what is read back.
    """
    content = "\n".join(lines).encode("utf-8")
    if len(content) > MAX_REQUIREMENTS_BYTES:
        raise InvalidArgumentError(
            f"{name} would be larger than {MAX_REQUIREMENTS_BYTES} bytes, which nothing reads\n"
            "hint: list packages without what they need themselves"
        )
    return content


def _yaml_bytes(data: Mapping[str, object], *, sort_keys: bool) -> bytes:
    """Return ``data`` as YAML; a process that saves often writes the same each time."""
    try:
        key = json.dumps(data)
    except (TypeError, ValueError, RecursionError):
        key = ""
    if key and json.loads(key) == data:
        return _remembered_yaml(key, sort_keys)
    return dump_yaml(data, sort_keys=sort_keys).encode()


@lru_cache(maxsize=64)
def _remembered_yaml(key: str, sort_keys: bool) -> bytes:
    return dump_yaml(json.loads(key), sort_keys=sort_keys).encode()


def _virtualenv(python: str) -> dict[str, object]:
    versions = {name: installed_version(name) for name in _BUILD_TOOLS}
    return {
        "python": python,
        "build_dependencies": [
            name if version is None else f"{name}=={version}" for name, version in versions.items()
        ],
        "dependencies": [f"-r {REQUIREMENTS_FILE}"],
    }
