"""``docs/cli.md`` names every command, every option and every exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from pyfunc.cli.app import app
from pyfunc.cli.exits import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
EVERYWHERE = {"--model-uri", "-m", "--json", "--help"}


def commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            found |= {f"{name} {child}": each for child, each in inner.items()}
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_row_of_a_command_names_its_options(name: str) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    cell = row.split("|")[3]
    documented = {part for text in re.findall(r"`([^`]*)`", cell) for part in text.split("/")}
    options = {
        text
        for parameter in commands()[name].params
        for text in (*parameter.opts, *parameter.secondary_opts)
        if text.startswith("-") and not parameter.hidden
    }
    assert documented == options - EVERYWHERE


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    table = PAGE.partition("## Exit codes")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)] == sorted(Exit)
