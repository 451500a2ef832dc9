"""``pyfunc inspect`` and ``pyfunc verify``: what a model is, and whether it is intact."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from pyfunc.cli.exits import Exit, reporting, text_for_command
from pyfunc.cli.options import (
    AsJson,
    ModelArgument,
    ModelOption,
    PublicKey,
    choose_model,
    print_json,
)

__all__ = ["inspect", "refresh", "verification", "verify"]


@reporting
def inspect(
    model: ModelArgument = None, model_uri: ModelOption = None, as_json: AsJson = False
) -> None:
    """Say what a model is and what loading it would run; nothing of it runs.

    Examples:

        pyfunc inspect model

        pyfunc inspect model --json | jq .pickles
    """
    from pyfunc.inspection import inspect as inspect_model

    found = inspect_model(choose_model(model, model_uri))
    typer.echo(found.to_json() if as_json else str(found))


@reporting
def verify(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    public_key: PublicKey = None,
    extra: Annotated[
        Literal["error", "warn", "ignore"],
        typer.Option(help="What a file means that was not saved."),
    ] = "error",
    as_json: AsJson = False,
) -> None:
    """Check that every file of a model is as it was saved, or as it was signed.

    Ends with 1 if files have changed, and with 4 if the signature does not hold.

    Examples:

        pyfunc verify model

        pyfunc verify model --public-key signer.pem && pyfunc serve model
    """
    found = verification(choose_model(model, model_uri), public_key=public_key, extra=extra)
    if as_json:
        print_json(found)
    elif found["ok"]:
        typer.echo(f"{found['files']} files are as they were saved, manifest {found['digest']}")
        if found["additions"]:
            typer.echo(f"added by a store: {', '.join(found['additions'])}")
    else:
        typer.echo(found["problem"])
    if not found["ok"]:
        raise typer.Exit(Exit.FINDINGS)


@reporting
def refresh(
    model: ModelArgument = None, model_uri: ModelOption = None, as_json: AsJson = False
) -> None:
    """Declare the files of a model to be right as they are; print the digest of its manifest.

    For use after MLflow, or you, changed a file on purpose. Look at what pyfunc verify says first.

    Examples:

        pyfunc verify model || pyfunc refresh model
    """
    from pyfunc.inspection import refresh as refresh_model

    manifest = refresh_model(choose_model(model, model_uri))
    found = {"files": len(manifest.files), "digest": manifest.digest}
    print_json(found) if as_json else typer.echo(manifest.digest)


def verification(
    model: str, *, public_key: str | None, extra: Literal["error", "warn", "ignore"]
) -> dict[str, Any]:
    """Return what the check of a model's files found.

    Raises:
        UntrustedModelError: the model is not signed with that key.
        ModelNotFoundError: there is no model.
    """
    from pyfunc.directory.verification import find_additions
    from pyfunc.errors import ModelIntegrityError
    from pyfunc.files.locations import resolve_model
    from pyfunc.inspection import verify as verify_model

    root = resolve_model(model)
    try:
        manifest = verify_model(root, public_key=public_key, extra=extra)
    except ModelIntegrityError as error:
        return {
            "ok": False,
            "problem": text_for_command(error),
            "missing": list(error.missing),
            "modified": list(error.modified),
            "extra": list(error.extra),
        }
    return {
        "ok": True,
        "files": len(manifest.files),
        "digest": manifest.digest,
        "additions": find_additions(root, manifest),
    }
