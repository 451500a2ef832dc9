"""A page: one response without anything from elsewhere, under a policy that keeps it so."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from importlib import resources

from pyfunc.serving.http.messages import Reply

__all__ = ["html_reply", "read_page"]

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)
_PART = re.compile(
    rb'<link rel="stylesheet" href="(?P<style>[^"]+)">|<script src="(?P<script>[^"]+)"></script>'
)


def read_page(path: str) -> bytes:
    """Return a page with its stylesheets and scripts in it.

    They are apart on disk, where the page names them as any page does, so that pages share them
    and a browser shows each from there, too.

    Args:
        path: the HTML file, inside the package ``pyfunc``.
    """
    root = resources.files("pyfunc")

    def part(match: re.Match[bytes]) -> bytes:
        tag = str(match.lastgroup)
        name = posixpath.join(posixpath.dirname(path), match[tag].decode())
        text = root.joinpath(posixpath.normpath(name)).read_bytes()
        return b"<%b>\n%b</%b>" % (tag.encode(), text, tag.encode())

    return _PART.sub(part, root.joinpath(path).read_bytes())


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
