"""``pyfunc predict``: predictions for a file or standard input."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import (
    AsJson,
    EnvManagerOption,
    ExpectedDigest,
    InstallMlflow,
    ModelArgument,
    ModelOption,
    NoConda,
    PipRequirementsOverride,
    PublicKey,
    TrustOption,
    Verbose,
    choose_model,
    load_options,
    log_to_stderr,
    print_json,
)
from pyfunc.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pyfunc.distributed.batch.tables import FileFormat

__all__ = ["parse_env", "parse_params", "predict"]


@reporting
def predict(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    input_path: Annotated[
        str | None,
        typer.Option("--input-path", "-i", help="File to read; standard input if none or -."),
    ] = None,
    output_path: Annotated[
        str | None,
        typer.Option("--output-path", "-o", help="File to write; standard output if none or -."),
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
        int | None,
        typer.Option(min=0, metavar="ROWS", help="Rows that are predicted at once; 0: all."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Predict one share of a parquet file's row groups, 0/3 to 2/3 of three; env: the "
            "one that an indexed Job of Kubernetes names. {shard} in the output's name becomes I.",
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            help="Keep finished row groups beside the output and go on from them; by default "
            "where parquet becomes parquet.",
            show_default=False,
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Drop what an earlier run has finished.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Each input is a sample for the request handler.")
    ] = False,
    env_manager: EnvManagerOption = "local",
    no_conda: NoConda = False,
    install_mlflow: InstallMlflow = False,
    pip_requirements_override: PipRequirementsOverride = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME=VALUE", help="Variable for the model; repeatable."),
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

        pyfunc predict model -i rows.csv --env-manager uv -r 'numpy==2.1.0'

        pyfunc predict model --sample -i requests.jsonl

        pyfunc predict model -i big.parquet -o part-{shard}.parquet --shard 0/3
    """
    log_to_stderr(verbose, repeat=False)
    os.environ.update(parse_env(env or []))
    from pyfunc.cli.streams import own_stdout, reading, writing
    from pyfunc.distributed.batch.entry import predict_file
    from pyfunc.distributed.batch.resuming import rows_of
    from pyfunc.distributed.batch.shards import parse_shard
    from pyfunc.distributed.batch.tables import format_of

    chosen = choose_model(model, model_uri)
    input_path = _no_stream(input_path, "stdin", 0)
    output_path = _no_stream(output_path, "stdout", 1)
    reads = format_of(input_path, content_type)
    default: FileFormat = "jsonl" if reads == "jsonl" else "json"
    writes = format_of(output_path, _output_type(output_type, output_path, as_json), default)
    given = parse_params(params)
    part = None if shard is None else parse_shard(shard)
    if part is not None and output_path is not None:
        output_path = part.named(output_path)
    options = load_options(
        env_manager,
        trust,
        expected_digest,
        public_key,
        no_conda=no_conda,
        install_mlflow=install_mlflow,
        pip_requirements_override=pip_requirements_override,
    )
    from pyfunc.loading.entry import load_model

    with (
        own_stdout() as stdout,
        reading(input_path) as source,
        writing(output_path, writes, stdout) as target,
    ):
        loaded = load_model(chosen, **options)
        with _progress(rows_of(input_path, reads, part)) as advance:
            rows = predict_file(
                loaded,
                source,
                target,
                input_format=reads,
                output_format=writes,
                params=given,
                batch_size=batch_size,
                samples=sample,
                shard=part,
                resume=resume,
                restart=restart,
                progress=advance,
            )
    if as_json and output_path is not None:
        print_json({"output_path": output_path, "output_type": writes, "rows": rows})


def _no_stream(path: str | None, name: str, number: int) -> str | None:
    """Return a path, None if it stands for a standard stream.

    What opened one of those by its name would get what stands in its place while a model runs.
    """
    names = ("-", f"/dev/{name}", f"/dev/fd/{number}", f"/proc/self/fd/{number}")
    return None if path in names else path


def _output_type(said: str | None, path: str | None, as_json: bool) -> str | None:
    """Return the type that was asked for: ``--json`` asks for JSON on standard output.

    Raises:
        InvalidArgumentError: another type is to go there.
    """
    if not as_json or path is not None:
        return said
    if said not in (None, "json"):
        raise InvalidArgumentError(
            f"--json writes JSON to standard output, --output-type {said} something else\n"
            "hint: leave one of them out, or name a file by --output-path"
        )
    return "json"


def parse_params(text: str | None) -> dict[str, Any] | None:
    """Return the parameters of ``--params``.

    Raises:
        InvalidArgumentError: they are no JSON object.
    """
    if text is None:
        return None
    from pyfunc.schema.wire.json_text import load_json

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
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done on a terminal's standard error; say nothing elsewhere.

    Of a known ``total`` it is a bar.
    """
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = () if total is None else (BarColumn(), TimeRemainingColumn())
    rows = TextColumn(
        "{task.completed:,.0f}" + ("" if total is None else f" of {total:,}") + " rows"
    )
    columns = (SpinnerColumn(), *bar, rows, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("predicting", total=total)
        yield lambda rows: progress.update(task, completed=rows)
