"""Every install command that an error or a page gives is one that works."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("pyfunc", "schema", "env", "flavors", "docs")
MENTION = re.compile(r"pyfunc-format\[([a-z0-9_, -]+)\]")


def declared() -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return set(config["options.extras_require"])


def mentions() -> dict[str, str]:
    found: dict[str, str] = {}
    pages = [ROOT / "README.md", *(p for f in FOLDERS for p in (ROOT / f).rglob("*.*"))]
    for page in pages:
        if page.suffix in (".py", ".md"):
            for names in MENTION.findall(page.read_text(encoding="utf-8")):
                found.update(
                    {name.strip(): str(page.relative_to(ROOT)) for name in names.split(",")}
                )
    return found


@pytest.mark.parametrize("name", sorted(mentions()))
def test_an_extra_that_is_named_exists(name: str) -> None:
    assert name in declared(), f"named in {mentions()[name]}"
