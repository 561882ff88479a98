"""Sentences from a file of lines, or from a column of a table."""

from vae_pipeline.data.download import Finder
from vae_pipeline.data.lines import read_lines
from vae_pipeline.data.sources.parts import TextSource
from vae_pipeline.files import sha256_of
from vae_pipeline.recipe.data import File, TextData
from vae_pipeline.redaction import redacted

EMPTY = "empty line"


def open_text(data: TextData, finder: Finder) -> TextSource:
    """Read the files that the recipe names; lines without a word are left out, and counted.

    Raises:
        DataError: a file can't be had, or `lines.read_lines` refuses it.
    """
    origins: dict[str, str] = {}
    dropped = 0

    def lines(file: File) -> list[str]:
        nonlocal dropped
        path = finder.find(file)
        origins[file.path or redacted(file.url or path.name)] = file.digest or f"sha256:{sha256_of(path)}"
        found = read_lines(path, data.column)
        dropped += found.empty
        return found.texts

    train = lines(data.train)
    valid, test = (part if isinstance(part, float | int) else lines(part) for part in (data.valid, data.test))
    left_out = {EMPTY: dropped} if dropped else {}
    return TextSource(train, valid, test, data.tokenizer, data.limit, data.long, origins, left_out)
