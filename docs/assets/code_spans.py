"""What the pages do with code in running text: links of names, and no breaks inside of words.

A docstring names other parts by roles, such as ``:func:`check```, which Markdown does not know.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["on_page_content"]

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):<code>~?([\w.]+)</code>")
_WORD = re.compile(r"<code>(?=[^<\s]{1,32}</code>)")  # site.css keeps them on one line


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with a link for each role whose target it has, and its words marked."""
    targets = set(re.findall(r'<h\d id="(pyfunc[\w.]*)"', html))

    def as_link(found: re.Match[str]) -> str:
        name = found[1]
        fitting = sorted(one for one in targets if f".{one}".endswith(f".{name}"))
        shown = f"<code>{name}</code>"
        return f'<a href="#{fitting[0]}">{shown}</a>' if fitting else shown

    return _WORD.sub('<code class="word">', _ROLE.sub(as_link, html))
