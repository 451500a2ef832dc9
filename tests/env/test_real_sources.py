"""Packages that pip really installs from a commit, an archive and a folder, and what is recorded.

A server of this process stands for the network; nothing is taken from an index.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pyfunc
from pyfunc.deploy import write_context
from pyfunc.env import prepare_environment
from pyfunc.errors import InvalidArgumentError

PROJECT = """
[metadata]
name = {name}
version = 1.0
[options]
py_modules = {name}
"""
SAVE = """
import sys
import pyfunc
from pyfunc.env import check, lock

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import MODULES
        return model_input

pyfunc.save_model(sys.argv[1], python_model=Model())
print(check(sys.argv[1]).to_json())
lock(sys.argv[1], resolve=False)
"""


@dataclass
class World:
    address: str
    commit: str
    digest: str
    site: Path
    folder: Path

    def save(self, target: Path, modules: str) -> tuple[list[str], str]:
        """Save a model that imports ``modules``; return its lines, and what the log said."""
        script = target.with_suffix(".py")
        script.write_text(SAVE.replace("MODULES", modules))
        environment = {**os.environ, "PYTHONPATH": str(self.site)}
        done = run([sys.executable, script, target], env=environment)
        report = json.loads(done.stdout.splitlines()[-1])
        assert not [m for m in report["mismatches"] if m["severity"] != "info"]
        return (target / "requirements.txt").read_text().split("\n"), done.stderr


def run(
    command: list[object], *, env: dict[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def pip(*arguments: object) -> subprocess.CompletedProcess[str]:
    alone = ["--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    return run([sys.executable, "-m", "pip", "install", *alone, *arguments])


def write_project(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (folder / "setup.cfg").write_text(PROJECT.format(name=name))
    (folder / "setup.py").write_text("import setuptools\nsetuptools.setup()\n")
    (folder / f"{name}.py").write_text("")


def publish(folder: Path, source: Path) -> str:
    """Put what is in ``source`` into a repository that any server can serve; return its commit."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    run(["git", "init", "--quiet", "--initial-branch=main", source])
    run(["git", *who, "-C", source, "add", "."])
    run(["git", *who, "-C", source, "commit", "--quiet", "-m", "first"])
    run(["git", "clone", "--quiet", "--bare", source, folder])
    run(["git", "-C", folder, "update-server-info"])
    return run(["git", "-C", folder, "rev-parse", "main"]).stdout.strip()


