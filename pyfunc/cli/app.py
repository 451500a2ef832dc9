"""The subcommands of ``pyfunc`` put together; each has a module of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from pyfunc.cli import (
    converting,
    dockerfile,
    environments,
    inspecting,
    predict,
    requirements,
    serve,
)
from pyfunc.version import VERSION

__all__ = ["app"]

_EXITS = (
    "Exit codes: 0 done, 1 a check found something, 2 wrong usage, 3 no usable model, "
    "4 not trusted or not intact, 5 input that does not fit, 6 the model failed, "
    "7 the environment lacks something, 8 the output cannot be written, 70 a defect."
)

app = typer.Typer(
    name="pyfunc",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EXITS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Serve, run and check models in MLflow's python_function format."""


for _command in (
    serve.serve,
    predict.predict,
    inspecting.inspect,
    inspecting.verify,
    requirements.dependencies,
    requirements.update_requirements,
    dockerfile.dockerfile,
    converting.convert,
):
    app.command(no_args_is_help=True)(_command)
app.add_typer(environments.app, name="env")
