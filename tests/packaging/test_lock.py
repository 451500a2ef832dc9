"""The lock names everything that the tests need, and no place to get it from."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEV = ROOT / "requirements" / "dev.txt"
QUICKSTART = ROOT / "requirements" / "quickstart.txt"
DOCS = ROOT / "requirements" / "docs.txt"
RELEASE = ROOT / "requirements" / "release.txt"
FILES = [DEV, QUICKSTART, DOCS, RELEASE]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LINE = re.compile(r"[\w.-]+==[\w.]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a lock without their hashes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]


def read_versions(path: Path, python: str) -> dict[str, str]:
    """Return the version of each name that a lock has for that Python on Linux."""
    chosen = [line for line in read_requirements(path) if _counts(line, python)]
    assert len({line.name for line in chosen}) == len(chosen), "a package twice"
    return {line.name: str(line.specifier).removeprefix("==") for line in chosen}


def _counts(line: Requirement, python: str) -> bool:
    where = {
        "python_full_version": f"{python}.1",
        "python_version": python,
        "sys_platform": "linux",
        "os_name": "posix",
    }
    return line.marker is None or line.marker.evaluate(where)


def read_declared(extra: str) -> list[Requirement]:
    """Return what setup.cfg asks for, without an extra (``""``) or with that one."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    text = config["options.extras_require"][extra] if extra else ""
    text += config["options"]["install_requires"]
    return [Requirement(line) for line in text.splitlines() if line]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_is_a_version_with_hashes_and_nothing_else(path: Path) -> None:
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert LINE.sub("", text) == ""


@pytest.mark.parametrize("python", PYTHONS)
def test_the_quickstart_runs_on_what_the_tests_run_on(python: str) -> None:
    tests, quickstart = (read_versions(path, python) for path in (DEV, QUICKSTART))
    assert {"numpy", "pandas", "scikit-learn", "setuptools"} <= quickstart.keys()
    assert quickstart.items() <= tests.items()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("path", "extra"),
    [
        pytest.param(DEV, "dev", id="dev"),
        pytest.param(QUICKSTART, "sklearn", id="quickstart"),
        pytest.param(RELEASE, "release", id="release"),
    ],
)
def test_the_lock_has_what_setup_cfg_asks_for(path: Path, extra: str, python: str) -> None:
    locked = read_versions(path, python)
    for line in read_declared(extra):
        if line.name != "torch" and _counts(line, python):
            version = locked[canonicalize_name(line.name)]
            assert line.specifier.contains(version), f"{line}: {version} is locked"
