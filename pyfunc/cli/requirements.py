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
from pyfunc.errors import InvalidArgumentError

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
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] add|remove REQUIREMENT...",
            help="The model, unless -m names it; what to do; lines such as numpy==2.1.",
            show_default=False,
        ),
    ],
    model_uri: ModelOption = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Add requirements to a saved model, or remove them; print the requirements that it has then.

    Examples:

        pyfunc update-requirements model add 'pandas>=2.2' scipy

        pyfunc update-requirements -m model remove scipy
    """
    from pyfunc.env import update_requirements as update

    log_to_stderr(verbose)
    chosen, operation, requirements = _parse_words(words, model_uri)
    lines = update(chosen, operation, requirements)
    print_json({"requirements": lines}) if as_json else typer.echo("\n".join(lines))


def _parse_words(
    words: list[str], model_uri: str | None
) -> tuple[str, Literal["add", "remove"], list[str]]:
    """Return the model, what to do and the requirements, as MLflow's command orders them or ours.

    Raises:
        InvalidArgumentError: a word is missing, or the model is named twice or not at all.
    """
    model, rest = (model_uri, words) if model_uri is not None else (words[0], words[1:])
    if model_uri is not None and len(words) > 1 and words[1] in ("add", "remove"):
        raise InvalidArgumentError("name the model once, in front or with -m")
    if (
        model_uri is None
        and words[0] in ("add", "remove")
        and words[1:2] not in (["add"], ["remove"])
    ):
        raise InvalidArgumentError("name the model, in front or with -m")
    operation, *requirements = rest or [""]
    if operation not in ("add", "remove"):
        raise InvalidArgumentError(f"expected add or remove after the model, got {operation!r}")
    if not requirements:
        raise InvalidArgumentError(f"which requirements to {operation} is missing")
    return str(model), "add" if operation == "add" else "remove", requirements
