"""Pictures in the layout of MVTec AD: train/good, test/KIND and ground_truth/KIND/NAME_mask.png.

Source: Bergmann, Fauser, Sattlegger and Steger, MVTec AD, 2019.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vae_pipeline.kinds.folders import below, numbered
from vae_pipeline.kinds.image.lists import picture_groups
from vae_pipeline.kinds.image.rows import MaskRows
from vae_pipeline.kinds.image.survey import PictureSurvey
from vae_pipeline.kinds.image.tiles import repeated
from vae_pipeline.kinds.listed import Listing, readable
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.splitting import chunks
from vae_pipeline.recipe.data import FolderData, MvtecLayout
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.workbench import Workbench

GOOD = "good"


def open_mvtec(data: FolderData, layout: MvtecLayout, bench: Workbench) -> ImageSource:
    """List the pictures of both parts, and the masks of those with a defect.

    Raises:
        DataError: the place isn't there or isn't laid out so, a mask is missing, or a picture is corrupt.
    """
    assert isinstance(data.valid, float | int)  # a recipe says so
    listed = list_pictures(Path(data.train))
    found = _Found.among(listed)
    survey = PictureSurvey(data, bench)
    surveyed = [survey.add(dataclasses.replace(listed, names=names)) for names in (found.train, [*found.test])]
    train, test = (each.listing for each in surveyed)
    rows, test_rows = map(survey.rows, surveyed)
    if found.others:
        survey.dropped["picture outside train/good, test and ground_truth"] = found.others
    kinds = [found.test[name].parts[0] for name in test.names]
    classes = (GOOD, *sorted({*kinds} - {GOOD}))
    mask_of = {} if layout.masks == "none" else found.masks_of(test)
    flawless = Part(rows, np.zeros(len(train.names), np.int64), train.names)
    tested = Part(test_rows, numbered(kinds, classes), test.names)
    masks = MaskRows(surveyed[1], mask_of)
    groups = picture_groups(train, data.rule.groups) if data.rule.groups else []
    if data.resize == "tiles":
        owners = surveyed[0].owners
        flawless = repeated(flawless, rows, owners)
        tested = _in_tiles(repeated(tested, test_rows, surveyed[1].owners), masks, data.shape[1:])
        groups = [groups[picture] for picture in owners] if groups else []
    elif layout.masks != "none":
        tested = dataclasses.replace(tested, masks=masks)
    return ImageSource(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=flawless,
        valid=float(data.valid),
        test=tested,
        origins={listed.place: listed.digest(None)},
        dropped=dict(survey.dropped),
        one_class=True,
        levels=survey.levels,
        notes=survey.notes,
        split=data.rule,
        groups={"train": groups} if groups else {},
        crop=data.crop,
    )


@dataclass(frozen=True)
class _Found:
    """The names of pictures by what they are."""

    train: list[str]
    test: dict[str, PurePosixPath]
    """The path of each below `test`."""
    masks: dict[PurePosixPath, str]
    """Each by the path of its picture below `test`, without a suffix."""
    others: int

    @classmethod
    def among(cls, listed: Listing) -> "_Found":
        """Sort pictures by their paths below the folder that all lie in.

        Raises:
            DataError: there are none to train on, or none with a defect.
        """
        train: list[str] = []
        test: dict[str, PurePosixPath] = {}
        masks: dict[PurePosixPath, str] = {}
        paths = [PurePosixPath(readable(str(path))) for path in below(listed)]
        for name, path in zip(listed.names, paths, strict=True):
            match path.parts:
                case ("train", "good", _, *_):
                    train.append(name)
                case ("test", _, _, *_):
                    test[name] = path.relative_to("test")
                case ("ground_truth", _, _, *_):
                    masks[path.relative_to("ground_truth").with_name(path.stem.removesuffix("_mask"))] = name
                case _:
                    pass
        lacks = "train/good" if not train else "test/KIND, with a kind of defect"
        if not train or all(path.parts[0] == GOOD for path in test.values()):
            some = ", ".join(sorted({str(path.parent) for path in paths})[:6])
            raise DataError(
                f"{listed.place} has no picture in {lacks}, as data.labels.kind mvtec says: name the folder of one "
                f"object, in which train, test and ground_truth lie; its folders are {some}"
            )
        return cls(train, test, masks, len(paths) - len(train) - len(test) - len(masks))

    def masks_of(self, test: Listing) -> dict[str, str]:
        """The mask of each test picture that shows a defect.

        Raises:
            DataError: one has none.
        """
        found = {}
        for name in test.names:
            path = self.test[name].with_suffix("")
            if path.parts[0] == GOOD:
                continue
            if path not in self.masks:
                raise DataError(
                    f"{test.place}/{name} shows a defect, and has no mask ground_truth/{path}_mask.png: add it, or set "
                    "data.labels.masks to none"
                )
            found[name] = self.masks[path]
        return found


def _in_tiles(tiles: Part, masks: MaskRows, shape: tuple[int, int]) -> Part:
    """Test pictures in tiles: one that holds nothing of the defect is a flawless one."""
    assert tiles.labels is not None
    marked = [chunk.any(axis=(1, 2)) for chunk in chunks(masks, shape)]
    return dataclasses.replace(tiles, labels=np.where(np.concatenate(marked), tiles.labels, 0), masks=masks)
