"""Where a server listens: bound before anything is loaded, so that a mistake shows at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["bound_sockets", "check_port"]

_OTHER_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def check_port(port: int) -> int:
    """Return ``port`` unchanged if it is the number of one.

    Raises:
        InvalidArgumentError: it is not.
    """
    if type(port) is not int or not 0 <= port <= 65535:
        raise InvalidArgumentError(
            f"port must be a whole number from 0 to 65535, got {shorten(port)}"
        )
    return port


@contextlib.contextmanager
def bound_sockets(host: str, port: int, uds: str | None = None) -> Iterator[list[socket.socket]]:
    """Give sockets that are bound but do not listen yet; they are closed afterwards.

    Args:
        host: a name or an address; each address of a name gets a socket.
        port: 0 for any that is free.
        uds: the path of a unix socket, in place of both. What a server left there that is gone
            is replaced, and nothing is left in the end.

    Raises:
        InvalidArgumentError: one cannot be bound.
    """
    with contextlib.ExitStack() as held:
        if uds is not None:
            yield [held.enter_context(_bound_at(uds))]
            return
        yield [held.enter_context(sock) for sock in _bound(host, check_port(port))]


def _bound(host: str, port: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            if found and not port:
                port = found[0].getsockname()[1]
            sock = socket.socket(family)
            found.append(sock)
            _set_options(sock, family)
            try:
                sock.bind((address[0], port, *address[2:]))
            except OSError as error:
                if len(found) == 1 or error.errno not in _OTHER_FAMILY:
                    raise _refused(host, port, error) from error
                found.pop().close()
    except BaseException:
        for sock in found:
            sock.close()
        raise
    return found


def _set_options(sock: socket.socket, family: int) -> None:
    if os.name == "posix":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, ...]]]:
    try:
        infos = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise InvalidArgumentError(
            f"host {shorten(host)} is no address of this machine: "
            f"{getattr(error, 'strerror', None) or error}"
        ) from error
    found: dict[tuple[int, tuple[str, ...]], None] = {}
    for family, _, _, _, address in infos:
        found[int(family), address] = None  # type: ignore[index]
    return list(found)


def _refused(host: str, port: int, error: OSError) -> InvalidArgumentError:
    hint = {
        errno.EADDRINUSE: "choose another port, 0 for any that is free, or end what listens there",
        errno.EACCES: "ports below 1024 are for the administrator; choose another one",
        errno.EADDRNOTAVAIL: "choose an address of this machine; 0.0.0.0 stands for all",
    }.get(error.errno or 0)
    told = f"cannot listen on {host}, port {port}: {error.strerror}"
    return InvalidArgumentError(told if hint is None else f"{told}\nhint: {hint}")


@contextlib.contextmanager
def _bound_at(path: str) -> Iterator[socket.socket]:
    if not hasattr(socket, "AF_UNIX"):
        raise InvalidArgumentError("uds: this system has no unix sockets")
    with socket.socket(socket.AF_UNIX) as sock:
        _remove_leftover(path)
        try:
            sock.bind(path)
        except OSError as error:
            told = error.strerror or str(error)
            raise InvalidArgumentError(f"uds: cannot listen on {path}: {told}") from error
        made = os.stat(path)
        try:
            yield sock
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), made):
                    os.unlink(path)


def _remove_leftover(path: str) -> None:
    """Remove a socket on which nobody listens.

    Raises:
        InvalidArgumentError: somebody does, or it is no socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # binding says what is wrong, if anything
    if not stat.S_ISSOCK(mode):
        raise InvalidArgumentError(f"uds: {path} is there, and is no socket")
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError as error:
            raise InvalidArgumentError(f"uds: {path}: {error.strerror}") from error
        else:
            raise InvalidArgumentError(f"uds: another server listens on {path}")
