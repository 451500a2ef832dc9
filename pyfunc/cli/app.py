"""The subcommands of ``pyfunc`` put together; each has a module of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pyfunc.cli import (
    converting,
    dockerfile,
    environments,
    functions,
    inspecting,
    kubernetes,
    predict,
    requirements,
    run,
    serve,
    validating,
)
from pyfunc.cli.exits import Exit
from pyfunc.version import VERSION

__all__ = ["app"]

_EXITS = (
    "Exit codes: 0 done, 1 a check found something, 2 wrong usage, 3 no usable model, "
    "4 not trusted or not intact, 5 input that does not fit, 6 the model failed, "
    "7 the environment lacks something, 8 the output cannot be written, 70 a defect."
)


class JsonErrorGroup(TyperGroup):
    """Tells wrong usage as JSON on standard output too, if ``--json`` is among the arguments."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the process, as click does."""
        given = sys.argv[1:] if args is None else list(args)
        told_as_json = standalone_mode and "--json" in given
        try:
            result = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode and not told_as_json,
                windows_expand_args,
                **extra,
            )
        except Exception as error:
            # click's, or the copy of it that newer releases of typer bring along.
            if not told_as_json or not hasattr(error, "format_message"):
                raise
            tree = {"error": error.format_message(), "kind": type(error).__name__, "exit_code": 2}
            typer.echo(json.dumps(tree))
            sys.exit(Exit.USAGE)
        if told_as_json:
            sys.exit(result if isinstance(result, int) else Exit.DONE)
        return result


app = typer.Typer(
    name="pyfunc",
    cls=JsonErrorGroup,
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


# What the list of commands says of each, which has to fit a narrow terminal.
for _command, _help in (
    (serve.serve, "Serve a model over HTTP."),
    (predict.predict, "Predict for a file or standard input."),
    (inspecting.inspect, "Say what a model is; nothing of it runs."),
    (inspecting.verify, "Check that a model is as it was saved."),
    (inspecting.refresh, "Declare a model's files to be right as they are."),
    (validating.validate, "Try a model before it is deployed."),
    (requirements.dependencies, "Print the path of a model's requirements."),
    (requirements.update_requirements, "Add or remove requirements of a model."),
    (dockerfile.dockerfile, "Write what an image is built from; build it."),
    (converting.convert, "Turn a Cortex project into a model."),
):
    app.command(no_args_is_help=True, short_help=_help)(_command)
app.command(
    name="run",
    cls=run.RunCommand,
    no_args_is_help=True,
    short_help="Run a function of a Python file.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(run.run)
app.add_typer(environments.app, name="env")
app.add_typer(functions.app, name="functions")
app.add_typer(kubernetes.app, name="kubernetes")
