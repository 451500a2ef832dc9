"""A page: one HTML file without anything from elsewhere, under a policy that keeps it so."""

from __future__ import annotations

import base64
import hashlib
import re

from pyfunc.serving.http.messages import Reply

__all__ = ["html_reply"]

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


def html_reply(page: bytes) -> Reply:
    """Return ``page`` with a policy that lets the browser run nothing but its own script."""
    sources: dict[bytes, list[str]] = {b"script": [], b"style": []}
    for match in _INLINE.finditer(page):
        digest = base64.b64encode(hashlib.sha256(match[2]).digest()).decode("ascii")
        sources[match[1]].append(f"'sha256-{digest}'")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(sources[b'script'])}",
            f"style-src {' '.join(sources[b'style'])}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = (
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    )
    return Reply(page, 200, b"text/html; charset=utf-8", headers)
