"""The classes and groups of listed files, by the folders that they lie in or by their paths."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from vae_pipeline.kinds.grouping import named
from vae_pipeline.kinds.listed import Listing, common_folder, readable
from vae_pipeline.kinds.parts import Indices
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError


def class_names(listing: Listing, labels: Literal["none", "folders", "paths"]) -> tuple[list[str], list[str]]:
    """The class of each file, none without labels; and what is to be said of folders that became one."""
    if labels == "none":
        return [], []
    root = common_folder(listing) if labels == "paths" else None
    class_of: dict[str, str] = {}  # by folder
    names = []
    for name in listing.names:
        folder = name.rpartition("/")[0]
        if folder not in class_of:
            path = PurePosixPath(folder)
            class_of[folder] = readable((path.name if root is None else str(path.relative_to(root))) or ".")
        names.append(class_of[folder])
    paths, kinds = len({PurePosixPath(folder) for folder in class_of}), len(set(class_of.values()))
    if paths == kinds:
        return names, []
    classes = "1 class" if kinds == 1 else f"{kinds} classes"
    said = f"{paths} folders of {listing.place} are {classes}, as those of one name are one"
    return names, [f"{said}; labels: paths takes those in different folders apart" if root is None else said]


def numbered(names: Sequence[str], classes: tuple[str, ...]) -> Indices:
    """The place of each name among the classes."""
    number = {name: index for index, name in enumerate(classes)}
    return np.fromiter((number[name] for name in names), np.int64, len(names))


def below(listing: Listing) -> list[PurePosixPath]:
    """The path of each file below the folder that all lie in."""
    root = common_folder(listing)
    return [PurePosixPath(name).relative_to(root) for name in listing.names]


def groups_of(listing: Listing, groups: Groups) -> list[str]:
    """The group of each file, by its path below the folder that all lie in.

    Raises:
        DataError: a file has none.
    """
    paths = below(listing)
    if groups.folder is None:
        assert groups.pattern is not None  # a recipe says so
        return named(map(str, paths), groups.pattern)
    lying = [path for path in paths if len(path.parts) <= groups.folder]
    if lying:
        raise DataError(
            f"{listing.place}: {lying[0]} lies in {len(lying[0].parts) - 1} folders, and data.split.groups.folder "
            f"names the one of level {groups.folder}: set it to a level that all have"
        )
    return [readable(str(PurePosixPath(*path.parts[: groups.folder]))) for path in paths]
