"""``pyfunc serve``: a model behind HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

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
    PublicKey,
    TrustOption,
    Verbose,
    choose_model,
    load_options,
    log_to_stderr,
    print_json,
)
from pyfunc.cli.server_options import (
    AccessLog,
    AllowedHost,
    AuthTokenFile,
    Certfile,
    CorsOrigin,
    ForwardedAllowIps,
    KeepAlive,
    Keyfile,
    MaxCells,
    MaxExpandedBytes,
    MaxNames,
    MaxRows,
    RootPath,
)
from pyfunc.errors import InvalidArgumentError, MissingDependencyError
from pyfunc.variables import REQUEST_TIMEOUT, SERVER_HOST, SERVER_PORT, SERVER_WORKERS

__all__ = ["import_server", "prepare_project", "serve"]


@reporting
def serve(
    model: ModelArgument = None,
    model_uri: ModelOption = None,
    port: Annotated[
        int, typer.Option("--port", "-p", envvar=SERVER_PORT.name, help="0 for any free one.")
    ] = 5000,
    host: Annotated[
        str, typer.Option("--host", "-h", envvar=SERVER_HOST.name, help="Address to listen on.")
    ] = "127.0.0.1",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            "-t",
            envvar=REQUEST_TIMEOUT.name,
            help="Seconds until a request is answered.",
        ),
    ] = 60.0,
    workers: Annotated[
        int,
        typer.Option("--workers", "-w", min=1, envvar=SERVER_WORKERS.name, help="Processes."),
    ] = 1,
    name: Annotated[
        str | None, typer.Option(help="What the Open Inference Protocol calls the model.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Predictions at once in a process; 0: as many as CPUs.")
    ] = 0,
    batching: Annotated[
        bool, typer.Option("--batching", help="Let waiting requests of one row share a predict.")
    ] = False,
    uds: Annotated[
        str | None, typer.Option(help="Unix socket to listen on, in place of host and port.")
    ] = None,
    allowed_host: AllowedHost = None,
    cors_origin: CorsOrigin = None,
    auth_token_file: AuthTokenFile = None,
    certfile: Certfile = None,
    keyfile: Keyfile = None,
    root_path: RootPath = "",
    keep_alive: KeepAlive = 5.0,
    forwarded_allow_ips: ForwardedAllowIps = None,
    access_log: AccessLog = False,
    max_cells: MaxCells = 2 << 20,
    max_names: MaxNames = 1 << 16,
    max_rows: MaxRows = 1 << 20,
    max_expanded_bytes: MaxExpandedBytes = 256 << 20,
    page: Annotated[bool, typer.Option(help="Serve a page at /.")] = True,
    debug: Annotated[
        bool, typer.Option("--debug", help="Send the model's own errors to clients.")
    ] = False,
    error_style: Annotated[
        Literal["pyfunc", "cortex"], typer.Option(help="Errors of the request handler's routes.")
    ] = "pyfunc",
    handler_on_invocations: Annotated[
        bool,
        typer.Option("--handler-on-invocations", help="Run the request handler there, too."),
    ] = False,
    mount_project: Annotated[
        bool,
        typer.Option("--mount-project", help="Link /mnt/project to the handler's project."),
    ] = False,
    env_manager: EnvManagerOption = "local",
    no_conda: NoConda = False,
    install_mlflow: InstallMlflow = False,
    trust: TrustOption = "full",
    expected_digest: ExpectedDigest = None,
    public_key: PublicKey = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Serve a model over HTTP until a signal ends it.

    The routes are those of MLflow's server and of the Open Inference Protocol; a model with a
    request handler answers samples at /predict.

    Examples:

        pyfunc serve model -p 8080

        pyfunc serve -m model --host 0.0.0.0 --workers 4 --env-manager uv
    """
    log_to_stderr(verbose=True)
    chosen = choose_model(model, model_uri)
    from pyfunc.files.locations import resolve_model
    from pyfunc.serving.http.startup import collection_paused

    root = resolve_model(chosen)
    with collection_paused():
        project = prepare_project(root, mount=mount_project)
        run = import_server()
    from pyfunc.serving.settings import ServingSettings

    settings = ServingSettings(
        predict_timeout=timeout,
        threads=threads,
        handler_on_invocations=handler_on_invocations,
        batching=batching,
        page=page,
        debug=debug,
        allowed_hosts=allowed_host or None,
        cors_origins=cors_origin or (),
        auth_token_file=auth_token_file,
        certfile=certfile,
        keyfile=keyfile,
        root_path=root_path,
        keep_alive=keep_alive,
        forwarded_allow_ips=forwarded_allow_ips,
        access_log=access_log,
        max_cells=max_cells,
        max_names=max_names,
        max_rows=max_rows,
        max_expanded_bytes=max_expanded_bytes,
    )
    if as_json:
        print_json({"model": str(root), "host": host, "port": port, "workers": workers})
    more = {} if project is None else {"routes": _routes_reference(error_style)}
    if uds is not None:
        more["uds"] = uds
    run(
        root,
        host=host,
        port=port,
        workers=workers,
        settings=settings,
        name=name,
        load_options=load_options(
            env_manager,
            trust,
            expected_digest,
            public_key,
            no_conda=no_conda,
            install_mlflow=install_mlflow,
        ),
        log_level="debug" if verbose else "info",
        **more,
    )


def _routes_reference(style: Literal["pyfunc", "cortex"]) -> str:
    """Return how the server's processes find the routes of request handlers."""
    from pyfunc.serving.http.running import name_of
    from pyfunc.serving.samples.routes import cortex_routes, handler_routes

    return name_of(cortex_routes if style == "cortex" else handler_routes)


def import_server() -> Callable[..., None]:
    """Return the function that runs a server.

    Raises:
        MissingDependencyError: the libraries of the server are not installed.
    """
    try:
        from pyfunc.serving import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pyfunc":
            raise
        raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error
    return run


def prepare_project(root: Path, *, mount: bool) -> Path | None:
    """Make the handler's project of a model known to this process; return its folder, if any.

    Raises:
        InvalidArgumentError: it is to be mounted, and the model has none.
        ModelPathError: it lies outside the model.
    """
    from pyfunc.files.paths import confine
    from pyfunc.handlers.mounting import mount_project
    from pyfunc.handlers.project import HANDLER_FLAVOR
    from pyfunc.model.description import Model
    from pyfunc.variables import PROJECT_DIR

    section = Model.load(root).flavors.get(HANDLER_FLAVOR)
    if not isinstance(section, dict):
        if mount:
            raise InvalidArgumentError(f"{root}: --mount-project, and there is no project")
        return None
    key = f"flavors.{HANDLER_FLAVOR}.project"
    project = confine(root, section.get("project"), key=key, kind="dir").absolute()
    PROJECT_DIR.set(str(project))
    if mount:
        mount_project(project)
    return project
