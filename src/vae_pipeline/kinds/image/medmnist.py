"""MedMNIST's files: an .npz of images and labels in the official parts.

Source: Yang, Shi, Wei, Liu, Zhao, Ke, Pfister and Ni, MedMNIST v2, 2023.
"""

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.arrays import open_arrays, read_array
from vae_pipeline.kinds.parts import ImageSource
from vae_pipeline.recipe.data import ArraysData, MedmnistData
from vae_pipeline.system.errors import DataError


def open_medmnist(data: MedmnistData, finder: Finder) -> ImageSource:
    """Read the official parts of a file.

    Raises:
        DataError: it can't be had or read, or is of one of the sets whose images are volumes.
    """
    path, key = finder.find_array(data.train.images)
    match read_array(path, key).shape[1:]:
        case (height, width) | (height, width, 3) as axes:
            shape = (3 if len(axes) == 3 else 1, height, width)
        case axes:
            raise DataError(
                f"{path} holds images of shape {list(axes)}: [height, width] or [height, width, 3] is wanted, as "
                "MedMNIST's 2D sets have; give slices of a 3D set as data of kind arrays"
            )
    given = {name: getattr(data, name) for name in ("train", "valid", "test", "classes", "split")}
    return open_arrays(ArraysData(kind="arrays", shape=shape, range=(0, 255), **given), finder)
