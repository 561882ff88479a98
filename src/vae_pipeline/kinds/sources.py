"""One module a modality; `open_source` finds the one that a recipe's data section names."""

from typing import assert_never

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import Source
from vae_pipeline.recipe.data import (
    ArraysData,
    AudioData,
    Data,
    DigitsData,
    DrawnDefectsData,
    DrawnSentencesData,
    DrawnTonesData,
    FolderData,
    MedmnistData,
    ScansData,
    SyntheticData,
    TableData,
    TextData,
    TumoursData,
)
from vae_pipeline.system.workbench import Workbench


def open_source(data: Data, finder: Finder, seed: int, bench: Workbench | None = None) -> Source:
    """Open what a recipe's data section describes; files that were read are kept on the workbench.

    Raises:
        DataError: it can't be used; the message names the file and what is wrong with it.
        WorkerError: a process that read some of it was ended from outside.
    """
    # Imported here, so that each source costs only those who use it.
    match data:
        case (
            SyntheticData()
            | DigitsData()
            | ArraysData()
            | FolderData()
            | MedmnistData()
            | ScansData()
            | DrawnDefectsData()
        ):
            from vae_pipeline.kinds.image.opening import open_images

            return open_images(data, finder, seed, bench or Workbench.temporary())
        case DrawnTonesData():
            from vae_pipeline.kinds.audio.drawn_tones import draw_tones

            return draw_tones(data, seed)
        case AudioData():
            from vae_pipeline.kinds.audio.folder import open_recordings

            return open_recordings(data, finder, bench or Workbench.temporary())
        case TumoursData():
            from vae_pipeline.kinds.table.tumours import open_tumours

            return open_tumours(data)
        case TableData():
            from vae_pipeline.kinds.table.source import open_table

            return open_table(data, finder)
        case DrawnSentencesData():
            from vae_pipeline.kinds.text.drawn_sentences import draw_sentences

            return draw_sentences(data, seed)
        case TextData():
            from vae_pipeline.kinds.text.source import open_text

            return open_text(data, finder)
        case _:
            assert_never(data)
