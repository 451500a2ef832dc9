"""``pyfunc validate``: will a model work where it runs?"""

from __future__ import annotations

from typing import Annotated

import typer

from pyfunc.cli.exits import Exit, reporting
from pyfunc.cli.options import (
    AsJson,
    EnvManagerOption,
    ModelArgument,
    ModelOption,
    Verbose,
    choose_model,
    log_to_stderr,
    print_json,
)

__all__ = ["validate"]


@reporting
def validate(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    env_manager: EnvManagerOption = "local",
    sample: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON file with a request for the handler.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that loading and trying may take.")
    ] = 600.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let what is missing count as a failure.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Try a model before it is deployed: files, environment, loading, prediction, server.

    The model's code runs, in a process of its own. Ends with 1 if a step failed.

    Examples:

        pyfunc validate model

        pyfunc validate model --env-manager uv --json
    """
    from pyfunc.validation.entry import validate as validate_model

    log_to_stderr(verbose)
    found = validate_model(
        choose_model(model, model_uri), env_manager=env_manager, sample=sample, timeout=timeout
    )
    print_json(found.to_dict()) if as_json else typer.echo(found.to_table(), nl=False)
    if not found.ok or (strict and found.warnings):
        raise typer.Exit(Exit.FINDINGS)
