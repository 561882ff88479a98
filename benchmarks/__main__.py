"""The runner: `python -m benchmarks TABLE` measures, stores in benchmarks/results, and writes the table's page."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

from benchmarks.store import Store
from benchmarks.table import NAMES, Table, load, told


def main(words: Sequence[str]) -> None:
    """Run what the words of the command line ask for; without any, list the tables."""
    parser = ArgumentParser(prog="python -m benchmarks", description="Measure a table beside its peers.")
    tables = parser.add_subparsers(metavar="TABLE")
    asked: Table | None = None
    for name in NAMES:
        about = told(name)
        of_table = tables.add_parser(
            name, help=about.splitlines()[0], description=about, formatter_class=RawDescriptionHelpFormatter
        )
        if [*words[:1]] == [name]:
            asked = load(name)
            asked.options(of_table)
            if asked.PAGE is not None:
                of_table.add_argument(
                    "--page", action="store_true", help="measure nothing: write the page of what is stored"
                )
    given = parser.parse_args(words)
    if asked is None:
        parser.print_help()
        return
    store = Store.of(words[0])
    if not getattr(given, "page", False):
        asked.measure(given, store)
    elif not store.path.is_file():
        parser.error(f"nothing of {words[0]} is stored yet: run it without --page")
    if asked.PAGE is not None:
        asked.PAGE.write_text(asked.page(store.read()))


if __name__ == "__main__":
    main(sys.argv[1:])
