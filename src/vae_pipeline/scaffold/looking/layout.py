"""The layout of a folder or an archive of pictures or recordings: its parts, and the classes that its folders say."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from vae_pipeline.kinds.listed import Listing
from vae_pipeline.scaffold.looking.found import PARTS, Places, fractions

ALL_PARTS = {name for names in PARTS.values() for name in names}


def parts_of(path: Path) -> dict[str, Path]:
    """The folders of a layout in train, valid and test; else all as train."""
    if path.is_dir():
        folders = {entry.name.lower(): entry for entry in sorted(path.iterdir()) if entry.is_dir()}
        found = {part: folders[name] for part, names in PARTS.items() for name in names if name in folders}
        if "train" in found and len(found) > 1:
            return {part: found[part] for part in PARTS if part in found}
    return {"train": path}


def told_parts(listed: Mapping[str, Listing]) -> str:
    """The parts and their sizes in words; nothing where all is train."""
    sizes = ", ".join(f"{len(part.names):,} {name}" for name, part in listed.items())
    return f"in parts: {sizes}" if len(listed) > 1 else ""


def division(parts: Mapping[str, Path], count: int, places: Places) -> dict[str, Any]:
    """The keys of the section `data` that name the parts."""
    train = {"train": places.written(parts["train"])}
    if len(parts) == 1:
        return train | fractions(count)
    return train | {part: places.written(parts[part]) if part in parts else 0.1 for part in ("valid", "test")}


def labels_of(parts: Mapping[str, Listing], count: int, noun: str) -> tuple[str, int, str]:
    """The key `labels`, the number of classes, and what is to be said of them."""
    folders = {name: [PurePosixPath(each).parent for each in part.names] for name, part in parts.items()}
    paths = {path for part in folders.values() for path in part}
    if len(set(folders["train"])) < 2:
        return "none", 0, ""
    if len(paths) > count // 2:
        return "none", 0, f"{len(paths):,} folders hold a {noun} or two each: they aren't taken for classes"
    names = {path.name for path in paths}
    in_parts = all(path.parts and path.parts[0].lower() in ALL_PARTS for path in paths)  # of an archive
    key = "folders" if in_parts or len(names) == len(paths) else "paths"
    classes = len(names) if key == "folders" else len(paths)
    if classes < 2:
        return "none", 0, ""
    some = ", ".join(sorted(names)[:4])
    return key, classes, f"{classes} classes by folder: {some}{', ...' if len(names) > 4 else ''}"
