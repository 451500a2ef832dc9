"""The environments of the others: each made once, by uv or pip, and kept in ``build/peers``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pyfunc.env.creating.installers import installer_environment

__all__ = ["MLFLOW", "MLSERVER", "Peer", "ROOT", "SPARK", "make_environment"]

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "peers"
# The others call the same release of the library that predicts as we do.
SHARED = tuple(f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "scikit-learn"))


@dataclass(frozen=True)
class Peer:
    """An environment by its requirements; ``shown`` are the packages whose versions are told."""

    name: str
    requirements: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]

    def versions(self, folder: Path = KEPT) -> dict[str, str]:
        """Return the versions of what is shown, by the names that tables have for it."""
        code = "import importlib.metadata as m, json, sys\n"
        code += "print(json.dumps([[name, m.version(p)] for name, p in json.loads(sys.argv[1])]))"
        command = [str(make_environment(self, folder)), "-c", code, json.dumps(self.shown)]
        return dict(json.loads(subprocess.check_output(command)))


MLFLOW = Peer("mlflow", ("mlflow==3.17.2", *SHARED), (("MLflow", "mlflow"),))
MLSERVER = Peer(
    "mlserver",
    ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", *SHARED),
    (("MLServer", "mlserver"),),
)
SPARK = Peer(
    "spark",
    ("pyspark[connect]==4.3.*", "mlflow==3.17.2", "uv", f"-e {ROOT}[arrow]", *SHARED),
    (("pyspark", "pyspark"),),
)


def make_environment(peer: Peer, folder: Path = KEPT) -> Path:
    """Return the interpreter of an environment with what ``peer`` requires.

    What was made before for the same requirements and the same Python is used again.

    Raises:
        RuntimeError: the environment cannot be made; the text says what the installer said.
    """
    lines = peer.requirements
    digest = hashlib.sha256("\n".join([sys.version, *lines]).encode()).hexdigest()[:12]
    place = folder / f"{peer.name}-{digest}"
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / f"{place.name}.txt"
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for command in _commands(place, python, wanted):
            _run(peer, command)
        (place / "complete").touch()
    return python


def _commands(place: Path, python: Path, wanted: Path) -> list[list[str]]:
    if importlib.util.find_spec("uv") is not None:
        uv = [sys.executable, "-m", "uv"]
        made = [*uv, "venv", "-q", "--python", sys.executable, str(place)]
        return [made, [*uv, "pip", "install", "-q", "--python", str(python), "-r", str(wanted)]]
    made = [sys.executable, "-m", "venv", str(place)]
    return [made, [str(python), "-m", "pip", "install", "-q", "-r", str(wanted)]]


def _run(peer: Peer, command: list[str]) -> None:
    done = subprocess.run(
        command,
        env=installer_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"the environment of {peer.name} cannot be made: {said}")
