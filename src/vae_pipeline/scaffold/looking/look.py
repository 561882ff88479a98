"""The kind of some data, found by what the place holds and not by its name alone."""

import gzip
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.archives import is_archive
from vae_pipeline.kinds.audio import decoding as audio
from vae_pipeline.kinds.image.arrays import IDX_TYPES, NPY
from vae_pipeline.kinds.image.decoding import SUFFIXES
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.kinds.table.spec import is_table
from vae_pipeline.scaffold.looking.arrays import look_at_arrays, opened
from vae_pipeline.scaffold.looking.found import Found, Places
from vae_pipeline.scaffold.looking.lines import look_at_lines
from vae_pipeline.scaffold.looking.pictures import look_at_pictures
from vae_pipeline.scaffold.looking.recordings import look_at_recordings
from vae_pipeline.scaffold.looking.rows import look_at_rows
from vae_pipeline.scaffold.looking.scans import holds_scans, look_at_scans
from vae_pipeline.system.errors import DataError

ROWS = (".data", ".dat", ".tab")  # names that text of rows has beside those of tables
FILES = (".npy", ".npz", ".txt", ".amat", "-ubyte", ".gz")  # names of other files that are looked at one by one
JSON = (".json", ".ndjson", ".geojson")  # names of files that are no texts to learn from, line by line
BEGINNING = 4096
NO_TEXT = frozenset(range(0x20)) - frozenset(b"\t\n\v\f\r\x1a\x1b")  # control characters of no text
OTHER = {"y": "holds other values than 0 of normal rows and 1 of others (--label y=NORMAL names a normal value)"}
KNOWN = (
    "a folder, .zip or .tar of pictures, medical scans or recordings; IDX, .npy or .npz of images; a table as .csv, "
    ".tsv, .parquet, .jsonl, or .npz of X and y; a text in UTF-8 of a sentence a line"
)


def look(
    path: Path,
    places: Places,
    label: tuple[str, str] | None = None,
    columns: Mapping[str, Any] | None = None,
    csv: Mapping[str, Any] | None = None,
) -> Found:
    """Look at data; of a table are `label`, `columns`, which say what some of its columns are, and `csv`.

    `csv` says how a text of rows is written, by the keys of a recipe's section of this name.

    Raises:
        DataError: nothing is there, it is of no known kind, or can't be used as it is.
    """
    if not path.exists():
        raise DataError(f"{path} isn't there (it is sought from {Path.cwd()}): name a folder or a file that is")
    rows = _is_rows(path)
    if not rows:
        _refuse_words_on_rows(path, label, columns, csv)
    if rows:
        own = label is None and "y" in _keys(path)
        label = _normal(path) if own else label
        return look_at_rows(path, places, label, OTHER if own and label is None else {}, columns or {}, csv or {})
    if path.name.lower().endswith(".npz"):
        return look_at_arrays(path, places)
    if (path.is_dir() or is_archive(path)) and holds_scans(path):
        return look_at_scans(path, places)
    if path.is_dir():
        _refuse_other_files(path)
        return _look_at_files(path, places)
    if is_archive(path):
        return _look_at_files(path, places)
    _refuse_by_name(path)
    beginning = _beginning(path)
    if beginning.startswith(NPY) or path.name.lower().endswith((".amat", ".amat.gz")) or _is_idx(beginning):
        return look_at_arrays(path, places)
    if not beginning:
        raise DataError(f"{path} is empty: name a file that isn't")
    if not _is_text(beginning):
        raise DataError(f"{path} is of no kind that is learned here; known are {KNOWN}")
    return look_at_lines(path, places)


def _look_at_files(path: Path, places: Places) -> Found:
    """Look at the recordings of a folder or an archive that holds more of them than pictures, else at the pictures."""
    wanted = (*audio.SUFFIXES, *SUFFIXES)
    names = list_files(path, lambda names: ([each for each in names if each.lower().endswith(wanted)], Counter())).names
    recordings, pictures = (sum(each.lower().endswith(ends) for each in names) for ends in (audio.SUFFIXES, SUFFIXES))
    return (look_at_recordings if recordings > pictures else look_at_pictures)(path, places)


def _refuse_other_files(folder: Path) -> None:
    """Refuse a folder without pictures or recordings, of whose files one is to be named.

    Raises:
        DataError: it is one.
    """
    usable = sorted(each for each in folder.iterdir() if is_table(each) or each.name.lower().endswith(FILES))
    if usable and not any(each.name.lower().endswith((*SUFFIXES, *audio.SUFFIXES)) for each in folder.rglob("*")):
        raise DataError(f"{folder} holds no pictures or recordings: name one of its files, such as {usable[0]}")


def _refuse_words_on_rows(path: Path, label: object, columns: object, csv: object) -> None:
    """Refuse what is said of a table alone, of data that are none.

    Raises:
        DataError: something is.
    """
    if label is not None:
        raise DataError(f"--label names a column of a table, and {path} is none: leave it out")
    if columns or csv:
        raise DataError(
            f"what columns are, and how rows are written, are said of a table, and {path} is none: leave it out"
        )


def _refuse_by_name(path: Path) -> None:
    """Refuse a file whose name says that it is one picture, one recording or JSON.

    Raises:
        DataError: it does.
    """
    if path.name.lower().endswith(SUFFIXES):
        raise DataError(f"{path} is one picture: name the folder that holds it and others")
    if path.name.lower().endswith(audio.SUFFIXES):
        raise DataError(f"{path} is one recording: name the folder that holds it and others")
    if path.name.lower().removesuffix(".gz").endswith(JSON):
        raise DataError(
            f"{path} is JSON: rows of a table are wanted as an object a line, in a file whose name ends in .jsonl, as "
            "to_json(orient='records', lines=True) of a DataFrame writes"
        )


def _is_rows(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        return any(path.glob("**/*.parquet"))
    if name.endswith(".npz"):
        return "X" in _keys(path)
    return is_table(path) or name.endswith(ROWS)


def _keys(path: Path) -> list[str]:
    """The names of the arrays of an .npz that is one of rows; none of any other file."""
    if not path.name.lower().endswith(".npz") or not zipfile.is_zipfile(path):
        return []
    with opened(path) as archive:
        return list(archive.keys()) if "X" in archive and archive["X"].ndim == 2 else []


def _normal(path: Path) -> tuple[str, str] | None:
    """The label `y` of an .npz, and its value of normal rows; None where it isn't 0 of some rows and 1 of the rest."""
    with opened(path) as archive:
        y = archive["y"]
    if not {0} <= set(y.ravel().tolist()) <= {0, 1}:
        return None
    return "y", "False" if y.dtype == bool else "0"


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(BEGINNING)
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(path) as inside:
                return inside.read(BEGINNING)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a truncated or corrupt .gz ({error}): fetch it again") from error
    return content


def _is_idx(beginning: bytes) -> bool:
    return beginning[:2] == b"\x00\x00" and len(beginning) > 3 and beginning[2] in IDX_TYPES


def _is_text(beginning: bytes) -> bool:
    """True of UTF-16 and UTF-32 with their mark, and of what holds no sign that texts of other encodings lack."""
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return True
    return not NO_TEXT.intersection(beginning)
