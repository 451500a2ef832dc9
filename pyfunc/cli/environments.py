"""``pyfunc env check``, ``env lock`` and ``env create``: what a model needs to run."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from pyfunc.cli.exits import Exit, reporting
from pyfunc.cli.options import (
    AsJson,
    ModelArgument,
    ModelOption,
    PipRequirementsOverride,
    Verbose,
    choose_model,
    log_to_stderr,
    print_json,
    split_requirements,
)
from pyfunc.variables import NO_COLOR

__all__ = ["app", "check", "create", "lock"]

app = typer.Typer(no_args_is_help=True, help="What a model needs to run.")


@app.command(short_help="Compare what is installed with what a model needs.")
@reporting
def check(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    lock: Annotated[
        bool, typer.Option("--lock", help="Compare everything that is installed with the lock.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare what is installed here with what a model was saved with.

    Ends with 1 if there are differences that matter.

    Examples:

        pyfunc env check model

        pyfunc env check model --json | jq '.mismatches[].name'
    """
    from pyfunc.env import check as check_environment

    report = check_environment(choose_model(model, model_uri), lock=lock)
    if as_json:
        print_json(report.to_dict())
    else:
        colour = sys.stdout.isatty() and NO_COLOR.read() is None
        typer.echo(report.to_table(colour=colour), nl=False)
    if not report.ok:
        raise typer.Exit(Exit.FINDINGS)


@app.command(short_help="Write a lock of what is installed.")
@reporting
def lock(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    resolve: Annotated[
        bool, typer.Option(help="Ask uv for the files and hashes that an index has.")
    ] = True,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a lock of everything that is installed here beside a model.

    Examples:

        pyfunc env lock model
    """
    from pyfunc.env import lock as lock_environment

    log_to_stderr(verbose)
    path = lock_environment(choose_model(model, model_uri), resolve=resolve)
    print_json({"lock": str(path)}) if as_json else typer.echo(str(path))


@app.command(short_help="Make a model's environment; print its Python.")
@reporting
def create(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    env_manager: Annotated[
        Literal["uv", "virtualenv", "conda"] | None,
        typer.Option(help="What makes it; uv if installed, else virtualenv."),
    ] = None,
    root: Annotated[str | None, typer.Option(help="The folder of cached environments.")] = None,
    pip_requirements_override: PipRequirementsOverride = None,
    install_mlflow: Annotated[
        bool | None,
        typer.Option(help="Have MLflow in it as well, or not; else if the model's code needs it."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make an environment of what a model was saved with; print its Python.

    One that was made before is used again.

    Examples:

        $(pyfunc env create model) -m pyfunc predict model -i rows.csv
    """
    from pyfunc.env import prepare_environment

    log_to_stderr(verbose)
    made = prepare_environment(
        choose_model(model, model_uri),
        env_manager=env_manager,
        root=root,
        install_mlflow=install_mlflow,
        pip_requirements_override=split_requirements(pip_requirements_override or []),
    )
    tree: dict[str, Any] = {
        "python": str(made.python),
        "directory": str(made.directory),
        "manager": made.manager,
        "python_version": made.python_version,
        "reused": made.reused,
    }
    print_json(tree) if as_json else typer.echo(tree["python"])
