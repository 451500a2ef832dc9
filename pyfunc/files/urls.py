"""URLs without what nobody else may read: passwords, tokens and signatures in them."""

from __future__ import annotations

import re

__all__ = ["harmless_cause", "without_credentials"]

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/@]+(?:@[^\s/@]+)*)@")
_SECRET_QUERY = re.compile(
    r"(?P<lead>[?&])(?:[\w.-]*(?:token|secret|passw(?:or)?d|signature|api[_-]?key|credential)"
    r"|sig|auth|key)=(?!\$\{[A-Z0-9_]+\}(?:[&#\s]|$))[^\s&#]*",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?:[\w.~-]+:)?\$\{[A-Z0-9_]+\}|\$\{[A-Z0-9_]+\}:\$\{[A-Z0-9_]+\}")


def without_credentials(text: str) -> str:
    """Return ``text`` with passwords, tokens and signatures taken out of the URLs in it.

    ``${NAME}`` references stay: they are read from the environment later. So does the user name
    of an SSH address, which is no secret.
    """
    cleaned = _USER_INFO.sub(_keep_harmless_user, text)
    cleaned = _SECRET_QUERY.sub(lambda match: match["lead"], cleaned)
    if cleaned == text:
        return text
    cleaned = re.sub(r"\?&+", "?", cleaned)
    cleaned = re.sub(r"&{2,}", "&", cleaned)
    return re.sub(r"[?&](?=#|\s|$)", "", cleaned)


def harmless_cause(error: Exception) -> Exception | None:
    """Return ``error`` for ``raise ... from``, or None if its texts hold credentials.

    A traceback shows the texts of an error's causes as well.
    """
    seen: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    for current in pending:  # grows while it is walked
        if current is not None and current not in seen:
            seen.append(current)
            pending += [current.__cause__, current.__context__]
    texts = [f"{current} {current.args!r}" for current in seen]
    return error if all(without_credentials(text) == text for text in texts) else None


def _keep_harmless_user(match: re.Match[str]) -> str:
    scheme, user = match["scheme"], match["user"]
    if _REFERENCE.fullmatch(user):
        return match[0]
    name = user.partition(":")[0] if scheme.lower().endswith("ssh") else ""
    # The name is part of the address: git@host is another account than host.
    return f"{scheme}://{name}@" if name and "@" not in name else f"{scheme}://"
