"""Opening bundles, and printing, drawing and writing what commands found."""

import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_pipeline.cli.json_output import print_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    import pandas as pd
    from rich.console import Console

    from vae_pipeline.kinds.spec import ImageSpec
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.graphs import Graphs

PIPE = "-"
BROKEN = "\N{REPLACEMENT CHARACTER}"
LONG = 2000  # rows that take about a second
ROOM = 2**31  # bytes of what is made at once; arrays on the way take some times as much


def console(stderr: bool = False) -> "Console":
    """Standard output, or the stream of errors, without wrapping: what is printed may be piped.

    A stream that is no terminal may get colours (FORCE_COLOR), and never a line that is drawn over.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    drawn_over = None if stream.isatty() else False  # None: unless the terminal is a dumb one
    return Console(stderr=stderr, soft_wrap=True, markup=False, highlight=False, force_interactive=drawn_over)


def open_bundle(bundle: Path, timeout_s: float) -> "Bundle":
    """Open a bundle's folder."""
    from vae_pipeline.runtime.bundle import Bundle

    return Bundle.load(bundle, timeout_s)


@contextmanager
def progress(model: "Bundle", rows: int) -> "Iterator[None]":
    """A bar on standard error, where that is a terminal, for what takes more than a moment."""
    if rows < LONG:
        yield
        return
    from rich.progress import Progress

    terminal = console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_interactive) as bar:
        task = bar.add_task("", total=rows)
        model.progress = lambda done: bar.advance(task, done)
        yield


def looking() -> "AbstractContextManager[object]":
    """A line on standard error, where that is a terminal, while inputs are looked at."""
    terminal = console(stderr=True)
    return terminal.status("looking at the inputs") if terminal.is_interactive else nullcontext()


def require_suffix(out: Path, *suffixes: str, as_json: bool = False) -> None:
    """Refuse a file's name that ends in none of the suffixes, and a pipe where JSON goes too.

    Raises:
        OutputError: it is one.
    """
    from vae_pipeline.system.errors import OutputError

    if str(out) == PIPE and as_json:
        raise OutputError("-o - and --json were given, and both write to standard output: leave one of them out")
    if out.suffix.lower() not in suffixes and str(out) != PIPE:
        raise OutputError(f"{out}: the name must end in {' or '.join(suffixes)}")


def require_room(model: "Bundle", count: int, what: str) -> None:
    """Refuse to make more at once than fits into memory.

    Raises:
        DataError: it doesn't.
    """
    import math

    from vae_pipeline.system.errors import DataError

    each = 4 * math.prod(model.spec.event_shape)
    if count * each > ROOM:
        raise DataError(
            f"{count:,} {what} of {list(model.spec.event_shape)} would take {count * each / 2**30:,.1f} GiB; "
            f"at most {ROOM // each:,} are made at once: ask for fewer, and again with another --seed"
        )


def shown_as(model: "Bundle") -> str:
    """The suffix of the files in which a person looks at observations."""
    return model.spec.suffix


def image_spec(model: "Bundle", wanted: str = "images") -> "ImageSpec":
    """The spec of a model of images; `wanted` are all that the command takes.

    Raises:
        BundleError: it is of something else.
    """
    from vae_pipeline.kinds.spec import ImageSpec
    from vae_pipeline.kinds.words import words_of
    from vae_pipeline.system.errors import BundleError

    if not isinstance(model.spec, ImageSpec):
        raise BundleError(f"{model.folder} is a model of {words_of(model.spec).nouns}; this wants one of {wanted}")
    return model.spec


def origin_of(graphs: "Graphs") -> dict[str, str]:
    """The bundle that something was made of, for the files that hold it."""
    from vae_pipeline.runtime.manifest import FILE
    from vae_pipeline.system.files import sha256_of
    from vae_pipeline.system.version import __version__

    return {
        "producer": f"vae-pipeline {__version__}",
        "of": graphs.manifest.recipe,
        "bundle_sha256": sha256_of(graphs.folder / FILE),
        "weights_sha256": graphs.manifest.weights_sha256,
    }


