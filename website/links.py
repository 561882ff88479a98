"""Links of the built pages: where each leads, what is broken, and how many clicks a page is from the front."""

import os
from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REFERENCES = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "src", "iframe": "src"}


class Page(HTMLParser):
    """The anchors of a page, what it refers to, and the links among its own words, which no navigation brings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[tuple[str, str]] = []
        self.links: list[str] = []
        self._articles = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._articles += tag == "article"
        self.anchors.update(value for key in ("id", "name") if (value := values.get(key)))
        if (reference := values.get(REFERENCES.get(tag, ""))) is not None:
            self.references.append((tag, reference))
            if tag == "a" and self._articles:
                self.links.append(reference)

    def handle_endtag(self, tag: str) -> None:
        self._articles -= tag == "article"


def read(site: Path) -> dict[Path, Page]:
    """All pages of a built site; that of a missing page is read by its server alone, from the root."""
    return {path.resolve(): Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def _led(path: Path, reference: str) -> tuple[Path, str] | None:
    """File and anchor of a reference to this site; None where it leads elsewhere."""
    parts = urlsplit(reference)
    if parts.scheme or parts.netloc:
        return None
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    return (file / "index.html" if file.is_dir() else file), unquote(parts.fragment)


def broken(pages: dict[Path, Page]) -> list[str]:
    """Each link, anchor, picture, style and script that isn't there, and each that a reader's network would bring."""
    found = []
    root = Path(os.path.commonpath(pages)) if len(pages) > 1 else next(iter(pages)).parent
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        for tag, reference in page.references:
            led = _led(path, reference)
            if led is None:
                if tag != "a" and not reference.startswith("data:"):
                    found.append(f"{name}: {reference} would be fetched from the network")
                continue
            file, anchor = led
            if not file.is_file():
                found.append(f"{name}: {reference} leads to no file")
            elif anchor and file in pages and anchor not in pages[file].anchors:
                found.append(f"{name}: {reference} leads to no anchor")
    return sorted(set(found))


def clicks(pages: dict[Path, Page], front: Path) -> dict[Path, int]:
    """How many links a reader follows from the front page to each other page, by the shortest way among words."""
    distance = {front.resolve(): 0}
    queue = deque(distance)
    while queue:
        path = queue.popleft()
        for reference in pages[path].links:
            led = _led(path, reference)
            if led is not None and led[0] in pages and led[0] not in distance:
                distance[led[0]] = distance[path] + 1
                queue.append(led[0])
    return distance
