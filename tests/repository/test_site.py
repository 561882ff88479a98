"""The documentation site builds without a warning, and a reader finds what it is asked for."""

import json
import re

import pytest
from tests.lanes import ROOT
from website import gallery
from website.__main__ import build
from website.links import broken, clicks, read
from website.mathematics import with_mathml
from website.notebooks import markdown_of
from website.pages import links, place, rewritten


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "built"
    build(out)
    return out


@pytest.fixture(scope="module")
def pages(site):
    return read(site)


def test_every_equation_is_drawn(site):
    pages = {path.name: path.read_text() for path in site.rglob("*.html")}
    assert sum(text.count("<math") for text in pages.values()) > 300
    assert [name for name, text in pages.items() if 'class="arithmatex"' in text] == []
    unknown = [name for name, text in pages.items() if "<mi>\\" in text or "<mo>\\" in text]
    assert unknown == [], "latex2mathml knows a command of these pages not"


def test_every_page_is_found_from_the_front_page(site, pages):
    far = set(pages) - set(clicks(pages, site / "index.html"))
    assert {path.relative_to(site.resolve()).as_posix() for path in far} == set()


def test_questions_are_answered_within_two_clicks(site, pages):
    """docs/faq.md has the questions; the front page leads to it, and each answer to a page that says more."""
    distance = clicks(pages, site / "index.html")
    assert distance[(site / "faq.html").resolve()] == 1
    answers = re.findall(r"^### (.*?)\n(.*?)(?=^##)", (ROOT / "docs" / "faq.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(answers) >= 15
    for question, answer in answers:
        told = [place(found).replace(".md", ".html") for found in links("docs/faq.md", answer)]
        assert told, question
        for name in told:
            page = (site / name.replace("README", "index")).resolve()
            assert distance[page] <= 2, (question, name)


def test_the_gallery_shows_every_kind(lane, table_lane, text_lane, tmp_path):
    gallery.write([lane.bundle, table_lane.bundle, text_lane.bundle], tmp_path)
    page = (tmp_path / "gallery.md").read_text()
    pictures = re.findall(r"\(images/(.*?)\)", page)
    assert len(pictures) == 3 and all((tmp_path / "images" / name).is_file() for name in pictures)
    assert page.count("\n## ") == 3 and "new rows" in page and "New sentences" in page


def page(tmp_path, words):
    (tmp_path / "index.html").write_text(f"<article id='top'>{words}</article>")
    return [line.removeprefix("index.html: ") for line in broken(read(tmp_path))]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("<a href='gone.html'>", "gone.html leads to no file"),
        ("<a href='#gone'>", "#gone leads to no anchor"),
        ("<img src='gone.png'>", "gone.png leads to no file"),
        ("<script src='https://cdn.example/x.js'>", "https://cdn.example/x.js would be fetched from the network"),
        ("<img src='//cdn.example/x.png'>", "//cdn.example/x.png would be fetched from the network"),
    ],
)
def test_what_is_broken_is_found(tmp_path, words, told):
    assert page(tmp_path, words) == [told]


def test_what_is_whole_is_not(tmp_path):
    words = "<a href='#top'><a href='index.html#top'><a href='https://a.example'><img src='data:,'>"
    assert page(tmp_path, words) == []


def test_a_link_of_the_navigation_is_no_click(tmp_path):
    for name, words in {
        "index": "<nav><a href='c.html'></nav><article><a href='a.html'></article>",
        "a": "<article><a href='b.html'></article>",
        "b": "<article></article>",
        "c": "<article></article>",
    }.items():
        (tmp_path / f"{name}.html").write_text(words)
    found = clicks(read(tmp_path), tmp_path / "index.html")
    assert {path.stem: distance for path, distance in found.items()} == {"index": 0, "a": 1, "b": 2}


def test_links_follow_their_pages():
    assert place("docs/data.md") == "data.md"
    assert place("examples/client.py") == "files/examples/client.py.md"
    words = "[a](../../pipeline/README.md#evaluate) [b](../../pipeline/images.yaml) `[c](../data.md)` [d](https://a.b)"
    assert rewritten("docs/models/text.md", words) == (
        "[a](../pipeline/README.md#evaluate) [b](../files/pipeline/images.yaml.md) `[c](../data.md)` [d](https://a.b)"
    )


def test_a_notebook_becomes_a_page():
    frame = '<div><style>td {}</style><table border="1" class="dataframe"><td>1</td></table></div>'
    outputs = [{"text": ["1\n"]}, {"data": {"image/png": "AAAA", "text/plain": "x"}}, {"data": {"text/html": frame}}]
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "b"]},
        {"cell_type": "code", "source": "print(1)", "outputs": outputs},
    ]
    page = markdown_of(json.dumps({"cells": cells}))
    assert page.startswith("# A\nb\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n<img")
    assert "base64,AAAA" in page and page.endswith("<div><table><td>1</td></table></div>\n")


def test_an_equation_becomes_mathml():
    drawn = with_mathml(r'<p><span class="arithmatex">\(\log p &lt; 1\)</span></p>')
    assert drawn.startswith('<p><span class="equation"><math') and "<mi>p</mi><mo>&#x0003C;</mo>" in drawn
