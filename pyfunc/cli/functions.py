"""``pyfunc functions``: what is in a store, and the end of runs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pyfunc.cli.exits import reporting
from pyfunc.cli.options import AsJson, print_json
from pyfunc.cli.run import ProjectOption, RootOption

if TYPE_CHECKING:
    from pyfunc.functions.run import Run

__all__ = ["app", "gc", "list_functions", "logs", "runs", "show", "stop", "ui"]

app = typer.Typer(no_args_is_help=True, help="Functions, their runs and what these put out.")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id or key of the run.")]


@app.command(name="list", short_help="List the functions of a project.")
@reporting
def list_functions(
    project: ProjectOption = "default",
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """List the functions of a project, all versions, the oldest first.

    Examples:

        pyfunc functions list -p demo
    """
    from pyfunc.functions.project import get_project

    found = get_project(project, root=root).list_functions()
    if as_json:
        print_json({"functions": [function.to_dict() for function in found]})
        return
    for function in found:
        typer.echo(f"{function.name}\t{function.spec.source['handler']}\t{function.key}")


@app.command(short_help="Show the document of an entity.")
@reporting
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as store://demo/run/...")],
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the document of whatever a key names.

    Examples:

        pyfunc functions show store://demo/function/python/train
    """
    from pyfunc.functions.names import parse_key
    from pyfunc.functions.project import get_project

    parsed = parse_key(key)
    project = get_project(parsed.project, root=root)
    is_project = parsed.entity_type == "project"
    found = project if is_project else getattr(project, f"get_{parsed.entity_type}")(key)
    tree = found.to_dict()
    print_json(tree) if as_json else typer.echo(json.dumps(tree, indent=2))


@app.command(short_help="List the runs of a project.")
@reporting
def runs(
    project: ProjectOption = "default",
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a project with their states, the oldest first.

    Examples:

        pyfunc functions runs -p demo --json | jq '.runs[].status.state'
    """
    from pyfunc.functions.project import get_project

    found = get_project(project, root=root).list_runs()
    if as_json:
        print_json({"runs": [run.to_dict() for run in found]})
        return
    for run in found:
        function = str(run.spec.function).partition("//")[2]
        message = str(run.status.message or "").partition("\n")[0]
        typer.echo(f"{run.id}\t{run.status.state}\t{function}\t{message}")


def _run_named(run: str, project: str, root: str | None) -> Run:
    """Return the run of a key, which names its project, or of an id in ``project``."""
    from pyfunc.functions.names import parse_key
    from pyfunc.functions.project import get_project

    named = parse_key(run).project if "://" in run else project
    return get_project(named, root=root).get_run(run)


@app.command(short_help="Show the log of a run.")
@reporting
def logs(
    run: RunArgument,
    project: ProjectOption = "default",
    root: RootOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until the run has ended.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the log of a run.

    Examples:

        pyfunc functions logs 60822e9e94e44e118defe76df1a906b6 -p demo --follow
    """
    lines = _run_named(run, project, root).logs(follow)
    if as_json:
        print_json({"lines": [*lines]})
        return
    for line in lines:
        typer.echo(line)


@app.command(short_help="End a run.")
@reporting
def stop(
    run: RunArgument,
    project: ProjectOption = "default",
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """End a run that has a process of its own, and all that it started.

    Examples:

        pyfunc functions stop 60822e9e94e44e118defe76df1a906b6 -p demo
    """
    found = _run_named(run, project, root)
    found.stop()
    state = found.status.state
    print_json({"run": found.key, "state": state}) if as_json else typer.echo(state)


@app.command(short_help="Show or remove what nobody can use any more.")
@reporting
def gc(
    project: ProjectOption = "default",
    root: RootOption = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove it; else it is only listed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what nobody can see or use any more; with --remove it is gone.

    That is outputs of runs that did not complete, what killed processes had begun, and code that
    no function and no run is made of. What a living process is writing stays.

    Examples:

        pyfunc functions gc -p demo

        pyfunc functions gc -p demo --remove
    """
    from pyfunc.functions.project import get_project

    opened = get_project(project, root=root)
    found = [str(path) for path in opened.collect_garbage(dry_run=not remove)]
    if as_json:
        print_json({"removed" if remove else "found": found})
        return
    typer.echo("\n".join(found), nl=bool(found))
    if found and not remove:
        typer.echo("nothing was removed; --remove does it", err=True)


@app.command(short_help="Show the store in a browser.")
@reporting
def ui(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 for any free one.")
    ] = 5001,
    root: RootOption = None,
    as_json: AsJson = False,
) -> None:
    """Show projects, functions, runs, logs and data in a browser, until a signal ends it.

    The page changes nothing, and only this machine reaches it.

    Examples:

        pyfunc functions ui --port 0
    """
    from pathlib import Path

    from pyfunc.functions.store import default_root
    from pyfunc.functions.ui.app import serve_page

    def tell(url: str) -> None:
        print_json({"url": url}) if as_json else typer.echo(url)
        sys.stdout.flush()

    serve_page(default_root() if root is None else Path(root).absolute(), port, tell)
