"""The pages of the site: docs/ as it is, and whatever else of the repository its links lead to.

A page of docs/ keeps its place, and another page its path from the root. A program or a recipe becomes a page that
shows it, a notebook one that is read without running it. Links are rewritten to where their targets come to lie, so
that one source serves readers of the repository and of the site.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from website.notebooks import markdown_of

ROOT = Path(__file__).parent.parent
FRONT = "docs/README.md"
BESIDE = ("pipeline/README.md", "examples/README.md", "benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PICTURES = {".png", ".gif", ".svg", ".jpg", ".webp"}
LANGUAGES = {".py": "python", ".mjs": "js"}
"""What a suffix's own name isn't the highlighter's name of."""
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?(?:\s+\"[^\"]*\")?\))")
FENCE = re.compile(r"(^ *```.*?^ *```\s*?$|`[^`\n]+`)", flags=re.DOTALL | re.MULTILINE)


def place(source: str) -> str:
    """The place of a file of the repository among the pages, both as paths with `/`."""
    if source in ("README.md", FRONT):
        return "index.md"
    within = source.removeprefix("docs/")
    suffix = PurePosixPath(source).suffix
    if suffix in {".md", *PICTURES}:
        return within
    return str(PurePosixPath(within).with_suffix(".md")) if suffix == ".ipynb" else f"files/{source}.md"


def target(source: str, link: str) -> str | None:
    """The file of the repository that a relative link of `source` leads to; a folder's is its README."""
    if "://" in link or link.startswith(("mailto:", "/")):
        return None
    path = os.path.normpath(PurePosixPath(source).parent / link)
    found = f"{path}/README.md" if (ROOT / path).is_dir() else path
    return found if (ROOT / found).is_file() else None


def links(source: str, text: str) -> Iterator[str]:
    """The files of the repository that a page's links lead to."""
    for part in FENCE.split(text)[::2]:
        for match in LINK.finditer(part):
            if (found := target(source, match[2])) is not None:
                yield found


def rewritten(source: str, text: str) -> str:
    """The page with each link as it is from the page's place on the site."""
    folder = PurePosixPath(place(source)).parent

    def moved(match: re.Match[str]) -> str:
        found = target(source, match[2])
        return match[0] if found is None else match[1] + os.path.relpath(place(found), folder) + match[3]

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def shown(source: str) -> str:
    """A file that is no page, as a page that shows it."""
    suffix = PurePosixPath(source).suffix
    language = LANGUAGES.get(suffix, suffix.removeprefix("."))
    return f"# {source}\n\n````{language}\n{(ROOT / source).read_text(encoding='utf-8').rstrip()}\n````\n"


def stage(folder: Path) -> list[str]:
    """Fill `folder` with the pages; return the files of the repository that they were made of."""
    queue = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()]
    queue += [*BESIDE, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").glob("*.ipynb"))]
    made: list[str] = []
    while queue:
        source = queue.pop()
        if source in made or source == "README.md":
            continue
        made.append(source)
        out = folder / place(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        suffix = PurePosixPath(source).suffix
        if suffix in {".md", ".ipynb"}:
            text = (ROOT / source).read_text(encoding="utf-8")
            text = markdown_of(text) if suffix == ".ipynb" else text
            queue.extend(links(source, text))
            out.write_text(rewritten(source, text), encoding="utf-8")
        elif suffix in PICTURES:
            shutil.copyfile(ROOT / source, out)
        else:
            out.write_text(shown(source), encoding="utf-8")
    return sorted(made)
