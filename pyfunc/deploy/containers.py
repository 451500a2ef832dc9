"""A command in a container of an image: how it is started, and its end by its name."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Container", "remove_container", "start_command"]

_PATIENCE = 60.0  # seconds that an engine has to end a container


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What runs in a container.

    Attributes:
        name: by which it is found and ended.
        image: that it is made of.
        command: what runs, in place of what the image runs.
        folder: of this machine, seen at the same place inside.
        variables: names of variables that it gets with the values that the engine has.
        settings: variables with their values.
    """

    name: str
    image: str
    command: Sequence[str]
    folder: Path
    variables: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def start_command(engine: str, container: Container) -> list[str]:
    """Return the command that runs ``container`` and ends with it, with its status.

    What it writes is written by the command. It may do nothing that this user may not, and
    what it writes into the folder belongs to this user.
    """
    program, *arguments = container.command
    # The engine of a user who is not root has that user for the root of its containers.
    is_podman = Path(engine).name == "podman"
    user = "0:0" if is_podman else f"{os.getuid()}:{os.getgid()}"
    settings = [f"{name}={value}" for name, value in container.settings.items()]
    return [
        engine, "run", "--rm", "--no-healthcheck", "--name", container.name, "--user", user,
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--volume", f"{container.folder}:{container.folder}",
        *(part for name in (*container.variables, *settings) for part in ("--env", name)),
        "--entrypoint", program, container.image, *arguments,
    ]  # fmt: skip


def remove_container(engine: str, name: str) -> None:
    """End the container ``name`` at once; without effect if there is none."""
    # podman's ``rm`` alone would ask the process to end, and wait for it.
    for command in (("kill", name), ("rm", "--force", name)):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [engine, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE,
                check=False,
            )
