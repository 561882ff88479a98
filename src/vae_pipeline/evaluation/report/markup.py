"""Words and numbers as HTML: escaped, typeset, and with the exact value for whoever reads by machine."""

import base64
import math
import struct
from collections.abc import Iterable, Sequence
from html import escape

from vae_pipeline.recipe.figures import in_percent

MINUS = "−"


def typeset(value: float, error: float | None = None) -> str:
    """A number as it is printed: with two digits of its standard error or, where it has none, four of its own."""
    if isinstance(value, int):
        text = f"{value:,}"
    elif error or value == 0:
        text = f"{value:,.{_decimals(error, 2) if error else 0}f}"
    elif 1e-3 <= abs(value) < 1e6:
        text = f"{value:,.{_decimals(value, 4)}f}"
    else:
        digits, exponent = f"{value:.2e}".split("e")
        text = f"{digits} × 10<sup>{int(exponent)}</sup>"
    return text.replace("-", MINUS)


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def datum(value: float, error: float | None = None) -> str:
    """A number of metrics.json, and its standard error."""
    text = f'<data value="{value!r}">{typeset(value, error)}</data>'
    if error is None:
        return text
    return f'<span class="interval">{text} ± <data value="{error!r}">{typeset(error, error)}</data></span>'


def percent(share: float, error: float | None = None) -> str:
    """A share of metrics.json in percent: with two digits of its standard error or, where it has none, three."""
    if error is None:
        return f'<data value="{share!r}">{in_percent(share)}</data>'
    value, spread = typeset(100 * share, 100 * error), typeset(100 * error, 100 * error)
    return (
        f'<span class="interval"><data value="{share!r}">{value}</data> ± '
        f'<data value="{error!r}">{spread}</data> %</span>'
    )


def listed(words: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]], notes: Iterable[str] = ()) -> str:
    """A table of HTML cells whose rows begin with their name; under each row goes its note, over all columns."""
    columns = list(header)
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    bodies = []
    remaining = iter(notes)
    for name, *cells in rows:
        row = f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        note = next(remaining, "")
        bodies.append(row + (f'<tr class="note"><td colspan="{len(columns)}">{note}</td></tr>' if note else ""))
    body = "\n".join(f"<tbody>{content}</tbody>" for content in bodies)
    return f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n{body}\n</table>"


def figure(content: str, caption: str, kind: str = "") -> str:
    """A picture or chart with the words beside or under it."""
    of = f' class="{kind}"' if kind else ""
    return f"<figure{of}>\n{content}\n<figcaption>{caption}</figcaption>\n</figure>"


def players(sounds: Iterable[bytes], what: str) -> str:
    """.wav files, inside the page, each with the browser's own player."""
    elements = "\n".join(
        f'<audio controls preload="none" aria-label="{escape(what)} {number}" '
        f'src="data:audio/wav;base64,{base64.b64encode(sound).decode()}"></audio>'
        for number, sound in enumerate(sounds, 1)
    )
    return f'<div class="players">\n{elements}\n</div>'


def picture(png: bytes, alt: str, kind: str = "") -> str:
    """A PNG file, inside the page."""
    width, height = struct.unpack(">II", png[16:24])
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    of = f' class="{kind}"' if kind else ""
    return f'<img{of} src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'
