"""Compare the modules in a built wheel with those in the repository: each once, nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("schema", "env", "flavors")


def expected_files() -> set[str]:
    """Return what git tracks of the package, as paths inside the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "pyfunc", *LINKED],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    files = {f"pyfunc/{name}" if name.startswith(LINKED) else name for name in listed}
    return files - {f"pyfunc/{name}" for name in LINKED}  # the links themselves


def problems_of(wheel: Path) -> list[str]:
    """Return what is wrong with the list of files in ``wheel``."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    found = Counter(names)
    expected = expected_files()
    return [
        *(f"missing: {name}" for name in sorted(expected - set(found))),
        *(f"not of the package: {name}" for name in sorted(set(found) - expected)),
        *(f"{count} times: {name}" for name, count in sorted(found.items()) if count > 1),
    ]


def main() -> None:
    problems = problems_of(Path(sys.argv[1]))
    print("\n".join(problems) or f"{sys.argv[1]}: every module once")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
