"""``pyfunc predict``: predictions for a file or standard input."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import (
    AsJson,
    EnvManagerOption,
    ExpectedDigest,
    ModelArgument,
    ModelOption,
    PublicKey,
    TrustOption,
    Verbose,
    choose_model,
    load_options,
    log_to_stderr,
)
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError

__all__ = ["parse_env", "parse_params", "predict"]


@reporting
def predict(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    input_path: Annotated[
        str | None, typer.Option("--input-path", "-i", help="File to read; standard input if not.")
    ] = None,
    output_path: Annotated[
        str | None,
        typer.Option("--output-path", "-o", help="File to write; standard output if not."),
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option("--content-type", "-t", help="json, jsonl, csv or parquet; else by name."),
    ] = None,
    output_type: Annotated[
        str | None, typer.Option(help="json, jsonl, csv or parquet; else by name.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="Parameters of the model, as a JSON object.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows that are predicted at once.")
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Each input is a sample for the request handler.")
    ] = False,
    env_manager: EnvManagerOption = "local",
    env: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the model; repeatable.")
    ] = None,
    trust: TrustOption = "full",
    expected_digest: ExpectedDigest = None,
    public_key: PublicKey = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Predict for a file or standard input; the predictions go to standard output or a file.

    JSON is a request as a model server takes it. CSV and parquet are tables with a column per
    input; their columns get the types of the model's signature.

    Examples:

        pyfunc predict model -i rows.csv -o predictions.csv

        echo '{"inputs": [[1, 2, 3]]}' | pyfunc predict -m model

        pyfunc predict model --sample -i requests.jsonl -t jsonl
    """
    from pyfunc.cli.prediction import PredictionJob, run_predictions
    from pyfunc.cli.tables_io import format_of

    log_to_stderr(verbose)
    chosen = choose_model(model, model_uri)
    reads = format_of(input_path, content_type)
    default = "jsonl" if reads == "jsonl" else "json"
    writes = format_of(output_path, "json" if as_json else output_type, default)  # type: ignore[arg-type]
    job = PredictionJob(reads, writes, parse_params(params), batch_size, sample)
    os.environ.update(parse_env(env or []))
    from pyfunc.loading import load_model

    with _reading(input_path) as source:
        loaded = load_model(
            chosen, **load_options(env_manager, trust, expected_digest, public_key)
        )
        with _progress() as advance, _writing(output_path) as target:
            run_predictions(loaded, job, source, target, advance)


def parse_params(text: str | None) -> dict[str, Any] | None:
    """Return the parameters of ``--params``.

    Raises:
        InvalidArgumentError: they are no JSON object.
    """
    if text is None:
        return None
    from pyfunc.schema.bodies.json_text import load_json

    try:
        value = load_json(text)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"--params: {error}") from error
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"--params: expected a JSON object, got {text!r}")
    return value


def parse_env(pairs: list[str]) -> dict[str, str]:
    """Return the variables of ``--env NAME=VALUE``.

    Raises:
        InvalidArgumentError: one has no name or no value.
    """
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not name or not sign:
            raise InvalidArgumentError(f"--env: expected NAME=VALUE, got {pair!r}")
        found[name] = value
    return found


@contextlib.contextmanager
def _reading(path: str | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdin.buffer
        return
    if not Path(path).is_file():
        raise ModelNotFoundError(f"--input-path: there is no file {path}", "BAD_REQUEST")
    with open(path, "rb") as file:
        yield file


@contextlib.contextmanager
def _writing(path: str | None) -> Iterator[BinaryIO]:
    """Give a file that appears only when all is written."""
    if path is None:
        yield sys.stdout.buffer
        return
    import io

    from pyfunc.files.publishing import write_file_atomically

    buffer = io.BytesIO()
    yield buffer
    write_file_atomically(Path(os.path.abspath(path)), buffer.getvalue())


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show how many rows are done on a terminal's standard error; say nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("predicting", total=None)
        yield lambda rows: progress.update(task, completed=rows)
