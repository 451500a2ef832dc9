"""What is installed is named so that the same is installed again (PEP 610)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyfunc.env.installed.distributions import find_distribution
from pyfunc.env.requirements.lines import is_by_hand, name_of, parse_requirement
from pyfunc.env.requirements.sources import pinned, read_source
from pyfunc.env.specification import runtime_requirement
from pyfunc.version import VERSION

Install = Callable[..., Path]
GIT = {"vcs": "git", "commit_id": "c0ffee" * 6 + "c0ff"}
COMMIT = GIT["commit_id"]


def test_pins(site: Install, caplog: pytest.LogCaptureFixture) -> None:
    site("plain", "1.2")
    assert pinned("plain") == "plain==1.2"
    assert pinned("plain", extras="x,y") == "plain[x,y]==1.2"
    assert pinned("surely-not-installed") == "surely-not-installed"
    assert not caplog.records


def test_a_local_label_is_left_out_of_a_pin(
    site: Install, caplog: pytest.LogCaptureFixture
) -> None:
    site("torchy", "2.7.1+cu128")
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        assert pinned("torchy") == "torchy==2.7.1"
    assert "+cu128" in caplog.text


@pytest.mark.parametrize(
    ("recorded", "reference"),
    [
        pytest.param(
            {"url": "https://h/r.git", "vcs_info": GIT}, f"git+https://h/r.git@{COMMIT}", id="git"
        ),
        pytest.param(
            {"url": "https://user:s3cret@h/r", "vcs_info": {**GIT, "requested_revision": "main"}},
            f"git+https://h/r@{COMMIT}",
            id="git-with-a-password",
        ),
        pytest.param(
            {"url": "https://ghp_s3cret@h/r", "vcs_info": GIT, "subdirectory": "python/a"},
            f"git+https://h/r@{COMMIT}#subdirectory=python/a",
            id="git-with-a-token-and-a-folder",
        ),
        pytest.param(
            {"url": "https://${GIT_TOKEN}@h/r", "vcs_info": GIT},
            f"git+https://${{GIT_TOKEN}}@h/r@{COMMIT}",
            id="git-with-a-reference",
        ),
        pytest.param(
            {"url": "ssh://git@h/o/r.git", "vcs_info": GIT},
            f"git+ssh://git@h/o/r.git@{COMMIT}",
            id="git-over-ssh",
        ),
        pytest.param(
            {"url": "git@h:o/r.git", "vcs_info": GIT},
            f"git+ssh://git@h/o/r.git@{COMMIT}",
            id="git-as-git-writes-it",
        ),
        pytest.param(
            {"url": "https://h/r", "vcs_info": {"vcs": "hg", "commit_id": "ab1"}},
            "hg+https://h/r@ab1",
            id="mercurial",
        ),
        pytest.param(
            {"url": "https://h/a.whl", "archive_info": {"hash": "sha256=11"}},
            "https://h/a.whl#sha256=11",
            id="archive-old",
        ),
        pytest.param(
            {
                "url": "https://u:s3cret@h/a.zip?token=s3cret",
                "archive_info": {"hashes": {"md5": "0", "sha512": "5", "sha256": "22"}},
                "subdirectory": "s",
            },
            "https://h/a.zip#sha256=22&subdirectory=s",
            id="archive-with-hashes",
        ),
        pytest.param(
            {"url": "https://h/a.zip#egg=a", "archive_info": {}}, "https://h/a.zip", id="no-hash"
        ),
        pytest.param({"url": "https://h/a.zip"}, "https://h/a.zip", id="nothing-else"),
    ],
)
def test_an_address_is_named_with_all_that_fixes_it(
    site: Install, recorded: dict[str, Any], reference: str
) -> None:
    site("My_Package", "1.0", direct_url=json.dumps(recorded))
    line = pinned("my-package", extras="x")
    assert line == f"my-package[x] @ {reference}"
    assert "s3cret" not in line
    requirement = parse_requirement(line)
    assert requirement is not None
    assert requirement.url == reference


@pytest.mark.parametrize(
    "recorded",
    [
        pytest.param('{"url": "file:///src/a", "dir_info": {}}', id="folder"),
        pytest.param('{"url": "file:///src/a", "dir_info": {"editable": true}}', id="editable"),
        pytest.param(
            '{"url": "file:///w/a.whl", "archive_info": {"hash": "sha256=1"}}', id="file"
        ),
        pytest.param(
            '{"url": "file:///src/a", "vcs_info": {"vcs": "git", "commit_id": "1"}}', id="git"
        ),
        pytest.param('{"url": "https://h/r", "vcs_info": {"vcs": "git"}}', id="no-commit"),
        pytest.param("{", id="no-json"),
        pytest.param("[3]", id="no-mapping"),
        pytest.param('{"url": 3}', id="no-url"),
    ],
)
def test_what_only_this_machine_has_is_said_and_never_a_version(
    site: Install, caplog: pytest.LogCaptureFixture, recorded: str
) -> None:
    site("mine", "1.0", direct_url=recorded)
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        line = pinned("mine")
    assert line.startswith("# install separately: mine==1.0, installed from ")
    assert is_by_hand(line)
    assert name_of(line) == "mine"
    assert "mine 1.0" in caplog.text
    assert "/src" not in line


@pytest.mark.parametrize(
    ("recorded", "line"),
    [
        pytest.param(None, f"pyfunc-format=={VERSION}", id="index"),
        pytest.param(
            {"url": "file:///src", "dir_info": {"editable": True}},
            f"# install separately: pyfunc-format=={VERSION}, installed from a folder of one "
            "machine: pip install PATH_OF_ITS_SOURCE",
            id="folder",
        ),
        pytest.param(
            {"url": "https://t@h/r", "vcs_info": GIT},
            f"# install separately: pyfunc-format=={VERSION}, installed from a commit: "
            f"pip install 'pyfunc-format @ git+https://h/r@{COMMIT}'",
            id="commit",
        ),
    ],
)
def test_the_line_of_this_library(
    site: Install, recorded: dict[str, Any] | None, line: str
) -> None:
    direct_url = None if recorded is None else json.dumps(recorded)
    site("pyfunc_format", VERSION, direct_url=direct_url)
    assert runtime_requirement("pyfunc") == line
    assert name_of(line) == "pyfunc-format"


def test_what_an_index_gave_has_no_source(site: Install) -> None:
    site("plain")
    distribution = find_distribution("plain")
    assert distribution is not None
    assert read_source(distribution) is None
