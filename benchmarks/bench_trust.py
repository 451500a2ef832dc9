"""What it costs to verify, sign and load with a manifest.

The floor is the hashing of the same bytes by hashlib, with as many threads where there is much to
hash; of a load it is the same load without looking at the manifest.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyfunc
from benchmarks.results import OURS, Effort, Goal, Workload
from benchmarks.timing import Call, time_calls
from pyfunc.directory.verification import find_files, write_manifest

__all__ = ["measure"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One piece of work and its floor; ``target`` is the greatest multiple of it wanted."""

    name: str
    ours: Call
    floor: Call
    target: float | None = None
    floor_name: str = "hashlib"


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield the verification of large, many and small files, and what is made of it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in _cases(Path(folder), effort):
            found = time_calls({OURS: case.ours, case.floor_name: case.floor}, effort)
            goals = () if case.target is None else (Goal(case.floor_name, case.target, "wall"),)
            yield Workload(case.name, found, case.floor_name, goals, "wall")


def _cases(folder: Path, effort: Effort) -> Iterator[Case]:
    size, each, count = effort.of(1024), effort.of(32), effort.of(1000)
    large = _write_files(folder / "large", {"weights.bin": size * _MIB})
    yield _verifying(f"verify one file of {size} MiB", large)
    several = _write_files(folder / "several", {f"{i}.bin": each * _MIB for i in range(8)})
    yield _verifying(f"verify 8 files of {each} MiB", several)
    many = _write_files(folder / "many", {f"{i % 10}/{i}": 100_000 for i in range(count)})
    yield _verifying(f"verify {count:,} files of 100 kB", many)
    model = folder / "small"
    pyfunc.save_model(model, python_model=lambda model_input: 1, pip_requirements=[])
    yield Case("verify a small model", lambda: pyfunc.verify(model), lambda: _hash_all(model))
    yield _loading("load a small model", model)
    with_artifact = folder / "with_artifact"
    pyfunc.save_model(
        with_artifact,
        python_model=lambda model_input: 1,
        artifacts={"a": str(several / "0.bin")},
        pip_requirements=[],
    )
    yield _loading(f"load a model with {each} MiB", with_artifact)
    yield from _signing(folder, large, size)


def _verifying(name: str, root: Path) -> Case:
    return Case(name, lambda: pyfunc.verify(root), lambda: _hash_all(root), 1.2)


def _loading(name: str, root: Path) -> Case:
    def load(verify: str) -> None:
        pyfunc.load_model(root, suppress_warnings=True, verify=verify).close()  # type: ignore[arg-type]

    return Case(name, lambda: load("require"), lambda: load("skip"), floor_name="unverified")


def _signing(folder: Path, root: Path, size: int) -> Iterator[Case]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "k.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    (folder / "k.pub").write_bytes(key.public_key().public_bytes(pem, public))

    def sign() -> None:
        pyfunc.sign(root, private_key=folder / "k.pem")

    def verify() -> None:
        pyfunc.verify(root, public_key=folder / "k.pub")

    sign()
    yield Case(f"sign {size} MiB", sign, lambda: _hash_all(root))
    yield Case(f"verify the signature of {size} MiB", verify, lambda: _hash_all(root))


def _write_files(root: Path, sizes: dict[str, int]) -> Path:
    block = os.urandom(_MIB)
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for start in range(0, size, _MIB):
                file.write(block[: min(_MIB, size - start)])
    (root / "MLmodel").write_text("flavors: {}\n")
    write_manifest(root)
    return root


def _hash_all(root: Path) -> list[str]:
    found = find_files(root).values()
    paths = [file.path for file in found]
    if sum(file.size for file in found) < 8 * _MIB:
        return [_hash(path) for path in paths]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(_hash, paths))


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_MIB):
            digest.update(block)
    return digest.hexdigest()
