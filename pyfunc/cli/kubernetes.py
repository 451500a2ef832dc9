"""``pyfunc kubernetes``: manifests for the image of a model, as YAML on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from pyfunc.cli.exits import reporting
from pyfunc.errors import InvalidArgumentError

__all__ = ["app", "batch", "kserve", "serve"]

app = typer.Typer(no_args_is_help=True, help="Manifests that run the image of a model.")

ImageArgument = Annotated[str, typer.Argument(metavar="IMAGE", help="Image of the model.")]
NameOption = Annotated[str, typer.Option("--name", "-n", help="Name of all objects.")]
NamespaceOption = Annotated[str | None, typer.Option(help="Where the objects are.")]
PortOption = Annotated[int, typer.Option("--port", "-p", help="Port of the image's server.")]
ParametersOption = Annotated[
    str,
    typer.Option(metavar="JSON", help="Resources, volumes and the like, as tasks have them."),
]


@app.command(short_help="What serves a model.")
@reporting
def serve(
    image: ImageArgument,
    name: NameOption = "model",
    namespace: NamespaceOption = None,
    port: PortOption = 8080,
    parameters: ParametersOption = "{}",
) -> None:
    """Print a Deployment, a Service, an autoscaler and a disruption budget.

    Examples:

        pyfunc kubernetes serve registry.example/iris:1 -n iris | kubectl apply -f -

        pyfunc kubernetes serve iris:1 --parameters '{"replicas": 3}'
    """
    from pyfunc.distributed.kubernetes import serve_manifests

    _print(serve_manifests(image, name, _parse(parameters), namespace=namespace, port=port))


@app.command(short_help="What predicts for a parquet file, in shares.")
@reporting
def batch(
    image: ImageArgument,
    input_path: Annotated[str, typer.Option("--input-path", "-i", help="The parquet file.")],
    output_path: Annotated[
        str, typer.Option("--output-path", "-o", help="With {shard} in it; on a volume.")
    ],
    name: NameOption = "model",
    shards: Annotated[int, typer.Option(help="How many shares.")] = 1,
    parallelism: Annotated[
        int | None, typer.Option(help="How many pods at a time; by default all.")
    ] = None,
    namespace: NamespaceOption = None,
    parameters: ParametersOption = "{}",
) -> None:
    """Print an indexed Job; with a schedule among the parameters a CronJob.

    Examples:

        pyfunc kubernetes batch iris:1 -i /data/x.parquet -o '/data/y-{shard}.parquet' --shards 3
    """
    from pyfunc.distributed.kubernetes import batch_manifests

    _print(
        batch_manifests(
            image,
            name,
            input_path,
            output_path,
            _parse(parameters),
            shards=shards,
            parallelism=parallelism,
            namespace=namespace,
        )
    )


@app.command(short_help="A service of KServe that runs the image.")
@reporting
def kserve(
    image: ImageArgument,
    name: NameOption = "model",
    namespace: NamespaceOption = None,
    port: PortOption = 8080,
    parameters: ParametersOption = "{}",
) -> None:
    """Print an InferenceService whose predictor is the image.

    Examples:

        pyfunc kubernetes kserve registry.example/iris:1 -n iris | kubectl apply -f -
    """
    from pyfunc.distributed.kubernetes import kserve_manifests

    _print(kserve_manifests(image, name, _parse(parameters), namespace=namespace, port=port))


def _parse(text: str) -> Mapping[str, object]:
    """Return the parameters that are written as JSON.

    Raises:
        InvalidArgumentError: it is no JSON object.
    """
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(f"--parameters: expected a JSON object: {error}") from error
    if not isinstance(tree, dict):
        raise InvalidArgumentError(f"--parameters: expected a JSON object, got {text!r}")
    return tree


def _print(manifests: Sequence[Mapping[str, object]]) -> None:
    from pyfunc.files.yaml_writing import dump_yaml

    texts = [dump_yaml(manifest, sort_keys=False) for manifest in manifests]
    typer.echo("---\n".join(texts), nl=False)
