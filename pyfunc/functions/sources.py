"""Where the code of a function comes from, and the folder that it becomes.

=============================  =====================================  ====================
``code_src``                   becomes                                handler
=============================  =====================================  ====================
``path/to/file.py``            the file itself, in the document       ``function``
``git+https://host/repo#ref``  what is checked out at ``ref``         ``pkg.mod:function``
``https://host/file.py``       the file                               ``mod:function``
``zip+https://host/a.zip``     what is in the archive                 ``pkg.mod:function``
``zip+s3://bucket/a.zip``      likewise, by fsspec                    ``pkg.mod:function``
=============================  =====================================  ====================

Plain text (``code``) and base64 stand for a file ``main.py``. Folders are kept in the project
under the digest of what is in them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit

from pyfunc.errors import (
    InvalidArgumentError,
    ModelNotFoundError,
    Problem,
    PyfuncError,
    SaveConflictError,
    shorten,
)
from pyfunc.files.copying import copy_into
from pyfunc.files.locations import download
from pyfunc.files.publishing import staged_directory
from pyfunc.functions.archives import extract_zip
from pyfunc.functions.names import check_name
from pyfunc.variables import GIT_PASSWORD, GIT_TOKEN, GIT_USERNAME

__all__ = ["MAIN", "SOURCES", "TREE", "fetch_source", "find_source_problems", "make_source"]

MAIN = "main"
SOURCES = "sources"  # the folder of a project with the folders of code
TREE = "tree"  # and the code in such a folder

_GIT_SCHEMES = ("git", "git+http", "git+https")
_WEB_SCHEMES = ("http", "https")
_ZIP_SCHEMES = ("zip+http", "zip+https", "zip+s3")
_LOCAL_SCHEMES = ("file", "local")
_MAX_BYTES = 1 << 30
_CHUNK = 1 << 20
_PATIENCE = 60.0
_GIT_SECONDS = 600
# Nothing that a repository brings along is run or followed.
_GIT_OPTIONS = ("core.symlinks=false", "core.hooksPath=/dev/null", "protocol.ext.allow=never")


def find_source_problems(code_src: object, code: object, base64_text: object) -> list[Problem]:
    """Return what is wrong with the three arguments that say where the code is."""
    given = {"code_src": code_src, "code": code, "base64": base64_text}
    problems = [
        Problem(name, "str", shorten(value))
        for name, value in given.items()
        if value is not None and not isinstance(value, str)
    ]
    if code_src is None and code is None and base64_text is None:
        problems.append(Problem("code_src", "a source: code_src, code or base64", "none of them"))
    if isinstance(code_src, str) and code is None and base64_text is None:
        problems += _find_uri_problems(code_src)
    if isinstance(base64_text, str) and code is None and _decode(base64_text) is None:
        problems.append(Problem("base64", "base64 of source code", shorten(base64_text)))
    return problems


def _find_uri_problems(code_src: str) -> list[Problem]:
    parts = urlsplit(code_src)
    if parts.scheme in _LOCAL_SCHEMES:
        return [Problem("code_src", "a local path without a scheme", shorten(code_src))]
    if parts.scheme in (*_GIT_SCHEMES, *_WEB_SCHEMES, *_ZIP_SCHEMES):
        return [] if parts.netloc else [Problem("code_src", "a host", shorten(code_src))]
    if parts.scheme and "://" in code_src:
        expected = f"a path or one of {', '.join((*_GIT_SCHEMES, *_WEB_SCHEMES, *_ZIP_SCHEMES))}"
        return [Problem("code_src", expected, shorten(code_src))]
    if not os.path.isfile(code_src):
        return [Problem("code_src", "a file that exists", shorten(code_src))]
    if not code_src.endswith(".py"):
        return [Problem("code_src", "a file of Python (.py)", shorten(code_src))]
    return []


def make_source(
    code_src: str | None,
    code: str | None,
    base64_text: str | None,
    *,
    handler: str,
    init_function: str | None,
) -> dict[str, object]:
    """Return the ``source`` of a function's spec; a local file and plain text are in it."""
    content = base64_text
    if code is not None:
        content = base64.b64encode(code.encode()).decode("ascii")
    elif content is None and code_src is not None and "://" not in code_src:
        content = base64.b64encode(Path(code_src).read_bytes()).decode("ascii")
    given = {
        "source": code_src,
        "handler": handler,
        "init_function": init_function,
        "base64": content,
        "lang": "python",
    }
    return {name: value for name, value in given.items() if value is not None}


def fetch_source(source: Mapping[str, object], sources: Path) -> Path:
    """Return the folder with the code of a function; its parent is named by its digest.

    Args:
        source: as :func:`make_source` made it.
        sources: the folder of the project for such folders.

    Raises:
        ModelNotFoundError: nothing is at the place.
        InvalidArgumentError: the place has a form that is not known.
        PyfuncError: it cannot be fetched.
    """
    content = source.get("base64")
    if isinstance(content, str):
        data = _decode(content)
        if data is None:
            raise InvalidArgumentError("base64: expected base64 of source code")
        target = sources / hashlib.sha256(data).hexdigest() / TREE
        if not target.is_dir():
            _publish(target.parent, partial(_write_main, data))
        return target
    with tempfile.TemporaryDirectory(prefix="pyfunc-source-") as folder:
        tree = Path(folder, TREE)
        tree.mkdir()
        _fetch(str(source.get("source")), tree, Path(folder))
        target = sources / _digest_of(tree) / TREE
        if not target.is_dir():
            _publish(target.parent, lambda directory: copy_into(tree, directory / TREE))
    return target