def write_wheel(folder: Path, name: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    (root / "served").mkdir()
    write_project(root / "source" / "python", "gitted")
    commit = publish(root / "served" / "repo.git", root / "source")
    wheel = write_wheel(root / "served", "archived")
    write_project(root / "folded", "folded")
    handler = functools.partial(Quiet, directory=str(root / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        host = f"127.0.0.1:{server.server_port}"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        where = ["--target", root / "site"]
        pip(
            *where,
            f"git+http://someone:s3cret@{host}/repo.git@main#subdirectory=python",
            f"http://{host}/{wheel.name}#sha256={digest}",
            root / "folded",
        )
        yield World(f"http://{host}", commit, digest, root / "site", root / "folded")
        server.shutdown()


@pytest.fixture(scope="module")
def elsewhere(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of what can be installed anywhere."""
    target = tmp_path_factory.mktemp("elsewhere") / "model"
    world.save(target, "gitted, archived")
    return target


def test_a_commit_and_an_archive_are_named_so_that_pip_installs_them_again(
    world: World, tmp_path: Path
) -> None:
    lines, _ = world.save(tmp_path / "m", "gitted, archived")
    commit = f"gitted @ git+{world.address}/repo.git@{world.commit}#subdirectory=python"
    archive = f"archived @ {world.address}/archived-1.0-py3-none-any.whl#sha256={world.digest}"
    assert {commit, archive} <= set(lines)
    assert not [line for line in lines if "s3cret" in line]
    found = run([sys.executable, "-m", "pyfunc", "dependencies", tmp_path / "m"]).stdout.strip()
    report = json.loads(pip("--dry-run", "--quiet", "--report", "-", "-r", found).stdout)
    installed = {item["metadata"]["name"]: item["download_info"] for item in report["install"]}
    assert installed["gitted"]["vcs_info"]["commit_id"] == world.commit
    assert installed["archived"]["archive_info"]["hashes"]["sha256"] == world.digest


def test_a_folder_is_said_and_never_asked_of_an_index(world: World, tmp_path: Path) -> None:
    lines, log = world.save(tmp_path / "m", "folded")
    assert [line for line in lines if "folded" in line] == [
        "# install separately: folded==1.0, installed from a folder of one machine"
    ]
    assert "folded 1.0 is installed from a folder of one machine" in log
    pip("--dry-run", "-r", tmp_path / "m" / "requirements.txt")
    with pytest.raises(InvalidArgumentError, match=r"(?s)folded==1.0.*code_paths"):
        prepare_environment(tmp_path / "m", env_manager="virtualenv", root=tmp_path / "envs")
    with pytest.raises(InvalidArgumentError, match=r"(?s)pylock.toml.*folded: .*folder"):
        write_context(tmp_path / "m", tmp_path / "context")
    (tmp_path / "m" / ".pyfunc" / "pylock.toml").unlink()
    (tmp_path / "m" / ".pyfunc" / "manifest.json").unlink()
    with pytest.raises(InvalidArgumentError, match=r"(?s)folded==1.0.*code_paths"):
        write_context(tmp_path / "m", tmp_path / "context")


def test_an_image_of_a_lock_installs_the_commit_and_the_hashed_archive(
    world: World, elsewhere: Path, tmp_path: Path
) -> None:
    lock = elsewhere / ".pyfunc" / "pylock.toml"
    # What this test runs with is not all from an index either.
    kept = [part for part in lock.read_text().split("\n\n") if "\ndirectory = " not in part]
    lock.write_text("\n\n".join(kept))
    (elsewhere / ".pyfunc" / "manifest.json").unlink()
    context = write_context(elsewhere, tmp_path / "context")
    hashed = (tmp_path / "context" / "requirements.txt").read_text().splitlines()
    unhashed = (tmp_path / "context" / "unhashed-requirements.txt").read_text().splitlines()
    wheel = f"{world.address}/archived-1.0-py3-none-any.whl"
    assert hashed == [f"archived @ {wheel} --hash=sha256:{world.digest}"]
    commit = f"gitted @ git+{world.address}/repo.git@{world.commit}#subdirectory=python"
    assert commit in unhashed
    assert "git" in context.system_packages
    assert context.dockerfile.index("--no-deps --require-hashes -r requirements.txt") < (
        context.dockerfile.index("--no-deps -r unhashed-requirements.txt")
    )
    pip("--dry-run", "--require-hashes", "-r", tmp_path / "context" / "requirements.txt")
    pip("--dry-run", "-r", tmp_path / "context" / "unhashed-requirements.txt")


def test_hashes_of_the_caller_stay_usable(world: World, tmp_path: Path) -> None:
    line = f"archived==1.0 --hash=sha256:{world.digest}"
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=[line])
    requirements = tmp_path / "m" / "requirements.txt"
    assert requirements.read_text().split("\n")[1:] == [line]
    pip("--dry-run", "--require-hashes", "--find-links", world.address, "-r", requirements)


def test_another_commit_is_a_difference(world: World, elsewhere: Path, tmp_path: Path) -> None:
    requirements = elsewhere / "requirements.txt"
    text = requirements.read_text().replace(world.commit, "0" * 40)
    (tmp_path / "m").mkdir()
    for name in ("MLmodel", "conda.yaml", "python_env.yaml"):
        (tmp_path / "m" / name).write_bytes((elsewhere / name).read_bytes())
    (tmp_path / "m" / "requirements.txt").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(world.site)}
    command: list[object] = [sys.executable, "-m", "pyfunc", "env", "check", tmp_path / "m"]
    done = run([*command, "--json"], env=environment, status=1)
    [found] = [m for m in json.loads(done.stdout)["mismatches"] if m["name"] == "gitted"]
    assert (found["kind"], found["severity"]) == ("url", "likely")
    assert world.commit in found["remark"]
