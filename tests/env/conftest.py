"""Fixtures for the tests of environments: a folder of made-up installed distributions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a made-up distribution into a new folder on sys.path."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(
        name: str,
        version: str = "1.0",
        *,
        requires: Sequence[str] = (),
        files: Sequence[str] = (),
        top_level: str | None = None,
        direct_url: str | None = None,
        record: str | None = None,
    ) -> Path:
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = [
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {r}" for r in requires),
        ]
        (info / "METADATA").write_text("\n".join([*lines, "", "Requires-Dist: not-a-header"]))
        listed = "".join(f"{file},sha256=x,1\n" for file in files) if record is None else record
        (info / "RECORD").write_text(listed, newline="")
        if top_level is not None:
            (info / "top_level.txt").write_text(top_level)
        if direct_url is not None:
            (info / "direct_url.json").write_text(direct_url)
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        return folder

    return install
