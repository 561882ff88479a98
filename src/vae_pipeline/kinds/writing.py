"""Any source to the one on-disk form of prepared data."""

from pathlib import Path
from typing import assert_never

from vae_pipeline.kinds.audio.store import write_recordings
from vae_pipeline.kinds.image.store import write_images
from vae_pipeline.kinds.parts import AudioSource, ImageSource, Source, TableSource, TextSource
from vae_pipeline.kinds.table.store import write_table
from vae_pipeline.system.seal import seal


def write(source: Source, folder: Path, seed: int, shards: int | None = None) -> None:
    """Split `source` and write it into `folder`, the training part in `shards`; sentences are never divided.

    Raises:
        DataError: it holds what can't be used, or a part comes out empty.
    """
    match source:
        case ImageSource():
            write_images(source, folder, seed, shards)
        case AudioSource():
            write_recordings(source, folder, seed, shards)
        case TableSource():
            write_table(source, folder, seed, shards)
        case TextSource():
            from vae_pipeline.kinds.text.store import write_text  # noqa: PLC0415 (tokenizers cost only those of text)

            write_text(source, folder, seed)
        case _:
            assert_never(source)
    seal(folder)