def _publish(target: Path, fill: Callable[[Path], object]) -> None:
    # Another process with the same source may be faster; what it put there is the same.
    with contextlib.suppress(SaveConflictError), staged_directory(target) as directory:
        fill(directory)


def _write_main(data: bytes, directory: Path) -> None:
    directory.joinpath(TREE).mkdir()
    directory.joinpath(TREE, f"{MAIN}.py").write_bytes(data)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _digest_of(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(tree).as_posix()}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()


def _fetch(uri: str, tree: Path, folder: Path) -> None:
    problems = _find_uri_problems(uri)
    if problems:
        raise InvalidArgumentError("\n".join(map(str, problems)))
    scheme = urlsplit(uri).scheme
    if scheme in _GIT_SCHEMES:
        _clone(uri, tree)
    elif scheme in _WEB_SCHEMES:
        name = urlsplit(uri).path.rpartition("/")[2]
        _download(uri, tree / check_name(name, "file at the URL"))
    elif scheme == "zip+s3":
        extract_zip(download(uri.removeprefix("zip+"), folder), tree)
    elif scheme in _ZIP_SCHEMES:
        _download(uri.removeprefix("zip+"), folder / "source.zip")
        extract_zip(folder / "source.zip", tree)
    else:  # a document from elsewhere that names a file without its content
        copy_into(uri, tree / f"{MAIN}.py", key="code_src")


def _download(url: str, target: Path) -> None:
    written = 0
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as reader, open(target, "xb") as file:
            while block := reader.read(_CHUNK):
                written += file.write(block)
                if written > _MAX_BYTES:
                    raise PyfuncError(f"{url}: has more than {_MAX_BYTES} bytes")
    except (URLError, TimeoutError, ConnectionError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise ModelNotFoundError(f"{url}: cannot be fetched: {error}") from error


def _clone(uri: str, tree: Path) -> None:
    """Put what a repository has at the fragment of ``uri`` into the empty folder ``tree``.

    The host is asked by https; port, query and credentials in the URI are not used.
    """
    parts = urlsplit(uri)
    host, ref = str(parts.hostname), parts.fragment
    if ref.startswith("-"):
        raise InvalidArgumentError(f"code_src: no branch, tag or commit is called {shorten(ref)}")
    url = urlunsplit(("https", host, parts.path, "", ""))
    environment = _git_environment(host)
    _run_git(["clone", "--quiet", "--no-checkout", "--template=", url, "."], tree, environment)
    # A branch is there under the name of its remote, a tag or commit under its own.
    wanted = [f"origin/{ref}", ref] if ref else ["HEAD"]
    known = [_is_commit(name, tree, environment) for name in wanted]
    if not any(known):
        raise ModelNotFoundError(f"{url} has no branch, tag or commit {ref!r}")
    name = wanted[known.index(True)]
    _run_git(["checkout", "--quiet", "--detach", name], tree, environment)
    shutil.rmtree(tree / ".git")


def _is_commit(name: str, tree: Path, environment: Mapping[str, str]) -> bool:
    try:
        _run_git(["rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"], tree, environment)
    except PyfuncError:
        return False
    return True


def _run_git(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    options = [part for option in _GIT_OPTIONS for part in ("-c", option)]
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PyfuncError(f"git {arguments[0]} cannot be run: {error}") from error
    if done.returncode:
        output = done.stderr.decode("utf-8", "replace").strip()
        raise PyfuncError(f"git {arguments[0]} failed: {output}")


def _git_environment(host: str) -> dict[str, str]:
    """Return the environment for git; credentials stand in it and in no argument."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    pair = _git_credentials()
    if pair is not None:
        token = base64.b64encode(":".join(pair).encode()).decode("ascii")
        position = int(environment.get("GIT_CONFIG_COUNT", "0"))
        environment |= {
            "GIT_CONFIG_COUNT": str(position + 1),
            f"GIT_CONFIG_KEY_{position}": f"http.https://{host}/.extraHeader",
            f"GIT_CONFIG_VALUE_{position}": f"Authorization: Basic {token}",
        }
    return environment


def _git_credentials() -> tuple[str, str] | None:
    """Return user and password from the environment; a token goes before a password."""
    token = GIT_TOKEN.read()
    if token:
        is_fine_grained = token.startswith(("github_pat_", "glpat"))
        return ("oauth2", token) if is_fine_grained else (token, "x-oauth-basic")
    user, password = GIT_USERNAME.read(), GIT_PASSWORD.read()
    return (user, password) if user and password else None
