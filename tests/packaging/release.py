"""Makes what would be published of the commit at hand, and tries it as if it were published.

    python tests/packaging/release.py FOLDER

The commit is built twice, from two copies with other times, and has to come out the same. The
files are held against what an index asks for, lists of what each extra brings are written beside
them, and all goes by twine to an index of this machine, from which an empty environment installs
it by its hash and runs the quickstart. ``nox -s release`` installs what this needs.
"""

from __future__ import annotations

import configparser
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["main", "settle_sdist", "write_sboms"]

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "dev.txt"
QUICKSTART_LOCK = ROOT / "requirements" / "quickstart.txt"
OWN_TOOLS = ("dev", "docs", "release")  # extras for those who work on this library


def main(folder: Path) -> None:
    """Fill ``folder``, which is made anew, and try what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    when = run_for_text("git", "log", "-1", "--format=%ct")
    if run_for_text("git", "status", "--porcelain"):
        print("what is not committed is not in this release", file=sys.stderr)
    with tempfile.TemporaryDirectory() as work:
        first, second = (build(Path(work, name), when) for name in ("first", "second"))
        if hashes_of(first) != hashes_of(second):
            sys.exit(f"two builds differ: {hashes_of(first)} and {hashes_of(second)}")
        for path in first:
            shutil.copy2(path, folder)
    sdist, wheel = sorted(folder.iterdir(), key=lambda path: path.suffix)
    run("-m", "twine", "check", "--strict", str(sdist), str(wheel))
    run("-m", "check_wheel_contents", str(wheel))
    run(str(ROOT / "tests" / "packaging" / "check_wheel.py"), str(wheel))
    write_sboms(folder, version=wheel.name.split("-")[1], when=when)
    files = [sdist, wheel, *sorted(folder.glob("*.cdx.json"))]
    sums = "".join(f"{digest}  {name}\n" for name, digest in hashes_of(files).items())
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    try_from_an_index([sdist, wheel])
    print(f"the same twice, checked, and tried from an index:\n{sums}", end="", flush=True)


def run(*arguments: str, **more: str) -> None:
    """Run this Python, and end where it fails."""
    subprocess.run([sys.executable, *arguments], check=True, env={**os.environ, **more})


def run_for_text(*command: str) -> str:
    """Return what a command prints about the repository."""
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build(place: Path, when: str) -> list[Path]:
    """Return the sdist and the wheel of the commit, built in a copy that is made at ``place``."""
    source, out = place / "source", place / "out"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD"], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(source, filter="data")
    for path in source.rglob("*"):
        os.utime(path, follow_symlinks=False)  # the times of a checkout are those of its making
    options = ["--no-isolation", "--outdir", str(out)]
    run("-m", "build", "--sdist", *options, str(source), SOURCE_DATE_EPOCH=when)
    (sdist,) = out.glob("*.tar.gz")
    settle_sdist(sdist, int(when))
    with tarfile.open(sdist) as files:
        files.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    run("-m", "build", "--wheel", *options, str(unpacked), SOURCE_DATE_EPOCH=when)
    return sorted(out.iterdir())


def settle_sdist(path: Path, when: int) -> None:
    """Leave nothing in an sdist of the hour, the user and the umask that it was built with."""
    settled = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=settled, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid = when, 0, 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=when) as packed:
        packed.write(settled.getvalue())


def hashes_of(files: list[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_sboms(folder: Path, *, version: str, when: str) -> None:
    """Write a bill of materials (CycloneDX) for each extra that the lock holds."""
    locked = set(re.findall(r"^([\w.-]+)==", LOCK.read_text("utf-8"), flags=re.MULTILINE))
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for extra, text in sorted(config["options.extras_require"].items()):
        names = set(re.findall(r"^[\w.-]+", text, flags=re.MULTILINE)) - {"pyfunc-format"}
        if extra not in OWN_TOOLS and names <= locked:
            write_sbom(folder / f"pyfunc-format-{version}-{extra}.cdx.json", extra, when)
        elif extra not in OWN_TOOLS:
            print(f"no bill of {extra}: the lock has no {', '.join(sorted(names - locked))}")


def write_sbom(path: Path, extra: str, when: str) -> None:
    """Write the bill of materials of one extra, with the versions and hashes of the lock."""
    version = path.name.split("-")[2]
    with tempfile.TemporaryDirectory() as work:
        lines, root = Path(work, "requirements.txt"), Path(work, "pyproject.toml")
        run(
            "-m", "uv", "pip", "compile", "--quiet", "--no-config", "--universal",
            "--python-version", "3.10", "--generate-hashes", "--no-header", "--no-annotate",
            "--constraint", str(LOCK), "--extra", extra, "--output-file", str(lines),
            str(ROOT / "setup.cfg"),
        )  # fmt: skip
        root.write_text(f'[project]\nname = "pyfunc-format"\nversion = "{version}"\n')
        run(
            "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(lines),
            "--pyproject", str(root), "--mc-type", "library", "--output-reproducible",
            "--output-file", str(path), SOURCE_DATE_EPOCH=when,
        )  # fmt: skip
    count = len(json.loads(path.read_text(encoding="utf-8"))["components"])
    print(f"{path.name}: {count} components")


@contextmanager
def index_of_this_machine(folder: Path) -> Iterator[str]:
    """Serve an empty index that takes uploads; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen([*command, "-P", ".", "-a", ".", str(folder)])
    try:
        while server.poll() is None:
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def try_from_an_index(files: list[Path]) -> None:
    """Upload ``files``, install them elsewhere by their hash, and run the quickstart there."""
    with tempfile.TemporaryDirectory() as work:
        store, place = Path(work, "store"), Path(work, "elsewhere")
        store.mkdir()
        venv.create(place, with_pip=True)
        python = str(place / "bin" / "python")
        wanted = place / "wanted.txt"
        digest = hashlib.sha256(files[-1].read_bytes()).hexdigest()
        version = files[-1].name.split("-")[1]
        wanted.write_text(f"pyfunc-format=={version} --hash=sha256:{digest}\n")
        with index_of_this_machine(store) as address:
            names = [str(path) for path in files]
            twine = ["-m", "twine", "upload", "--non-interactive", "-u", "any", "-p", "any"]
            run(*twine, "--disable-progress-bar", "--repository-url", address, *names)
            install = [python, "-m", "pip", "install", "--quiet"]
            subprocess.run([*install, "-r", str(QUICKSTART_LOCK)], check=True)
            from_there = ["--no-deps", "--index-url", f"{address}simple/", "-r", str(wanted)]
            subprocess.run([*install, *from_there], check=True)
        shutil.copy(ROOT / "examples" / "quickstart.py", place)
        subprocess.run([python, "quickstart.py"], cwd=place, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
