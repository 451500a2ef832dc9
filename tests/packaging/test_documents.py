"""The pages of the documentation run: all their Python and shell, from the top to the end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import run_page

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = {page.relative_to(ROOT / "docs").as_posix(): page.read_text("utf-8") for page in PAGES}
RUN = [name for name, text in TEXTS.items() if any(run_page.blocks_of(text))]


@pytest.mark.parametrize("name", RUN)
def test_a_page_runs_and_says_what_its_comments_say(name: str, tmp_path: Path) -> None:
    (tmp_path / "at").mkdir()
    printed = tmp_path / "printed"
    with printed.open("wb") as out:
        done = subprocess.run(
            [sys.executable, run_page.__file__, str(ROOT / "docs" / name)],
            cwd=tmp_path / "at",
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = printed.read_text(encoding="utf-8")
    assert done.returncode == 0, said
    code = "".join(code for _, language, code, _ in run_page.blocks_of(TEXTS[name]))
    promised = re.findall(r"^ *(?:print\(.*)?\)  # ([^a-z\n].*)$", code, flags=re.MULTILINE)
    assert [text for text in promised if text not in said] == []


def test_pages_are_run() -> None:
    """Those of the API too: each has an example, and does not only list signatures."""
    of_api = {name for name in TEXTS if name.startswith("api/")}
    assert {"tutorial.md", "models.md", "schemas.md", "handlers.md", "functions.md"} <= set(RUN)
    assert of_api <= set(RUN)


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_says_what_it_is(name: str) -> None:
    """Code that is run is marked as Python or shell; the rest says that it is none."""
    found = re.findall(r"^```(.*)$", TEXTS[name], flags=re.MULTILINE)[::2]
    kinds = {kind.partition(" ")[0] for kind in found}
    assert kinds <= {"python", "sh", "text", "json", "yaml", "toml", "dockerfile"}
