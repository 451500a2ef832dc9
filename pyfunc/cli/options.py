"""Arguments and options that several subcommands have, and what they come to."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any, Literal

import typer

from pyfunc.errors import InvalidArgumentError

__all__ = [
    "AsJson",
    "EnvManagerOption",
    "ExpectedDigest",
    "ModelArgument",
    "ModelOption",
    "PublicKey",
    "TrustOption",
    "Verbose",
    "choose_model",
    "load_options",
    "log_to_stderr",
    "print_json",
]

ModelArgument = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="Directory or URL of the model.", show_default=False),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model-uri", "-m", help="The same as MODEL.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object, also for errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write more to standard error.")]
EnvManagerOption = Annotated[
    Literal["local", "virtualenv", "uv", "conda"],
    typer.Option(
        help="Where the model runs: in this environment, or in one made of what it was saved with."
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
    env_manager: str, trust: str, expected_digest: str | None, public_key: str | None
) -> dict[str, Any]:
    """Return the arguments of ``load_model`` that these options stand for."""
    if public_key is not None and trust == "full":
        trust = "signature"
    if expected_digest is not None and trust == "full":
        trust = "digest"
    options: dict[str, Any] = {"trust": trust}
    if expected_digest is not None:
        options["expected_digest"] = expected_digest
    if public_key is not None:
        options["public_key"] = public_key
    if env_manager != "local":
        options |= {"env": "isolated", "env_manager": env_manager}
    return options


def log_to_stderr(verbose: bool = False) -> None:
    """Send the log of this library to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("pyfunc: %(message)s"))
    logger = logging.getLogger("pyfunc")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def print_json(tree: Any) -> None:
    """Write a value as one line of JSON to standard output."""
    import json

    typer.echo(json.dumps(tree, default=str))
