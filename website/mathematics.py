r"""Equations as MathML, which browsers draw themselves: no script, no font and no network when a page is read.

zensical leaves `\(...\)` and `\[...\]` in elements of class `arithmatex`; they are replaced in the built pages.
"""

import html
import re

from latex2mathml.converter import convert

FUNCTION = re.compile(r"(<mi>(?:log|ln|exp|max|min)</mi>)(?=<m[a-z])(?!<mo)")
"""A named function before what isn't in brackets; TeX parts the two by a thin space, which MathML must be told."""
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)


def with_mathml(page: str) -> str:
    """The page with its equations drawn."""

    def drawn(match: re.Match[str]) -> str:
        drawing = convert(html.unescape(match[3]), display="inline" if match[2] == "(" else "block")
        drawing = FUNCTION.sub(r'\1<mspace width="0.167em"/>', drawing)
        return f'<{match[1]} class="equation">{drawing}</{match[1]}>'

    return EQUATION.sub(drawn, page)
