"""Who may ask: by the Host, Origin and token of a request, before more of it is read.

A web page that a user of this machine looks at can send requests to servers here, under a name of
its own that leads to this machine, or as a form that needs no permission. Neither is answered.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware

from pyfunc.errors import InvalidArgumentError, PyfuncError, shorten
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.messages import HttpScope, Receive, Send, header_of, send_reply
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["ANY_ADDRESS", "Guard", "check_token_file", "default_hosts"]

ANY_ADDRESS = "address:*"
"""In a list of hosts: any address of numbers. No foreign name can lead to one."""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = ("GET", "POST")
_LIFE = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})
_MOST_KNOWN = 64

App = Callable[[HttpScope, Receive, Send], Awaitable[None]]


def default_hosts(host: str) -> tuple[str, ...]:
    """Return the hosts that a server on this address answers to: those that mean this machine."""
    bare = host.strip("[]")
    if bare in ("0.0.0.0", "::", ""):
        return (*_LOOPBACK, ANY_ADDRESS)
    return (*_LOOPBACK, f"[{bare}]" if ":" in bare else bare)


def check_token_file(path: str) -> frozenset[bytes]:
    """Return the tokens of a file, one on each line that is not empty.

    Raises:
        InvalidArgumentError: it cannot be read, or holds none.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidArgumentError(f"auth_token_file: {path}: {error.strerror}") from error
    tokens = frozenset(line.strip() for line in lines if line.strip())
    if not tokens:
        raise InvalidArgumentError(
            f"auth_token_file: {path} holds no token\nhint: write one on a line of its own"
        )
    return tokens


class Guard:
    """An ASGI application that lets those requests through to another that may be answered.

    Args:
        app: what answers them.
        settings: who may ask.
        open_paths: where web pages of any origin may ask.
        life_paths: where nobody needs a token who asks whether the server lives.
        methods: what the web pages may use that may ask.
    """

    def __init__(
        self,
        app: App,
        settings: HttpSettings,
        open_paths: Collection[str] = frozenset(),
        *,
        life_paths: Collection[str] = _LIFE,
        methods: Collection[str] = _METHODS,
    ) -> None:
        self._app = app
        self._life_paths = life_paths
        self._root = settings.root_path
        self._hosts = _Hosts(settings.allowed_hosts)
        self._origins = frozenset(origin.rstrip("/") for origin in settings.cors_origins)
        self._open_paths = open_paths
        path = settings.auth_token_file
        self._tokens = frozenset[bytes]() if path is None else check_token_file(path)
        self._within: App = self._admit
        if self._origins:
            self._within = CORSMiddleware(  # type: ignore[assignment]
                self._admit,  # type: ignore[arg-type]
                allow_origins=sorted(self._origins),
                allow_methods=tuple(methods),
                allow_headers=["*"],
            )

    def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> Awaitable[None]:
        """Let a request through, or answer with an error."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if self._root:
            scope = self._below_root(scope)
        try:
            self._hosts.check(scope)
        except PyfuncError as error:
            return send_reply(error_reply(error), send)
        is_open = scope["path"][len(self._root) :] in self._open_paths
        return (self._admit if is_open else self._within)(scope, receive, send)

    def _below_root(self, scope: HttpScope) -> HttpScope:
        """Return a request as one below the root, whether the proxy took that off or not."""
        path = scope["path"]
        if path != self._root and not path.startswith(f"{self._root}/"):
            path = self._root + path
        return {**scope, "path": path, "root_path": self._root}

    def _admit(self, scope: HttpScope, receive: Receive, send: Send) -> Awaitable[None]:
        try:
            if scope["method"] not in _READING:
                self._check_origin(scope)
            if self._tokens:
                self._check_token(scope)
        except PyfuncError as error:
            return send_reply(error_reply(error), send)
        return self._app(scope, receive, send)

    def _check_origin(self, scope: HttpScope) -> None:
        raw = header_of(scope["headers"], b"origin")
        if raw is None:
            return
        origin = raw.decode("latin-1").rstrip("/")
        host = (header_of(scope["headers"], b"host") or b"").decode("latin-1")
        if origin in self._origins or "*" in self._origins:
            return
        if host and origin.partition("://")[2].lower() == host.lower():
            return
        if scope["path"][len(self._root) :] not in self._open_paths:
            raise PyfuncError(
                f"web pages of the origin {shorten(origin)} may not use this server\n"
                "hint: serve with --cors-origin and that origin (cors_origins in settings)",
                "PERMISSION_DENIED",
            )

    def _check_token(self, scope: HttpScope) -> None:
        if scope["method"] in _READING and scope["path"][len(self._root) :] in self._life_paths:
            return
        word, _, token = (header_of(scope["headers"], b"authorization") or b"").partition(b" ")
        found = [hmac.compare_digest(token.strip(), known) for known in self._tokens]
        if word.lower() != b"bearer" or not any(found):
            raise PyfuncError(
                "this server wants a token\nhint: send Authorization: Bearer and the token",
                "UNAUTHENTICATED",
            )


class _Hosts:
    """The hosts that a server answers to; None for any."""

    def __init__(self, allowed: Collection[str] | None) -> None:
        names = [_bare(name) for name in allowed or ()]
        self._is_any = allowed is None or "*" in names
        self._names = frozenset(names)
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._known: set[bytes] = set()  # as clients write them

    def check(self, scope: HttpScope) -> None:
        """Return if the server answers to the Host of a request.

        Raises:
            PyfuncError: it does not.
        """
        if self._is_any:
            return
        found = [value for name, value in scope["headers"] if name == b"host"]
        if len(found) == 1:
            if found[0] in self._known:
                return
            if self._is_allowed(_name_of(found[0].decode("latin-1"))):
                if len(self._known) < _MOST_KNOWN:
                    self._known.add(found[0])
                return
        elif not found and scope.get("http_version") == "1.0":
            return
        told = shorten(b", ".join(found).decode("latin-1")) if found else "none"
        raise PyfuncError(
            f"this server does not answer to the host {told}\n"
            "hint: serve with --allowed-host and that name (allowed_hosts in settings)",
            "PERMISSION_DENIED",
        )

    def _is_allowed(self, name: str) -> bool:
        if name in self._names or name.endswith(self._endings or ("\0",)):
            return True
        return ANY_ADDRESS in self._names and _is_address(name)


def _name_of(host: str) -> str:
    """Return the name of a Host, without its port; empty text if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname or ""
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ""
    if parts.netloc != host or "@" in host:
        return ""
    return name.removesuffix(".")


def _bare(name: str) -> str:
    return name.strip().lower().strip("[]").removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
