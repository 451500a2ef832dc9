"""``pyfunc dependencies`` and ``pyfunc update-requirements``: the requirements of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import (
    AsJson,
    ModelArgument,
    ModelOption,
    Verbose,
    choose_model,
    log_to_stderr,
    print_json,
)

__all__ = ["dependencies", "update_requirements"]


@reporting
def dependencies(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    format: Annotated[
        Literal["pip", "conda"], typer.Option("--format", help="Which of the files.")
    ] = "pip",
    show: Annotated[bool, typer.Option("--show", help="Write the file, not its path.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Print the path of the file that installs what a model was saved with.

    Examples:

        pip install -r $(pyfunc dependencies model)
    """
    from pyfunc.env import get_model_dependencies
    from pyfunc.env.requirements.lines import decode_lines

    log_to_stderr(verbose)
    path = get_model_dependencies(choose_model(model, model_uri), format)
    text = decode_lines(Path(path).read_bytes()) if show or as_json else ""
    if as_json:
        print_json({"path": path, "lines": text.splitlines()})
    else:
        typer.echo(text if show else path)


@reporting
def update_requirements(
    operation: Annotated[
        Literal["add", "remove"], typer.Argument(metavar="add|remove", help="What to do.")
    ],
    requirements: Annotated[
        list[str], typer.Argument(metavar="REQUIREMENT", help="Such as numpy==2.1.")
    ],
    model_uri: Annotated[
        str, typer.Option("--model-uri", "-m", help="Directory of the model.", show_default=False)
    ],
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Add requirements to a saved model, or remove them; print the requirements that it has then.

    Examples:

        pyfunc update-requirements -m model add 'pandas>=2.2' scipy

        pyfunc update-requirements -m model remove scipy
    """
    from pyfunc.env import update_requirements as update

    log_to_stderr(verbose)
    lines = update(model_uri, operation, requirements)
    print_json({"requirements": lines}) if as_json else typer.echo("\n".join(lines))
