"""Takes passwords and tokens out of addresses before they are written anywhere."""

from __future__ import annotations

import logging
import re

from pyfunc.files import urls

__all__ = ["without_channel_token", "without_credentials"]

logger = logging.getLogger("pyfunc.env")

_CHANNEL_TOKEN = re.compile(r"(://[^/\s]+)/t/[\w.-]+(?=[/:]|$)")


def without_credentials(line: str) -> str:
    """Return ``line`` with passwords and tokens taken out of its URLs, with one log line."""
    cleaned = urls.without_credentials(line)
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
