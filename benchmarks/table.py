"""A table is one thing that is measured and, mostly, a page that tells of it.

Each module of `benchmarks.tables` is a table. The first paragraph of its docstring says in one line what is compared,
the second what it needs.
"""

import ast
import pkgutil
from argparse import ArgumentParser, Namespace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from benchmarks import tables
from benchmarks.store import Kept, Store

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(tables.__path__)))


class Table(Protocol):
    """The names that each of these modules has."""

    PAGE: Path | None
    """The page that is written; None if what is found is printed alone."""

    def options(self, parser: ArgumentParser) -> None:
        """Add the options that narrow what is measured."""

    def measure(self, given: Namespace, store: Store) -> None:
        """Measure, and store rows as soon as they are found."""

    def page(self, kept: Kept) -> str:
        """The page of what was stored, and of nothing else; a table without PAGE has none."""


def load(name: str) -> Table:
    """The table of that name, with all that it imports."""
    return cast(Table, import_module(f"{tables.__name__}.{name}"))


def told(name: str) -> str:
    """The docstring of a table, read without importing it, which takes seconds."""
    spec = find_spec(f"{tables.__name__}.{name}")
    assert spec is not None and spec.origin is not None
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""
