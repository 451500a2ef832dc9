"""The link that makes a project readable where handlers of Cortex look for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfunc.errors import PyfuncError, SaveConflictError
from pyfunc.handlers import mount_project


def test_the_link_leads_to_the_project(tmp_path: Path) -> None:
    project, at = tmp_path / "model" / "project", tmp_path / "mnt"
    project.mkdir(parents=True)
    mount_project(project, at)
    mount_project(project, at)
    assert at.readlink() == project


def test_an_older_link_is_replaced(tmp_path: Path) -> None:
    at = tmp_path / "mnt"
    at.symlink_to(tmp_path / "older")
    mount_project(tmp_path / "newer", at)
    assert at.readlink() == tmp_path / "newer"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    with pytest.raises(SaveConflictError, match="exists and is no link"):
        mount_project(tmp_path / "project", tmp_path / "mnt")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PyfuncError, match="cannot be made a link"):
        mount_project(tmp_path / "project", tmp_path / "missing" / "mnt")
