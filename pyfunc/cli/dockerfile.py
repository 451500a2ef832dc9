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
from pyfunc.errors import InvalidArgumentError

__all__ = ["dockerfile", "parse_truth", "refuse_what_mlflow_has"]


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
        str | None, typer.Option(help="docker, podman or buildah; else the first that works.")
    ] = None,
    system_package: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Debian package to install; repeatable."),
    ] = None,
    base_image: Annotated[
        str | None, typer.Option(help="Instead of the slim image of the model's Python.")
    ] = None,
    port: Annotated[int, typer.Option("--port", "-p", help="Port of the server.")] = 8080,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the output directory.")
    ] = False,
    install_mlflow: Annotated[
        bool, typer.Option("--install-mlflow", help="Have MLflow in the image as well.")
    ] = False,
    install_java: Annotated[
        str | None,
        typer.Option(metavar="BOOLEAN", help="The same as --system-package default-jre-headless."),
    ] = None,
    env_manager: Annotated[
        str | None, typer.Option(help="Only local: the image is the environment.")
    ] = None,
    mlflow_home: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Write a Dockerfile for a model, with all that the image is built from.

    Examples:

        pyfunc dockerfile model -d context

        pyfunc dockerfile model -d context --build -n iris:1

        pyfunc dockerfile model --system-package libgl1 --base-image python:3.12
    """
    from pyfunc.deploy import build_image, check_tag, find_engine, write_context

    refuse_what_mlflow_has(env_manager, mlflow_home)
    java = ["default-jre-headless"] if parse_truth("--install-java", install_java) else []
    if build:
        check_tag(name)
        find_engine(engine)
    context = write_context(
        choose_model(model, model_uri),
        output_directory,
        system_packages=[*(system_package or ()), *java],
        base_image=base_image,
        port=port,
        install_mlflow=install_mlflow or None,
        overwrite=overwrite,
    )
    if not context.is_locked:
        typer.echo(
            "pyfunc: the model has no lock, so packages that its requirements need are not pinned"
            "\nhint: pyfunc env lock, in the environment that it was trained in",
            err=True,
        )
    if context.secrets and not build:
        options = " ".join(f"--secret id={name},env={name}" for name in context.secrets)
        typer.echo(f"pyfunc: the build needs secrets; give the engine: {options}", err=True)
    tree: dict[str, Any] = {
        "directory": str(context.directory),
        "base_image": context.image,
        "locked": context.is_locked,
        "system_packages": list(context.system_packages),
        "secrets": list(context.secrets),
    }
    if build:
        tree["command"] = build_image(
            context.directory, name, engine=engine, secrets=context.secrets
        )
        tree["image"] = name
    print_json(tree) if as_json else typer.echo(name if build else tree["directory"])


def refuse_what_mlflow_has(env_manager: str | None, mlflow_home: str | None) -> None:
    """Say what to do instead of two options of MLflow's that have no meaning here.

    Raises:
        InvalidArgumentError: one was given.
    """
    if env_manager not in (None, "local"):
        raise InvalidArgumentError(
            f"--env-manager {env_manager}: the image is the environment, with the model's Python "
            "and requirements in it\nhint: leave it out; --base-image takes another Python"
        )
    if mlflow_home is not None:
        raise InvalidArgumentError(
            "--mlflow-home: the image is made without MLflow\nhint: --install-mlflow adds the "
            "version of the model from an index"
        )


def parse_truth(option: str, text: str | None) -> bool:
    """Return the value of an option that is followed by a truth, as click reads one.

    Raises:
        InvalidArgumentError: it is none.
    """
    if text is None or text.strip().lower() in ("0", "false", "f", "no", "n", "off"):
        return False
    if text.strip().lower() in ("1", "true", "t", "yes", "y", "on"):
        return True
    raise InvalidArgumentError(f"{option}: expected true or false, got {text!r}")
