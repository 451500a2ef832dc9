"""``pyfunc run``: a function of a Python file as a job, with options from its signature."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from pyfunc.cli.exits import reporting
from pyfunc.cli.function_options import describe_options, option_of, parse_arguments
from pyfunc.cli.options import AsJson, Verbose, log_to_stderr, print_json
from pyfunc.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyfunc.functions.function import Function
    from pyfunc.functions.project import Project
    from pyfunc.functions.run import Run
    from pyfunc.functions.user_code import UserFunction

__all__ = ["ProjectOption", "RootOption", "RunCommand", "run"]

ProjectOption = Annotated[str, typer.Option("--project", "-p", help="Name of the project.")]
_BEHIND = f"{__name__}.behind"
RootOption = Annotated[
    str | None,
    typer.Option(help="Directory of the store; PYFUNC_FUNCTIONS_ROOT or .pyfunc-functions."),
]


class RunCommand(TyperCommand):
    """Asks the function for help where ``--help`` stands behind it."""

    # The context is click's, or that of the copy that newer releases of typer bring along.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note which words stand behind the function."""
        place = next((at for at, word in enumerate(args) if _is_target(word)), len(args))
        behind = args[place:]
        ctx.meta[_BEHIND] = behind[: behind.index("--")] if "--" in behind else behind
        own = ctx.meta[_BEHIND]
        asked = ["--options" if word == "--help" else word for word in own]
        return super().parse_args(ctx, args[:place] + asked + behind[len(own) :])


def _is_target(word: str) -> bool:
    path, _, name = word.rpartition(":")
    return name.isidentifier() and Path(path).is_file()


@reporting
def run(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", show_default=False)],
    project: ProjectOption = "default",
    root: RootOption = None,
    options: Annotated[
        bool, typer.Option("--options", help="Show what the function does and takes; run nothing.")
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Take the outputs of an equal earlier run.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds until the run is ended.")] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run a function of a Python file as a job; its arguments are options of the same names.

    What it returns is listed with where it lies. What it prints goes to standard error.

    Examples:

        pyfunc run train.py:train --depth 3 --rows rows.csv

        pyfunc run train.py:train --options
    """
    log_to_stderr(verbose)
    from pyfunc.cli.streams import own_stdout
    from pyfunc.functions.project import get_or_create_project

    with own_stdout() as stdout:
        opened = get_or_create_project(project, root=root)
        function, code = _find_function(opened, target)
        if options:
            stdout.write(f"{describe_options(code.function)}\n".encode())
            return
        _check_meant_here(context, code.function)
        given = parse_arguments(code.function, context.args, opened)
        done = function.run(
            inputs=given.inputs, parameters=given.parameters, cache=cache, timeout=timeout
        )
    _show(done, as_json=as_json)


def _check_meant_here(context: typer.Context, function: Callable[..., object]) -> None:
    """Return if no option behind the function can be meant for the command or for it."""
    from pyfunc.functions.signatures import read_parameters

    behind = {word.partition("=")[0] for word in context.meta[_BEHIND]}
    own = {option for parameter in context.command.params for option in parameter.opts}
    for option in map(option_of, read_parameters(function)):
        if option in own and option in behind:
            raise InvalidArgumentError(
                f"{option} is an option of this command, and one of the function\n"
                "hint: give that of the command before FILE:FUNCTION, and that of the function "
                f"behind two dashes: FILE:FUNCTION -- {option} ..."
            )


def _find_function(project: Project, target: str) -> tuple[Function, UserFunction]:
    """Return the function of the project with the code that the file has now, and that code."""
    from pyfunc.functions.names import to_name
    from pyfunc.functions.sources import SOURCES, fetch_source, make_source
    from pyfunc.functions.user_code import load_function

    path, _, name = target.rpartition(":")
    if not _is_target(target):
        raise InvalidArgumentError(f"expected FILE:FUNCTION with a file that is there: {target!r}")
    source = make_source(path, None, None, handler=name, init_function=None)
    code = load_function(fetch_source(source, project.path / SOURCES), name)
    version = f"PYTHON3_{sys.version_info[1]}"
    called = to_name(name)
    for earlier in reversed(project.list_functions(called)):
        if earlier.spec.source == source and earlier.spec.python_version == version:
            return earlier, code
    return project.new_function(called, source=source, python_version=version), code


def _show(run: Run, *, as_json: bool) -> None:
    outputs = {
        name: {"key": entity.key, "path": str(entity.as_file())}
        for name, entity in run.outputs().items()
    }
    if as_json:
        from pyfunc.functions.outputs import encode_value

        print_json(
            {
                "run": run.key,
                "state": run.status.state,
                "cached_from": run.status.cached_from,
                "results": encode_value(run.results()),
                "outputs": outputs,
            }
        )
        return
    typer.echo(f"{run.key} {run.status.state}")
    for name, value in run.results().items():
        typer.echo(f"{name}\t{value!r}")
    for name, found in outputs.items():
        typer.echo(f"{name}\t{found['path']}")
