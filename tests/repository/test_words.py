"""A docstring begins with its subject or its verb, so that a reader knows at once what it is about."""

import ast

import pytest
from tests.lanes import ROOT

# The first words of half sentences, and participles that stand for a noun.
BACKWARDS = {
    *("Of", "In", "As", "What", "That", "Whether", "So", "How", "Where", "When", "Which", "Those", "From"),
    *("Told", "Spent", "Fitted", "Summed", "Kept", "Drawn", "Said", "Sent", "Seen", "Shown", "Taken", "Known"),
}


def docstrings(code):
    """Line and text of each docstring, of attributes too: every string that stands by itself."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def backwards(code):
    return [(line, text) for line, text in docstrings(code) if text.split() and text.split()[0] in BACKWARDS]


@pytest.mark.parametrize("folder", ["src", "benchmarks"])
def test_docstrings_begin_with_a_subject_or_a_verb(folder):
    found = {path: backwards(path.read_text()) for path in (ROOT / folder).rglob("*.py") if ".envs" not in path.parts}
    assert {path.relative_to(ROOT).as_posix(): lines for path, lines in found.items() if lines} == {}


def test_a_half_sentence_is_found_wherever_it_stands():
    code = '''"""How it is."""\nclass A:\n    x: int\n    """Of all."""\n    def f(self):\n        """Find it."""\n'''
    assert backwards(code) == [(1, "How it is."), (4, "Of all.")]
