"""A notebook as a page of Markdown: its words, its code, and what the code was seen to answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            yield f'<img alt="output of the cell" src="data:image/png;base64,{_text(data["image/png"]).strip()}">'
        elif "text/html" in data:
            yield f'<div class="output">{_text(data["text/html"])}</div>'
        elif told := _text(output.get("text") or data.get("text/plain", "")).rstrip():
            yield f"```text\n{told}\n```"


def markdown_of(path: Path) -> str:
    """The cells of a notebook in their order; pictures are part of the page."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = _text(cell["source"]).strip()
        if cell["cell_type"] == "code" and source:
            parts.append(f"```python\n{source}\n```")
            parts.extend(_outputs(cell))
        elif cell["cell_type"] == "markdown":
            parts.append(source)
    return "\n\n".join(parts) + "\n"
