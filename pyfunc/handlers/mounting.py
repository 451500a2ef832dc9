"""Making a model's project readable at the path that handlers of Cortex were written for."""

from __future__ import annotations

import os
from pathlib import Path

from pyfunc.errors import PyfuncError, SaveConflictError

__all__ = ["MOUNT_POINT", "mount_project"]

MOUNT_POINT = "/mnt/project"


def mount_project(project: Path, at: Path = Path(MOUNT_POINT)) -> None:
    """Make ``at`` a symbolic link to the folder ``project``.

    Nothing but an older link is replaced.

    Raises:
        SaveConflictError: there is something else at ``at``.
        PyfuncError: this user may not write there.
    """
    project = project.absolute()
    try:
        if at.is_symlink():
            if at.readlink() == project:
                return
            at.unlink()
        os.symlink(project, at, target_is_directory=True)
    except FileExistsError as error:
        raise SaveConflictError(
            f"{at} exists and is no link\nhint: remove it, or read the project by project_dir"
        ) from error
    except OSError as error:
        raise PyfuncError(
            f"{at} cannot be made a link to {project}: {error.strerror}\n"
            "hint: run in a container, or let the handler read project_dir"
        ) from error
