"""Pictures in a folder or in an archive, decoded when they are asked for."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from vae_pipeline.kinds.grouping import named
from vae_pipeline.kinds.image.decoding import read_mask, read_picture
from vae_pipeline.kinds.image.survey import PictureSurvey
from vae_pipeline.kinds.listing import Pictures, list_pictures, readable
from vae_pipeline.kinds.parts import Array, ImageSource, Indices, Part
from vae_pipeline.recipe.data import FolderData, NormalFolder
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError


@dataclass(frozen=True)
class DecodedRows:
    """Pictures as rows of [channels, height, width]."""

    pictures: Pictures
    data: FolderData
    levels: tuple[float, float]

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.pictures.names[index]) for index in indices])

    def decode(self, name: str) -> Array:
        """Read one picture."""
        content = self.pictures.read(name)
        return read_picture(content, f"{self.pictures.place}/{name}", self.data.shape, self.data.resize, self.levels)


@dataclass(frozen=True)
class DecodedMasks:
    """The masks of pictures, [height, width] each; one without a mask has no defect."""

    pictures: Pictures
    mask_of: Mapping[str, str]
    data: FolderData

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.mask_of.get(self.pictures.names[index])) for index in indices])

    def decode(self, name: str | None) -> Array:
        """Read one mask; of None, an empty one."""
        size = self.data.shape[1:]
        if name is None:
            return np.zeros(size, np.uint8)
        return read_mask(self.pictures.read(name), f"{self.pictures.place}/{name}", size, self.data.resize)


def open_folder(data: FolderData) -> ImageSource:
    """List the pictures of each part.

    Raises:
        DataError: a place that isn't there, is empty, or is an archive that is corrupt or unsafe.
    """
    if isinstance(data.labels, NormalFolder):
        return _open_one_class(data, data.labels)
    places = {"train": data.train, "valid": data.valid, "test": data.test}
    survey = PictureSurvey(data)
    pictures = {
        name: survey.add(list_pictures(Path(place))) for name, place in places.items() if isinstance(place, str)
    }
    folders, notes = {}, []
    for name, part in pictures.items():
        folders[name], merged = _class_names(part, data.labels)
        notes += merged
    classes = tuple(sorted({folder for part in folders.values() for folder in part}))
    parts = {
        name: Part(DecodedRows(part, data, survey.levels), _labels(folders[name], classes), part.names)
        for name, part in pictures.items()
    }
    return ImageSource(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),
        test=parts["test"] if "test" in parts else float(data.test),
        origins={part.place: part.digest() for part in pictures.values()},
        dropped=dict(survey.dropped),
        levels=survey.levels,
        notes=(*survey.notes, *notes),
        split=data.split,
        groups={name: _groups(part, data.split.groups) for name, part in pictures.items() if data.split.groups},
    )


def _open_one_class(data: FolderData, labels: NormalFolder) -> ImageSource:
    assert not isinstance(data.valid, str) and not isinstance(data.test, str)  # a recipe says so
    listed = list_pictures(Path(data.train))
    mask_of = _masks(listed.names) if labels.masks == "beside" else {}
    masks, survey = set(mask_of.values()), PictureSurvey(data)
    pictures = survey.add(dataclasses.replace(listed, names=[name for name in listed.names if name not in masks]))
    classes, numbers = _kinds(pictures, labels.normal)
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
            DecodedRows(pictures, data, survey.levels),
            numbers,
            pictures.names,
            DecodedMasks(pictures, mask_of, data) if labels.masks == "beside" else None,
        ),
        valid=float(data.valid),
        test=float(data.test),
        origins={pictures.place: listed.digest()},
        dropped=dict(survey.dropped),
        one_class=True,
        levels=survey.levels,
        notes=survey.notes,
        split=data.split,
        groups={"train": _groups(pictures, data.split.groups)} if data.split.groups else {},
    )


def _masks(names: Sequence[str]) -> dict[str, str]:
    """The mask of each picture that has one: NAME.png beside NAME.jpg."""
    found = {name.rpartition(".")[0]: name for name in names if name.lower().endswith(".png")}
    photographs = [name for name in names if not name.lower().endswith(".png")]
    return {name: found[stem] for name in photographs if (stem := name.rpartition(".")[0]) in found}


def _kinds(pictures: Pictures, normal: str) -> tuple[tuple[str, ...], Indices]:
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
    return classes, _numbered(kinds, classes)


def _class_names(pictures: Pictures, labels: Literal["none", "folders", "paths"]) -> tuple[list[str], list[str]]:
    """The class of each picture, none without labels; and what is to be said of folders that became one."""
    if labels == "none":
        return [], []
    parents = [PurePosixPath(name).parent for name in pictures.names]
    root = _root(pictures) if labels == "paths" else None
    names = [readable((parent.name if root is None else str(parent.relative_to(root))) or ".") for parent in parents]
    paths, kinds = len(set(parents)), len(set(names))
    if paths == kinds:
        return names, []
    classes = "1 class" if kinds == 1 else f"{kinds} classes"
    said = f"{paths} folders of {pictures.place} are {classes}, as those of one name are one"
    return names, [f"{said}; labels: paths takes those in different folders apart" if root is None else said]


def _root(pictures: Pictures) -> PurePosixPath:
    """The folder that all pictures lie in, at any depth."""
    return PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in pictures.names]))


def _groups(pictures: Pictures, groups: Groups) -> list[str]:
    """The group of each picture, by its path below the folder that all lie in."""
    root = _root(pictures)
    paths = [PurePosixPath(name).relative_to(root) for name in pictures.names]
    if groups.folder is None:
        return named(map(str, paths), groups)
    lying = [path for path in paths if len(path.parts) <= groups.folder]
    if lying:
        raise DataError(
            f"{pictures.place}: {lying[0]} lies in {len(lying[0].parts) - 1} folders, and data.split.groups.folder "
            f"names the one of level {groups.folder}: set it to a level that all have"
        )
    return [readable(str(PurePosixPath(*path.parts[: groups.folder]))) for path in paths]


def _labels(folders: Sequence[str], classes: tuple[str, ...]) -> Indices | None:
    return _numbered(folders, classes) if classes else None


def _numbered(folders: Sequence[str], classes: tuple[str, ...]) -> Indices:
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[folder] for folder in folders], np.int64)
