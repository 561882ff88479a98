"""A notebook as a page of Markdown: its words, its code, and what the code was seen to answer."""

import json
import re
from collections.abc import Iterator
from typing import Any


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            yield f'<img alt="output of the cell" src="data:image/png;base64,{_text(data["image/png"]).strip()}">'
        elif "text/html" in data:
            table = re.sub(r"<style.*?</style>", "", _text(data["text/html"]), flags=re.DOTALL)
            yield re.sub(r'<table border="1" class="dataframe">', "<table>", re.sub(r"\n\s*", "", table))
        elif told := _text(output.get("text") or data.get("text/plain", "")).rstrip():
            yield f"```text\n{told}\n```"


def markdown_of(notebook: str) -> str:
    """The cells of a notebook's JSON in their order; pictures are part of the page."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        source = _text(cell["source"]).strip()
        if cell["cell_type"] == "code" and source:
            parts.append(f"```python\n{source}\n```")
            parts.extend(_outputs(cell))
        elif cell["cell_type"] == "markdown":
            parts.append(source)
    return "\n\n".join(parts) + "\n"
