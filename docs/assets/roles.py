"""Makes links of the roles that docstrings name other parts by, such as ``:func:`check```."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["on_page_content"]

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):<code>~?([\w.]+)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Return the page with a link for each role whose target it has, else the name alone."""
    targets = set(re.findall(r'<h\d id="(pyfunc[\w.]*)"', html))

    def as_link(found: re.Match[str]) -> str:
        name = found[1]
        fitting = sorted(one for one in targets if f".{one}".endswith(f".{name}"))
        shown = f"<code>{name}</code>"
        return f'<a href="#{fitting[0]}">{shown}</a>' if fitting else shown

    return _ROLE.sub(as_link, html)
