"""``pyfunc dockerfile``: what an image of a model is built from, and the image."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import (
    AsJson,
    ModelArgument,
    ModelOption,
    choose_model,
    print_json,
)

__all__ = ["dockerfile"]


@reporting
def dockerfile(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    output_directory: Annotated[
        str,
        typer.Option("--output-directory", "-d", "--output-path", "-o", help="The build context."),
    ] = "pyfunc-dockerfile",
    build: Annotated[bool, typer.Option("--build", help="Build the image as well.")] = False,
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the image.")] = "pyfunc-model",
    engine: Annotated[
        str | None, typer.Option(help="docker, podman or buildah; else the first installed.")
    ] = None,
    system_package: Annotated[
        list[str] | None, typer.Option(help="Debian package to install; repeatable.")
    ] = None,
    base_image: Annotated[
        str | None, typer.Option(help="Instead of the slim image of the model's Python.")
    ] = None,
    port: Annotated[int, typer.Option("--port", "-p", help="Port of the server.")] = 8080,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the output directory.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a Dockerfile for a model, with all that the image is built from.

    Examples:

        pyfunc dockerfile model -d context

        pyfunc dockerfile model -d context --build -n iris:1 --system-package libgomp1
    """
    from pyfunc.container import build_image, find_engine, write_context

    if build:
        find_engine(engine)
    context = write_context(
        choose_model(model, model_uri),
        output_directory,
        system_packages=system_package or (),
        base_image=base_image,
        port=port,
        overwrite=overwrite,
    )
    if not context.is_locked:
        typer.echo(
            "pyfunc: the model has no lock, so packages that its requirements need are not pinned"
            "\nhint: pyfunc env lock, in the environment that it was trained in",
            err=True,
        )
    tree: dict[str, Any] = {
        "directory": str(context.directory),
        "base_image": context.image,
        "locked": context.is_locked,
    }
    if build:
        tree["command"] = build_image(context.directory, name, engine=engine)
        tree["image"] = name
    print_json(tree) if as_json else typer.echo(name if build else tree["directory"])
