"""The page at ``/``: one HTML file without anything from elsewhere.

That of a chat is a conversation, and that of every other model a form.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

from pyfunc.serving.http.html import html_reply
from pyfunc.serving.http.messages import Reply

__all__ = ["page_reply"]


@cache
def page_reply(file: Literal["page.html", "conversation.html"]) -> Reply:
    """Return a page, with a policy that lets the browser run nothing but its own script."""
    return html_reply(resources.files(__package__).joinpath(file).read_bytes())
