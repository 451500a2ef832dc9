"""The page at ``/``: one HTML file without anything from elsewhere, and what it shows."""

from __future__ import annotations

from functools import cache
from importlib import resources

from pyfunc.serving.http.html import html_reply
from pyfunc.serving.http.messages import Reply

__all__ = ["page_reply"]


@cache
def page_reply() -> Reply:
    """Return the page, with a policy that lets the browser run nothing but its own script."""
    return html_reply(resources.files(__package__).joinpath("page.html").read_bytes())
