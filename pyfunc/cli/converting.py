"""``pyfunc convert``: a Cortex project as a model."""

from __future__ import annotations

from typing import Annotated

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import AsJson, Verbose, log_to_stderr, print_json

__all__ = ["convert"]


@reporting
def convert(
    project: Annotated[str, typer.Argument(help="cortex.yaml, or the folder that holds one.")],
    output_path: Annotated[str, typer.Option("--output-path", "-o", help="The new model.")],
    api: Annotated[
        str | None, typer.Option(help="Name of the API; not needed if there is one only.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model's file, if it is somewhere else.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is at the output path.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Turn an API of a Cortex project (0.8 to 0.10) into a model with a request handler.

    Examples:

        pyfunc convert iris-classifier/cortex.yaml -o model --model iris.onnx
    """
    from pyfunc.cortex import convert_api

    log_to_stderr(verbose)
    path = convert_api(project, output_path, api=api, model=model, overwrite=overwrite)
    print_json({"path": str(path)}) if as_json else typer.echo(str(path))
