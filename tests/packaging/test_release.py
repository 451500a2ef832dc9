"""What a release says of itself is the same everywhere; ``nox -s release`` makes and tries one."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from pathlib import Path

import release
import yaml

from pyfunc.version import VERSION

ROOT = Path(__file__).parents[2]


def test_the_version_and_its_day_are_the_same_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) - (\d{4}-\d\d-\d\d)$", changes, flags=re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert newest is not None
    assert newest.groups() == (citation["version"], citation["date-released"])
    assert citation["version"] == VERSION


def write_sdist(path: Path, *, names: list[str], mode: int, owner: str, when: int) -> Path:
    folder = path / "p-1"
    folder.mkdir(parents=True)
    for name in ("a.py", "run.sh"):
        (folder / name).write_text(name)
        (folder / name).chmod(mode | (0o100 if name == "run.sh" else 0))
        os.utime(folder / name, (when, when))

    def by_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uname, member.uid = owner, when
        return member

    with tarfile.open(path / "p-1.tar.gz", "w:gz") as packed:
        for name in names:
            packed.add(folder / name, f"p-1/{name}", filter=by_owner)
    return path / "p-1.tar.gz"


def test_an_sdist_says_nothing_of_who_built_it_and_when(tmp_path: Path) -> None:
    made = [
        write_sdist(tmp_path / "1", names=["a.py", "run.sh"], mode=0o644, owner="ada", when=1),
        write_sdist(tmp_path / "2", names=["run.sh", "a.py"], mode=0o600, owner="bo", when=9),
    ]
    for path in made:
        release.settle_sdist(path, 1_800_000_000)
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in made}) == 1
    with tarfile.open(made[0]) as packed:
        found = {one.name: (one.mode, one.mtime, one.uname, one.uid) for one in packed}
        text = packed.extractfile("p-1/a.py")
        assert text is not None
        assert text.read() == b"a.py"
    when = 1_800_000_000
    assert found == {"p-1/a.py": (0o644, when, "", 0), "p-1/run.sh": (0o755, when, "", 0)}
