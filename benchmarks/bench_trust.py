"""Time what it costs to verify, sign and load with a manifest, and print a table.

The floor is the hashing of the same bytes by hashlib, with as many threads where there is much to
hash; of a load it is the same load without looking at the manifest. A target is the most that ours
may be as a multiple of the floor, or of the seconds that stand in the name of the case.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import timeit
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyfunc
from pyfunc.directory.verification import find_files, write_manifest

__all__ = ["Row", "format_rows", "rows"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One piece of work and its floor; ``target`` is the greatest multiple of it wanted."""

    name: str
    ours: Callable[[], object]
    floor: Callable[[], object] | None
    target: float | None = None


@dataclass(frozen=True)
class Row:
    """The times of one case in microseconds."""

    case: str
    ours: float
    floor: float | None
    target: float | None

    @property
    def multiple(self) -> float | None:
        return None if self.floor is None else self.ours / self.floor


def rows(rounds: int = 5, size: int = 1024) -> list[Row]:
    """Return the times of all cases; ``size`` is that of the large file in MiB."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_time_case(case, rounds) for case in _cases(Path(folder), size)]


def _time_case(case: Case, rounds: int) -> Row:
    # By turns, so that a machine that gets slower does so for both.
    calls = [call for call in (case.ours, case.floor) if call is not None]
    timers = [timeit.Timer(call) for call in calls]
    once = [timer.timeit(1) for timer in timers]
    numbers = [max(1, min(1000, int(0.2 / max(seconds, 1e-9)))) for seconds in once]
    least = list(once)
    for _ in range(rounds):
        for position, (timer, number) in enumerate(zip(timers, numbers, strict=True)):
            least[position] = min(least[position], timer.timeit(number) / number)
    return Row(case.name, least[0] * 1e6, least[1] * 1e6 if case.floor else None, case.target)


def _cases(folder: Path, size: int) -> Iterator[Case]:
    large = _write_files(folder / "large", {"weights.bin": size * _MIB})
    yield _verifying(f"verify one file of {size} MiB", large)
    several = _write_files(folder / "several", {f"{i}.bin": 32 * _MIB for i in range(8)})
    yield _verifying("verify 8 files of 32 MiB", several)
    many = _write_files(folder / "many", {f"{i % 10}/{i}": 100_000 for i in range(1000)})
    yield _verifying("verify 1,000 files of 100 kB", many)
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
    yield _loading("load a model with 32 MiB", with_artifact)
    yield from _signing(folder, large, size)


def _verifying(name: str, root: Path) -> Case:
    return Case(name, lambda: pyfunc.verify(root), lambda: _hash_all(root), 1.2)


def _loading(name: str, root: Path) -> Case:
    def load(verify: str) -> None:
        pyfunc.load_model(root, suppress_warnings=True, verify=verify).close()  # type: ignore[arg-type]

    return Case(name, lambda: load("require"), lambda: load("skip"))


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


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| case | ours, us | floor, us | ours / floor | at most |", "|---|---|---|---|---|"]
    for row in table:
        cells = (row.ours, row.floor, row.multiple, row.target)
        formats = ("{:,.0f}", "{:,.0f}", "{:.2f}", "{:.1f}")
        shown = [
            "" if cell is None else form.format(cell)
            for form, cell in zip(formats, cells, strict=True)
        ]
        lines.append(f"| {row.case} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the least counts")
    parser.add_argument("--size", type=int, default=1024, help="size of the large file in MiB")
    arguments = parser.parse_args()
    print(format_rows(rows(arguments.rounds, arguments.size)))


if __name__ == "__main__":
    main()
