"""One module a source of images; `open_images` finds the one that a recipe's data section names."""

from typing import assert_never

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import ImageSource
from vae_pipeline.recipe.data import (
    ArraysData,
    DigitsData,
    DrawnDefectsData,
    FolderData,
    ImageData,
    MedmnistData,
    ScansData,
    SyntheticData,
)
from vae_pipeline.system.workbench import Workbench


def open_images(
    data: ImageData | MedmnistData | ScansData | DrawnDefectsData, finder: Finder, seed: int, bench: Workbench
) -> ImageSource:
    """Open what a recipe's data section describes.

    Raises:
        DataError: it can't be used; the message names the file and what is wrong with it.
    """
    # Imported here, so that each source costs only those who use it.
    match data:
        case SyntheticData():
            from vae_pipeline.kinds.image.synthetic import open_bars

            return open_bars(data, seed)
        case DigitsData():
            from vae_pipeline.kinds.image.digits import open_digits

            return open_digits(data)
        case ArraysData():
            from vae_pipeline.kinds.image.arrays import open_arrays

            return open_arrays(data, finder)
        case FolderData():
            from vae_pipeline.kinds.image.folder import open_folder

            return open_folder(data, bench)
        case MedmnistData():
            from vae_pipeline.kinds.image.medmnist import open_medmnist

            return open_medmnist(data, finder)
        case ScansData():
            from vae_pipeline.kinds.image.scans.source import open_scans

            return open_scans(data, bench)
        case DrawnDefectsData():
            from vae_pipeline.kinds.image.defects import with_defects

            return with_defects(data, open_images(data.images, finder, seed, bench), seed)
        case _:
            assert_never(data)
