"""The page at ``/``: one response without anything from elsewhere.

That of a chat is a conversation, and that of every other model a form.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from pyfunc.serving.http.html import html_reply, read_page
from pyfunc.serving.http.messages import Reply

__all__ = ["page_reply"]


@cache
def page_reply(file: Literal["page.html", "conversation.html"]) -> Reply:
    """Return a page, with a policy that lets the browser run nothing but its own script."""
    return html_reply(read_page(f"serving/pages/{file}"))
