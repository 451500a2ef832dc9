"""Shows the modules of pyfunc a system with what Windows has: put this folder on PYTHONPATH.

Nothing but pyfunc is concerned: tests and libraries keep the system that they run on. Names that
only POSIX has are gone from ``os``; directories cannot be opened, nothing can be renamed to a
name that exists, and what this process holds open can be neither renamed, replaced nor removed.
There is no module for locks at all, which is less than Windows has.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

REMOVED_MODULES = frozenset({"fcntl", "grp", "msvcrt", "pwd", "resource", "termios"})
_OF_OS = """
    O_ACCMODE O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NDELAY O_NOATIME O_NOCTTY O_NOFOLLOW
    O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE chown chroot confstr copy_file_range ctermid eventfd
    fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid getgid getgroups
    getloadavg getpgid getpgrp getppid getpriority getresuid getsid getuid killpg lchown lockf
    major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open posix_fadvise
    posix_fallocate posix_spawn pread preadv pwrite pwritev readv sched_getaffinity
    sched_setaffinity sendfile setegid seteuid setgid setgroups setpgid setsid setuid splice
    statvfs sync sysconf tcgetpgrp ttyname uname wait writev
"""
_OF_SIGNAL = """
    SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 alarm
    pause pthread_kill pthread_sigmask setitimer sigwait
"""
REMOVED_NAMES = {"os": frozenset(_OF_OS.split()), "signal": frozenset(_OF_SIGNAL.split())}


def _refuse(code: int, *paths: object) -> OSError:
    return OSError(code, os.strerror(code), *paths)


def _check_not_open(*paths: str | os.PathLike[str]) -> None:
    """Refuse what Windows refuses while a handle is open."""
    wanted = [os.path.realpath(path) for path in paths]
    for number in os.listdir("/proc/self/fd"):
        try:
            held = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if any(held == path or held.startswith(f"{path}/") for path in wanted):
            raise _refuse(errno.EACCES, held)


def _open(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
    if os.path.isdir(path):
        raise _refuse(errno.EACCES, path)
    return os.open(path, flags, mode)


def _fsync(descriptor: int) -> None:
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise _refuse(errno.EBADF)
    os.fsync(descriptor)


def _rename(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    if os.path.lexists(target):
        raise _refuse(errno.EEXIST, source, None, target)
    _check_not_open(source)
    os.rename(source, target)


def _replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    if os.path.isdir(target):
        raise _refuse(errno.EACCES, source, None, target)
    _check_not_open(source, target)
    os.replace(source, target)


def _unlink(path: str | os.PathLike[str]) -> None:
    _check_not_open(path)
    os.unlink(path)


CHANGED: dict[str, dict[str, object]] = {
    "os": {
        "name": "nt",
        "open": _open,
        "fsync": _fsync,
        "rename": _rename,
        "replace": _replace,
        "unlink": _unlink,
        "remove": _unlink,
        "supports_fd": frozenset[Callable[..., object]](),
        "supports_dir_fd": frozenset[Callable[..., object]](),
    },
    "signal": {},
}


class Poorer(ModuleType):
    """A module without some of its names, and with others in the place of some."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(CHANGED[module.__name__], _module=module)

    def __getattr__(self, name: str) -> object:
        module: ModuleType = self.__dict__["_module"]
        if name in REMOVED_NAMES[module.__name__]:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return getattr(module, name)  # asked each time: tests replace functions


POORER = {module.__name__: Poorer(module) for module in (os, signal)}


def _is_ours(name: object) -> bool:
    return isinstance(name, str) and (name == "pyfunc" or name.startswith("pyfunc."))


def _check_there(name: str) -> None:
    if name in REMOVED_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


_import, _import_module = builtins.__import__, importlib.import_module


def _import_poorer(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    if _is_ours((globals or {}).get("__name__")):
        _check_there(name)
        if name in POORER:
            return POORER[name]
    return _import(name, globals, locals, fromlist or (), level)


def _import_module_poorer(name: str, package: str | None = None) -> ModuleType:
    if _is_ours(sys._getframe(1).f_globals.get("__name__")):
        _check_there(name)
    return _import_module(name, package)


# Who asks for a module of a model is told by the frames below importlib's, which these stand for.
for function in (_import_poorer, _import_module_poorer):
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._poorer>")
builtins.__import__ = _import_poorer
importlib.import_module = _import_module_poorer
