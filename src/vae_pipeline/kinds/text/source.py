"""Sentences from a file of lines, or from a column of a table."""

from pathlib import Path

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.grouping import named
from vae_pipeline.kinds.parts import TextSource
from vae_pipeline.kinds.text.lines import Lines, read_column, read_lines
from vae_pipeline.recipe.data import File, TextData
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.redaction import redacted

EMPTY = "empty line"


def open_text(data: TextData, finder: Finder) -> TextSource:
    """Read the files that the recipe names; lines without a word are left out, and counted.

    Raises:
        DataError: a file can't be had, or `lines.read_lines` refuses it.
    """
    origins: dict[str, str] = {}
    dropped = 0
    groups: dict[str, list[str]] = {}

    def lines(name: str, file: File) -> list[str]:
        nonlocal dropped
        path = finder.find(file)
        origins[file.path or redacted(file.url or path.name)] = file.digest or f"sha256:{sha256_of(path)}"
        found = read_lines(path, data.column)
        dropped += found.empty
        if data.split.groups is not None:
            groups[name] = _groups(path, found, data.split.groups)
        return found.texts

    train = lines("train", data.train)
    valid = data.valid if isinstance(data.valid, float) else lines("valid", data.valid)
    test = data.test if isinstance(data.test, float) else lines("test", data.test)
    left_out = {EMPTY: dropped} if dropped else {}
    return TextSource(
        train=train,
        valid=valid,
        test=test,
        tokenizer=data.tokenizer,
        limit=data.limit,
        long=data.long,
        origins=origins,
        dropped=left_out,
        split=data.split,
        groups=groups,
    )


def _groups(path: Path, found: Lines, groups: Groups) -> list[str]:
    """The group of each line, in its text or in another column of its row."""
    if groups.column is None:
        assert groups.pattern is not None  # a recipe says so
        return named(found.texts, groups.pattern)
    column = read_column(path, groups.column)
    of_each = [column[number - 1] for number in found.numbers]
    if not all(of_each):
        number = found.numbers[of_each.index("")]
        raise DataError(
            f"row {number} of {path} has no value of {groups.column}, by which data.split.groups parts rows"
        )
    return of_each
