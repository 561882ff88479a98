"""Pictures in a folder or in an archive, divided as the recipe says: their classes, groups and attributes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vae_pipeline.kinds.folders import class_names, numbered
from vae_pipeline.kinds.image.lists import NamedList, picture_groups, read_attributes, read_parts
from vae_pipeline.kinds.image.mvtec import open_mvtec
from vae_pipeline.kinds.image.rows import MaskRows
from vae_pipeline.kinds.image.survey import PictureSurvey
from vae_pipeline.kinds.image.tiles import repeated
from vae_pipeline.kinds.listed import Listing, readable
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.kinds.parts import ImageSource, Indices, Part
from vae_pipeline.kinds.splitting import subset
from vae_pipeline.kinds.store import PARTS
from vae_pipeline.recipe.data import FolderData, MvtecLayout, NormalFolder
from vae_pipeline.recipe.split import ListedSplit
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.workbench import Workbench


def open_folder(data: FolderData, bench: Workbench) -> ImageSource:
    """List and read the pictures of each part.

    Raises:
        DataError: a place that isn't there, is empty, or is an archive that is corrupt or unsafe.
    """
    if isinstance(data.labels, NormalFolder):
        return _open_one_class(data, data.labels, bench)
    if isinstance(data.labels, MvtecLayout):
        return open_mvtec(data, data.labels, bench)
    places = {"train": data.train, "valid": data.valid, "test": data.test}
    survey = PictureSurvey(data, bench)
    found = {name: survey.add(list_pictures(Path(place))) for name, place in places.items() if isinstance(place, str)}
    pictures = {name: surveyed.listing for name, surveyed in found.items()}
    folders, notes = {}, []
    for name, part in pictures.items():
        folders[name], merged = class_names(part, data.labels)
        notes += merged
    classes = tuple(sorted({folder for part in folders.values() for folder in part}))
    shown = None if data.attributes is None else read_attributes(Path(data.attributes))
    parts: dict[str, Part] = {}
    groups: dict[str, list[str]] = {}
    for name, part in pictures.items():
        marks, spare = (None, []) if shown is None else shown.marks(part)
        labels = _labels(folders[name], classes)
        rows, owners = survey.rows(found[name]), found[name].owners
        parts[name] = Part(rows, labels, part.names, attributes=marks)
        groups |= {name: picture_groups(part, data.rule.groups)} if data.rule.groups else {}
        if data.resize == "tiles":
            parts[name] = repeated(parts[name], rows, owners)
            groups |= {name: [groups[name][picture] for picture in owners]} if groups else {}
        notes += spare
    if isinstance(data.split, ListedSplit):
        parts, spare = _listed(parts["train"], pictures["train"], read_parts(Path(data.split.file)))
        notes += spare
    return ImageSource(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),  # type: ignore[arg-type]
        test=parts["test"] if "test" in parts else float(data.test),  # type: ignore[arg-type]
        origins={part.place: part.digest(None) for part in pictures.values()} | _digests(data),
        dropped=dict(survey.dropped),
        levels=survey.levels,
        notes=(*survey.notes, *notes),
        split=data.rule,
        groups=groups,
        attributes=() if shown is None else shown.columns,
        crop=data.crop,
    )


def _listed(whole: Part, pictures: Listing, listed: NamedList[str]) -> tuple[dict[str, Part], list[str]]:
    """The parts of the pictures as a list has them, and what is to be said of names that no picture has."""
    named, spare = listed.matched(pictures)
    assert whole.names is not None  # they are pictures
    of_each = np.array([named[name] for name in whole.names])
    parts = {name: subset(whole, np.flatnonzero(of_each == name)) for name in PARTS}
    for name, part in parts.items():
        if not len(part.rows):
            raise DataError(
                f"{listed.path} has none of the {len(named)} pictures of {pictures.place} in its part {name}: give "
                "pictures of all parts, or valid and test as fractions"
            )
    return parts, spare


def _digests(data: FolderData) -> dict[str, str]:
    """The sha256 of each list of pictures."""
    group = data.rule.groups.file if data.rule.groups else None
    lists = (data.attributes, data.split.file if isinstance(data.split, ListedSplit) else None, group)
    return {path: f"sha256:{sha256_of(Path(path))}" for path in lists if path is not None}


def _open_one_class(data: FolderData, labels: NormalFolder, bench: Workbench) -> ImageSource:
    assert isinstance(data.valid, float | int) and isinstance(data.test, float)  # a recipe says so
    listed = list_pictures(Path(data.train))
    mask_of = _masks(listed.names) if labels.masks == "beside" else {}
    masks, survey = set(mask_of.values()), PictureSurvey(data, bench)
    found = survey.add(dataclasses.replace(listed, names=[name for name in listed.names if name not in masks]))
    pictures = found.listing
    classes, numbers = _kinds(pictures, labels.normal)
    shown = None if data.attributes is None else read_attributes(Path(data.attributes))
    marks, spare = (None, []) if shown is None else shown.marks(pictures)
    if labels.masks == "beside":
        for name, number in zip(pictures.names, numbers, strict=True):
            if number and name not in mask_of:
                raise DataError(
                    f"{pictures.place}/{name} shows an anomaly, and no mask {PurePosixPath(name).stem}.png lies beside "
                    "it: add the mask (NAME.png beside NAME.jpg), or set data.labels.masks to none"
                )
    return ImageSource(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=Part(
            survey.rows(found),
            numbers,
            pictures.names,
            MaskRows(found, mask_of) if labels.masks == "beside" else None,
            attributes=marks,
        ),
        valid=float(data.valid),
        test=float(data.test),
        origins={pictures.place: listed.digest(None)} | _digests(data),
        dropped=dict(survey.dropped),
        one_class=True,
        levels=survey.levels,
        notes=(*survey.notes, *spare),
        split=data.rule,
        groups={"train": picture_groups(pictures, data.rule.groups)} if data.rule.groups else {},
        attributes=() if shown is None else shown.columns,
        crop=data.crop,
    )


def _masks(names: Sequence[str]) -> dict[str, str]:
    """The mask of each picture that has one: NAME.png beside NAME.jpg."""
    found = {name.rpartition(".")[0]: name for name in names if name.lower().endswith(".png")}
    photographs = [name for name in names if not name.lower().endswith(".png")]
    return {name: found[stem] for name in photographs if (stem := name.rpartition(".")[0]) in found}


def _kinds(pictures: Listing, normal: str) -> tuple[tuple[str, ...], Indices]:
    """The folders' names, `normal` first, and the number of each picture's: folders at the depth of `normal`."""
    folders = [PurePosixPath(readable(name)).parts[:-1] for name in pictures.names]
    normal = readable(normal)
    depth = next((parts.index(normal) for parts in folders if normal in parts), None)
    if depth is None:
        some = ", ".join(sorted({"/".join(parts) or "." for parts in folders})[:6])
        raise DataError(
            f"no picture in {pictures.place} lies in a folder {normal!r}, as data.labels.normal says: "
            f"its folders are {some}"
        )
    kinds = [parts[depth] if len(parts) > depth else "." for parts in folders]
    classes = (normal, *sorted(set(kinds) - {normal}))
    return classes, numbered(kinds, classes)


def _labels(folders: Sequence[str], classes: tuple[str, ...]) -> Indices | None:
    return numbered(folders, classes) if classes else None
