"""Follows every link of the built documentation: pages, places in pages, pictures, styles.

    python tests/packaging/check_site.py build/site

Links to other sites are left alone, as a check of them would need a network.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["main", "problems_of"]


class Page(HTMLParser):
    """The places that a page has, and what it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.places: set[str] = {"", "__top"}
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to, and what may refer to it."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.add(value)


def problems_of(site: Path) -> list[str]:
    """Return the links of all pages that lead nowhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for page in pages.values():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            below = site if parts.path.startswith("/") else page.path.parent
            target = (below / unquote(parts.path.lstrip("/"))).resolve()
            target = page.path if not parts.path else target
            if not target.exists():
                found.append(f"{page.path.relative_to(site)}: {link}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{page.path.relative_to(site)}: {link}: no such place")
    return found


def main(site: Path) -> None:
    """Check the site, and end with 1 where a link leads nowhere."""
    problems = problems_of(site)
    print("\n".join(problems) or f"{site}: every link leads somewhere")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
