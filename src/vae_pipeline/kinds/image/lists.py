"""Lists of pictures' names with values beside them: attributes, parts or groups.

A line of a list is a picture's name and its values, parted by commas (a CSV) or by blanks (as CelebA has them). Before
the first such line may stand one that names the values, and one that counts the lines.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

import numpy as np

from vae_pipeline.kinds.folders import groups_of
from vae_pipeline.kinds.image.decoding import SUFFIXES
from vae_pipeline.kinds.listed import Listing, common_folder
from vae_pipeline.kinds.parts import Marks
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.explain import brief

TRUE, FALSE = ("1", "true"), ("0", "-1", "false")
PARTS = {"0": "train", "train": "train", "1": "valid", "valid": "valid", "2": "test", "test": "test"}
T = TypeVar("T")


@dataclass(frozen=True)
class NamedList(Generic[T]):
    """A list that was read: the names of the columns, where the list has them, and the value beside each picture."""

    path: Path
    columns: tuple[str, ...]
    values: Mapping[str, T]

    def matched(self, pictures: Listing) -> tuple[dict[str, T], list[str]]:
        """The value of each picture, and what is to be said of names that no picture has.

        Pictures are known by their file's name or, where several have one name, by the path below the folder that all
        lie in.

        Raises:
            DataError: a picture isn't in the list.
        """
        names = {name: PurePosixPath(name).name for name in pictures.names}
        values = {PurePosixPath(name).name: value for name, value in self.values.items()}
        if len(set(names.values())) < len(names) or len(values) < len(self.values):
            root = common_folder(pictures)
            names = {name: str(PurePosixPath(name).relative_to(root)) for name in pictures.names}
            values = dict(self.values)
        absent = [short for short in names.values() if short not in values]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(names)} pictures of {pictures.place} aren't in {self.path}, the first "
                f"{absent[0]}: add them to the list, or take them away"
            )
        spare = values.keys() - names.values()
        said = f"{self.path} lists {len(spare)} pictures that {pictures.place} doesn't hold, the first"
        return {name: values[short] for name, short in names.items()}, [f"{said} {min(spare)}"] if spare else []


@dataclass(frozen=True)
class AttributeList(NamedList[bytes]):
    """A list of attributes: of each picture one byte an attribute, 1 where it shows it, else 0."""

    def marks(self, pictures: Listing) -> tuple[Marks, list[str]]:
        """The attributes [pictures, columns] of pictures, and what is to be said of names that no picture has.

        Raises:
            DataError: a picture isn't in the list.
        """
        found, spare = self.matched(pictures)
        joined = b"".join(found[name] for name in pictures.names)
        return np.frombuffer(joined, np.bool_).reshape(-1, len(self.columns)), spare


def read_attributes(path: Path) -> AttributeList:
    """The attributes of each picture.

    Raises:
        DataError: the file can't be read, has no line that names the attributes, or holds other values.
    """
    number = dict.fromkeys(TRUE, 1) | dict.fromkeys(FALSE, 0)
    found = _read(path, lambda fields: bytes(number[field.casefold()] for field in fields), "1, 0, -1, true or false")
    if not found.columns:
        raise DataError(f"{path} doesn't name its attributes: begin it with a line of their names")
    return AttributeList(found.path, found.columns, found.values)


def read_parts(path: Path) -> NamedList[str]:
    """The part of each picture: train, valid or test.

    Raises:
        DataError: the file can't be read, or names another part.
    """
    return _read(path, lambda fields: PARTS[_single(fields).casefold()], "0, 1 or 2 (train, valid or test)")


def read_groups(path: Path) -> NamedList[str]:
    """The group of each picture.

    Raises:
        DataError: the file can't be read.
    """
    return _read(path, _single, "one group")


def _single(fields: Sequence[str]) -> str:
    (field,) = fields
    return field


def _read(path: Path, value: Callable[[Sequence[str]], T], wanted: str) -> NamedList[T]:
    """Read a list; `value` makes one of the fields beside a name, and raises KeyError or ValueError of others."""
    values: dict[str, T] = {}
    heads: list[list[str]] = []
    twice, wrong, at, width = set[str](), list[str](), 0, 0
    for fields in _lines(path):
        named = [index for index, field in enumerate(fields) if field.lower().endswith(SUFFIXES)]
        if not width and not named:
            heads.append(fields)
            continue
        at, width = (at, width) if width else (named[0], len(fields))
        if len(fields) != width or at not in named:
            raise DataError(
                f"{path} holds the line {_brief(fields)}, where a picture's name and {width - 1} values are wanted: "
                "mend it"
            )
        name = fields.pop(at)
        twice.update({name} & values.keys())
        try:
            values[name] = value(fields)
        except (KeyError, ValueError):
            wrong.append(_brief([name, *fields]))
            values.pop(name, None)
    if not width:
        raise DataError(f"{path} lists no picture: a line is a picture's name ({', '.join(SUFFIXES)}) and its values")
    count, columns = _heads(heads, at, width, path)
    if wrong:
        raise DataError(f"{len(wrong)} lines of {path} hold no {wanted}, the first {wrong[0]}: mend them")
    if twice:
        raise DataError(f"{path} lists {len(twice)} pictures twice, the first {min(twice)}: leave one line of each")
    if count not in (None, len(values)):
        raise DataError(f"{path} says that it lists {count} pictures, and lists {len(values)}: fetch it again")
    return NamedList(path, columns, values)


def _lines(path: Path) -> Iterator[list[str]]:
    """The fields of each line that isn't empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            commas = "," in next((line for line in file if line.strip()), "")
            file.seek(0)
            for fields in csv.reader(file) if commas else map(str.split, file):
                if fields:
                    yield [field.strip() for field in fields]
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} isn't a list of pictures in UTF-8 ({error}): make or fetch it again") from error


def _heads(heads: list[list[str]], at: int, width: int, path: Path) -> tuple[int | None, tuple[str, ...]]:
    """The number of pictures and the columns' names, where lines before the first picture tell them."""
    count, columns = None, list[str]()
    for head in heads:
        if len(head) == 1 and head[0].isdecimal() and count is None:
            count = int(head[0])
        elif len(head) in (width - 1, width) and not columns:
            columns = head[:at] + head[at + 1 :] if len(head) == width else head
        else:
            raise DataError(f"{path} holds the line {_brief(head)}, which names no picture: mend it")
    if len(set(columns)) < len(columns):
        raise DataError(f"{path} gives two columns one name in the line {_brief(columns)}: rename one")
    return count, tuple(columns)


def _brief(fields: Sequence[str]) -> str:
    return brief(" ".join(fields))


def picture_groups(pictures: Listing, groups: Groups) -> list[str]:
    """The group of each picture, by its path below the folder that all lie in, or as a list has it."""
    if groups.file is None:
        return groups_of(pictures, groups)
    group_of, _ = read_groups(Path(groups.file)).matched(pictures)
    return [group_of[name] for name in pictures.names]