def print_columns(terminal: "Console", card: dict[str, Any]) -> None:
    """The findings of a table's file: how it is written, and each column's kind."""
    from rich.table import Table

    written = {name: value for name, value in card.get("csv", {}).items() if value not in (None, "", "\x1f")}
    if written:
        terminal.print("read as: " + ", ".join(f"{name} {value!r}" for name, value in written.items()))
    if not card.get("found"):
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "kind", "missing", "values", "such as"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("missing", "values") else "left")
    for name, found in card["found"].items():
        kind = f"{found['kind']} ({found['written']})" if found["written"] else found["kind"]
        values = "many" if found["values"] is None else f"{found['values']:,}"
        table.add_row(name, kind, f"{found['missing']:,}", values, found["example"][:24])
    terminal.print(table)


def write_sentences(out: Path, lines: list[str], as_json: bool) -> None:
    """Write a sentence a line; a line's end that a tokenizer of bytes makes becomes a blank."""
    from vae_pipeline.system.files import replace_file

    content = "".join(f"{' '.join(line.splitlines())}\n" for line in lines).encode()
    if str(out) == PIPE:
        sys.stdout.buffer.write(content)
    else:
        replace_file(out, content)
    say(out, len(lines), "sentences", as_json)
    if broken := sum(BROKEN in line for line in lines):
        console(stderr=True).print(
            f"warning: {broken:,} of {len(lines):,} sentences hold {BROKEN}, bytes that make no letter: train longer, "
            "or take data.tokenizer.kind byte_pairs, by which frequent letters are whole",
            style="yellow",
        )


def write_observations(
    out: Path, x: Any, model: "Bundle", as_json: bool, columns: int | None = None, found: "Iterable[str]" = ()
) -> None:
    """Write what the file's name asks for: a picture, a recording, a table, an array; `found` is for JSON, beside."""
    from vae_pipeline.kinds.spec import AudioSpec, TableSpec
    from vae_pipeline.kinds.words import words_of

    if out.suffix.lower() == ".png":
        from vae_pipeline.kinds.image.sheets import save_grid

        save_grid(out, x, image_spec(model), columns)
    elif isinstance(model.spec, TableSpec) and out.suffix.lower() == ".csv":
        from vae_pipeline.kinds.table.frames import decode
        from vae_pipeline.system.files import replace_file

        replace_file(out, decode(x, model.spec.columns, short=True).to_csv(index=False).encode())
    elif isinstance(model.spec, AudioSpec) and out.suffix.lower() == ".wav":
        from vae_pipeline.kinds.audio.encoding import save_recordings

        save_recordings(out, x, model.spec)
    else:
        write_arrays(out, x)
    say(out, len(x), words_of(model.spec).nouns, as_json, found)


def write_table(frame: "pd.DataFrame", out: Path | None, what: str, as_json: bool) -> None:
    """Write a table as the file's name asks, or print it."""
    from vae_pipeline.system.files import replaced_file

    written = {"index": False, "float_format": "%.6f"}
    if out is None and as_json:
        print_answer(len(frame), found=_objects(frame))
    elif out is None or str(out) == PIPE:
        sys.stdout.flush()
        frame.to_csv(sys.stdout.buffer, **written)  # UTF-8, whatever signs a terminal knows: these are data
    else:
        with replaced_file(out) as file:
            if out.suffix.lower() == ".parquet":
                frame.to_parquet(file, index=False)
            else:
                frame.to_csv(file, **written)
        say(out, len(frame), what, as_json)


def _objects(frame: "pd.DataFrame") -> "Iterator[str]":
    """Each row as an object of JSON, some made at a time."""
    for at in range(0, len(frame), LONG):
        yield from frame[at : at + LONG].to_json(orient="records", lines=True, double_precision=6).split("\n")[:-1]


def write_arrays(out: Path, content: Any) -> None:
    """Write one array as .npy, or several by name as .npz."""
    import io

    import numpy as np

    from vae_pipeline.system.files import replace_file

    buffer = io.BytesIO()
    if isinstance(content, dict):
        np.savez(buffer, **content)
    else:
        np.save(buffer, content)
    if str(out) == PIPE:
        sys.stdout.buffer.write(buffer.getvalue())
    else:
        replace_file(out, buffer.getvalue())


def say(out: Path, count: int, what: str, as_json: bool, found: "Iterable[str]" = ()) -> None:
    """Say which file was written, and of what, in the plural; nothing where a pipe has it."""
    if as_json:
        print_answer(count, out, found)
    elif str(out) != PIPE:
        sys.stdout.write(f"{count} {what.removesuffix('s') if count == 1 else what} -> {out}\n")
