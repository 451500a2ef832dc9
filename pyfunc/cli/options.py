"""Arguments and options that several subcommands have, and what they come to."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from pyfunc.cli.exits import text_for_command
from pyfunc.errors import InvalidArgumentError, PyfuncError

__all__ = [
    "AsJson",
    "EnvManagerOption",
    "ExpectedDigest",
    "InstallMlflow",
    "ModelArgument",
    "ModelOption",
    "NoConda",
    "PipRequirementsOverride",
    "PublicKey",
    "TrustOption",
    "Verbose",
    "choose_model",
    "load_options",
    "log_to_stderr",
    "print_json",
    "split_requirements",
]

# A comma that is neither among extras in brackets nor before another version of a range.
_BETWEEN_REQUIREMENTS = re.compile(r",(?![^\[]*\])(?!\s*[<>=!~])")

ModelArgument = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="Directory or URL of the model.", show_default=False),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model-uri", "-m", help="The same as MODEL.", show_default=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output, also for errors.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write more to standard error.")]
EnvManagerOption = Annotated[
    Literal["local", "virtualenv", "uv", "conda"],
    typer.Option(
        help="Where the model runs: in this environment, or in one made of what it was saved with."
    ),
]
NoConda = Annotated[bool, typer.Option("--no-conda", help="The same as --env-manager local.")]
InstallMlflow = Annotated[
    bool,
    typer.Option("--install-mlflow", help="Have MLflow in the environment that is made as well."),
]
PipRequirementsOverride = Annotated[
    list[str] | None,
    typer.Option(
        "--pip-requirements-override",
        "-r",
        metavar="x==1,y==2",
        help="In that environment instead of what the model names; repeatable.",
    ),
]
TrustOption = Annotated[
    Literal["full", "digest", "signature", "allowlist"],
    typer.Option(help="What of the model may run."),
]
ExpectedDigest = Annotated[
    str | None, typer.Option(help="SHA-256 of the manifest, for --trust digest.")
]
PublicKey = Annotated[str | None, typer.Option(help="PEM file of the signer's public key.")]


def choose_model(argument: str | None, option: str | None) -> str:
    """Return the model that was named as an argument or by ``--model-uri``.

    Raises:
        InvalidArgumentError: it was named twice or not at all.
    """
    if (argument is None) == (option is None):
        problem = "no model was named" if argument is None else "the model was named twice"
        raise InvalidArgumentError(f"{problem}\nhint: give MODEL or --model-uri")
    return str(argument or option)


def load_options(
    env_manager: str,
    trust: str,
    expected_digest: str | None,
    public_key: str | None,
    *,
    no_conda: bool = False,
    install_mlflow: bool = False,
    pip_requirements_override: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the arguments of ``load_model`` that these options stand for.

    Raises:
        InvalidArgumentError: two of them contradict each other.
    """
    if public_key is not None and trust == "full":
        trust = "signature"
    if expected_digest is not None and trust == "full":
        trust = "digest"
    options: dict[str, Any] = {"trust": trust}
    if expected_digest is not None:
        options["expected_digest"] = expected_digest
    if public_key is not None:
        options["public_key"] = public_key
    if no_conda and env_manager != "local":
        raise InvalidArgumentError(f"--no-conda contradicts --env-manager {env_manager}")
    return options | _isolation(env_manager, install_mlflow, pip_requirements_override or ())


def _isolation(env_manager: str, install_mlflow: bool, override: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of ``load_model`` for an environment that is made for the model."""
    if env_manager == "local":
        if override:
            raise InvalidArgumentError(
                "--pip-requirements-override changes an environment that is made for the model, "
                "and this one is used as it is\nhint: add --env-manager uv, virtualenv or conda"
            )
        if install_mlflow:
            logging.getLogger("pyfunc.cli").warning(
                "--install-mlflow does nothing here: no environment is made (--env-manager local)"
            )
        return {}
    options: dict[str, Any] = {"env": "isolated", "env_manager": env_manager}
    if install_mlflow:
        options["install_mlflow"] = True
    if override:
        options["pip_requirements_override"] = split_requirements(override)
    return options


def split_requirements(texts: Sequence[str]) -> list[str]:
    """Return the requirements of ``"x==1,y>=2,<3"``: commas also stand within one of them."""
    parts = [part.strip() for text in texts for part in _BETWEEN_REQUIREMENTS.split(text)]
    return [part for part in parts if part]


class _CommandFormatter(logging.Formatter):
    """Writes records as they are, and errors that are logged as the command tells them."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple):
            told = tuple(
                text_for_command(value) if isinstance(value, PyfuncError) else value
                for value in record.args
            )
            record = logging.makeLogRecord({**vars(record), "args": told})
        return super().format(record)


class _Once(logging.Filter):
    """Lets each message through once: a long table is predicted in many parts."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        is_new = text not in self._seen
        self._seen.add(text)
        return is_new


def log_to_stderr(verbose: bool = False, *, repeat: bool = True) -> None:
    """Send the log of this library to standard error, each message once if not ``repeat``."""
    handler = logging.StreamHandler(sys.stderr)
    if not repeat:
        handler.addFilter(_Once())
    handler.setFormatter(_CommandFormatter("pyfunc: %(message)s"))
    logger = logging.getLogger("pyfunc")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def print_json(tree: Any) -> None:
    """Write a value as one line of JSON to standard output."""
    import json

    typer.echo(json.dumps(tree, default=str))
