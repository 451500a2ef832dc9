"""Takes passwords and tokens out of addresses before they are written anywhere."""

from __future__ import annotations

import logging
import re

__all__ = ["without_channel_token", "without_credentials"]

logger = logging.getLogger("pyfunc.env")

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/@]+(?:@[^\s/@]+)*)@")
_SECRET_QUERY = re.compile(
    r"(?P<lead>[?&])(?:[\w.-]*(?:token|secret|passw(?:or)?d|signature|api[_-]?key|credential)"
    r"|sig|auth|key)=(?!\$\{[A-Z0-9_]+\}(?:[&#\s]|$))[^\s&#]*",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?:[\w.~-]+:)?\$\{[A-Z0-9_]+\}|\$\{[A-Z0-9_]+\}:\$\{[A-Z0-9_]+\}")
_CHANNEL_TOKEN = re.compile(r"(://[^/\s]+)/t/[\w.-]+(?=[/:]|$)")


def without_credentials(line: str) -> str:
    """Return ``line`` with passwords and tokens taken out of its URLs, with one log line.

    ``${NAME}`` references stay: they are read from the environment at install time. So does a
    bare user name of an SSH address, which is no secret.
    """
    cleaned = _USER_INFO.sub(_keep_harmless_user, line)
    cleaned = _SECRET_QUERY.sub(lambda match: match["lead"], cleaned)
    cleaned = re.sub(r"\?&+", "?", cleaned)
    cleaned = re.sub(r"&{2,}", "&", cleaned)
    cleaned = re.sub(r"[?&](?=#|\s|$)", "", cleaned) if cleaned != line else line
    if cleaned != line:
        logger.warning(
            "Credentials were left out of the requirement line %r; give them at install time, "
            "for example as ${NAME} references.",
            cleaned,
        )
    return cleaned


def without_channel_token(channel: str) -> str:
    """Return a conda channel, or a package with its channel, without ``/t/TOKEN`` in it."""
    return without_credentials(_CHANNEL_TOKEN.sub(r"\1", channel))


def _keep_harmless_user(match: re.Match[str]) -> str:
    scheme, user = match["scheme"], match["user"]
    ssh_user = scheme.lower().endswith("ssh") and ":" not in user
    if ssh_user or _REFERENCE.fullmatch(user):
        return match[0]
    return f"{scheme}://"
