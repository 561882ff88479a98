"""The glossary says what each figure is that the table of figures has."""

import re

from tests.lanes import ROOT

from vae_pipeline.recipe import figures


def undefined(page: str) -> list[str]:
    """The figures that the page neither has as a term, by their names, nor speaks of by their keys."""
    terms = ", ".join(re.findall(r"^\| \*\*(.+?)\*\* \|", page, re.MULTILINE)).lower().split(", ")
    return [
        figure.key for figure in figures.FIGURES if figure.name.lower() not in terms and f"`{figure.key}`" not in page
    ]


def test_the_glossary_defines_every_figure():
    assert undefined((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")) == []
