"""Files of images that nobody took: each says so, and names the bundle, the seed and the index that it comes of.

    manifest.csv        a row an image: file, label, class, how, seed, index and what it was made of
    synthetic.json      what is true of all of them
    0000.png ...        the whole range on 0..255; its text chunks have the image's row and the digests
    0000.dcm ...        `synthetic_dicom`
    images.npz          images, in the data's type and units, and an array for each column of the manifest

No file's name and no identity of a source is written anywhere: a source is a number, its place among those given.
"""

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL.PngImagePlugin import PngInfo

from vae_pipeline.kinds.image.pictures import to_image, to_pixels
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.image.synthetic_dicom import dicom_of, require_dicom
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

Array = npt.NDArray[Any]
Form = Literal["png", "npz", "dicom"]
Record = Mapping[str, Any]
MANIFEST, BESIDE, ARCHIVE = "manifest.csv", "synthetic.json", "images.npz"
COLUMNS = ("file", "label", "class", "how", "seed", "index", "source", "other", "place", "spread")
"""The columns of the manifest, empty where an image has none."""
Put = Callable[[Array, list[Record]], Iterable[str]]
"""Write images [images, channels, height, width], of each of which a record tells; give the name of each one's file."""


def require_form(form: Form, spec: ImageSpec) -> None:
    """Find out whether such images can be written in this form.

    Raises:
        DataError: they are neither grey nor of three colours, and the form is one of pictures.
        MissingError: a package isn't installed.
    """
    if form != "npz" and spec.shape[0] not in (1, 3):
        raise DataError(f"images of {spec.shape[0]} channels can't be written as {form}: take --format npz")
    if form == "dicom":
        require_dicom()


def write_synthetic_images(
    folder: Path,
    pieces: Iterable[tuple[Array, Mapping[str, Array]]],
    count: int,
    spec: ImageSpec,
    form: Form,
    origin: Record,
) -> None:
    """Write `count` images that come in pieces [images, channels, height, width], each with columns of the manifest.

    Memory holds a piece, and of an .npz the columns too. Equal images and origins make equal files.
    """
    index = 0
    with (
        (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file,
        _written(folder, count, spec, form, origin) as put,
    ):
        table = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for x, columns in pieces:
            lists = {name: values.tolist() for name, values in columns.items()}
            records: list[Record] = [
                {**origin, "index": index + at, **_named({name: each[at] for name, each in lists.items()}, spec)}
                for at in range(len(x))
            ]
            names = put(x, records)
            table.writerows({**record, "file": name} for record, name in zip(records, names, strict=True))
            index += len(x)
    write_json(folder / BESIDE, {"synthetic": True, **origin, "count": count, "classes": list(spec.classes)})


def _named(record: Record, spec: ImageSpec) -> Record:
    """The record, with its class by name."""
    return {**record, "class": spec.classes[record["label"]]} if "label" in record else record


@contextmanager
def _written(folder: Path, count: int, spec: ImageSpec, form: Form, origin: Record) -> Iterator[Put]:
    if form == "npz":
        with _archive(folder / ARCHIVE, count, spec, origin) as put:
            yield put
        return
    encode, suffix = (_png, ".png") if form == "png" else (dicom_of, ".dcm")
    digits = len(str(count - 1))

    def one_each(x: Array, records: list[Record]) -> Iterator[str]:
        for image, record in zip(x, records, strict=True):
            name = f"{record['index']:0{digits}}{suffix}"
            (folder / name).write_bytes(encode(image, spec, record))
            yield name

    yield one_each


def _png(image: Array, spec: ImageSpec, record: Record) -> bytes:
    told = PngInfo()
    for name, value in {"synthetic": "true", **record}.items():
        told.add_text(name, str(value))
    buffer = io.BytesIO()
    to_image(to_pixels(image, spec.low, spec.high)).save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


@contextmanager
def _archive(path: Path, count: int, spec: ImageSpec, origin: Record) -> Iterator[Put]:
    """An .npz whose images are written as they come, and all else at its end; its entries have no time of writing."""
    columns: dict[str, list[Any]] = defaultdict(list)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(zipfile.ZipInfo("images.npy"), "w", force_zip64=True) as entry:
            header = {"descr": np.dtype(spec.dtype).str, "fortran_order": False, "shape": (count, *spec.shape)}
            np.lib.format.write_array_header_1_0(entry, header)

            def put(x: Array, records: list[Record]) -> Iterator[str]:
                entry.write(_as_stored(x, spec).tobytes())
                for record in records:
                    for name, value in record.items():
                        if name not in origin and name != "class":
                            columns[name].append(value)
                return (path.name for _ in records)

            yield put
        named = {"labels" if name == "label" else name: values for name, values in columns.items()}
        for name, values in {"synthetic": True, **origin, "classes": list(spec.classes), **named}.items():
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(values, str if name == "classes" else None), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())


def _as_stored(x: Array, spec: ImageSpec) -> Array:
    """Images in the type of the data; of whole numbers the nearest."""
    return (np.rint(x) if spec.dtype == "uint8" else x).clip(spec.low, spec.high).astype(spec.dtype)
