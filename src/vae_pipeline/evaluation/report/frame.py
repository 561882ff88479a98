"""The frame of a page: a title over its content, with nothing to load and nothing that runs."""

from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("style.css")
# Nothing is loaded and nothing runs, whatever a recipe's words hold.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def framed(kind: str, name: str, about: str, content: str) -> str:
    """A whole page of HTML `content`, under what kind of page it is, a name and a word about it."""
    title = escape(name)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}: {kind[0].lower()}{kind[1:]}</title>
<style>
{STYLE.read_text(encoding="utf-8").rstrip()}
</style>
</head>
<body>
<main>
<header>
<p class="kind">{kind}</p>
<h1>{title}</h1>
<p class="about">{escape(about)}</p>
</header>
{content}
</main>
</body>
</html>
"""
