"""Records as https://www.cs.toronto.edu/~kriz/cifar.html and https://cs.stanford.edu/~acoates/stl10 describe them."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import ImageSource
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.recipe.data import ArraysData
from vae_pipeline.system.errors import DataError

SHAPE = (3, 2, 2)
LENGTH = 1 + 12
CLASSES = ("plane", "car", "bird")
IMAGES = np.random.default_rng(0).integers(0, 256, (30, *SHAPE), np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 3
RECORDS = np.concatenate([LABELS[:, None], IMAGES.reshape(30, 12)], 1).tobytes()
FILES = {
    "cifar/data_batch_2.bin": RECORDS[8 * LENGTH : 20 * LENGTH],
    "cifar/batches.meta.txt": b"plane\ncar\nbird\n",
    "cifar/data_batch_1.bin": RECORDS[: 8 * LENGTH],
    "cifar/test_batch.bin": RECORDS[20 * LENGTH :],
}


def tar(files: dict[str, bytes], mode: Any = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(path: Path, content: bytes | dict[str, bytes]) -> Path:
    for name, each in content.items() if isinstance(content, dict) else [("", content)]:
        file = path / name if name else path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each)
    return path


def part(path: Path, key: str | None, length: int = LENGTH, skip: int = 1, labels: Any = 0) -> dict[str, Any]:
    images = {"path": str(path), "key": key, "records": {"bytes": length, "skip": skip}}
    return {"images": images, "labels": {"byte": labels} if isinstance(labels, int) else labels}


def opened(train: dict[str, Any], test: Any = 0.2, **changes: Any) -> ImageSource:
    section = {"kind": "arrays", "shape": SHAPE, "range": (0, 255), "valid": 0.1, "train": train, "test": test}
    found = open_source(ArraysData.model_validate(section | changes), Finder(Path("nowhere")), seed=0)
    assert isinstance(found, ImageSource)
    return found


def held(given: Any) -> tuple[Any, Any]:
    return given.rows[np.arange(len(given.rows))], given.labels


@pytest.mark.parametrize("content", [tar(FILES), tar(FILES, "w"), zipped(FILES), FILES], ids=["tgz", "tar", "zip", ""])
def test_files_that_match_follow_each_other_by_name(tmp_path: Path, content: bytes | dict[str, bytes]) -> None:
    path = saved(tmp_path / "cifar-binary", content)
    source = opened(part(path, "data_batch_*.bin"), part(path, "cifar/test_batch.bin"), classes=CLASSES)
    for found, wanted in ((source.train, slice(20)), (source.test, slice(20, 30))):
        np.testing.assert_array_equal(held(found)[0], IMAGES[wanted])
        np.testing.assert_array_equal(held(found)[1], LABELS[wanted])
    assert (source.classes, source.dtype) == (CLASSES, "uint8")
    assert list(source.origins) == [str(path)]


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_of_two_label_bytes(tmp_path: Path, squeezed: bool) -> None:
    rows = np.concatenate([LABELS[:, None], 7 * LABELS[:, None], IMAGES.reshape(30, 12)], 1).tobytes()
    path = saved(tmp_path / "train.bin", gzip.compress(rows) if squeezed else rows)
    source = opened(part(path, None, LENGTH + 1, 2, 1))
    np.testing.assert_array_equal(held(source.train)[0], IMAGES)
    assert source.classes == ("0", "7", "14")
    np.testing.assert_array_equal(held(source.train)[1], LABELS)


def test_labels_in_a_file_of_their_own_and_images_column_by_column(tmp_path: Path) -> None:
    numbered = np.stack([np.arange(30, dtype=np.uint8), LABELS + 1], 1)
    files = {"stl/train_X.bin": IMAGES.transpose(0, 1, 3, 2).tobytes(), "stl/train_y.bin": numbered.tobytes()}
    path = saved(tmp_path / "stl.tar.gz", tar(files))
    labels = {"path": str(path), "key": "train_y.bin", "records": {"bytes": 2, "skip": 1}}
    source = opened(part(path, "train_X.bin", 12, 0, labels), flat="columns", classes=CLASSES)
    np.testing.assert_array_equal(held(source.train)[0], IMAGES)
    np.testing.assert_array_equal(held(source.train)[1], LABELS)


@pytest.mark.parametrize(
    ("content", "key", "said"),
    [
        (tar(FILES), None, "cifar/data_batch_2.bin, cifar/test_batch.bin: a key is wanted"),
        (tar(FILES), "train*.bin", "cifar/test_batch.bin: none matches 'train*.bin'"),
        (tar(FILES), "*.txt", "cifar/batches.meta.txt holds 15 bytes, which aren't whole records of 13: it is"),
        (tar({"a.bin": RECORDS[:-1]}), None, "a.bin holds 389 bytes, which aren't whole records of 13"),
        (tar({"a.bin": b""}), None, "a.bin holds 0 bytes, which aren't whole records of 13"),
        (tar({"../a.bin": RECORDS}), None, "leads outside the archive: it is refused"),
        (tar(FILES)[:-40], "data_batch_*.bin", "is a truncated or corrupt archive"),
        (gzip.compress(RECORDS)[:-40], None, "is a truncated or corrupt .gz"),
        (tar(FILES, "w")[:1500], "data_batch_*.bin", "is a truncated or corrupt archive"),
        (RECORDS, "data_batch_*.bin", "is no folder or archive, so it has no key 'data_batch_*.bin': leave key out"),
        (RECORDS[:-5], None, "holds 385 bytes, which aren't whole records of 13: it is cut short, or "),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)  # fmt: skip
def test_files_that_arent_whole_records(tmp_path: Path, content: bytes, key: str | None, said: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(part(saved(tmp_path / "x", content), key))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_of_another_shape(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.bin", RECORDS)
    with pytest.raises(DataError, match=r"holds examples of shape \[12\], but data\.shape says \[3, 4, 4\]"):
        opened(part(path, None), shape=(3, 4, 4))
    with pytest.raises(DataError, match="isn't there"):
        opened(part(tmp_path / "none", None))


def test_as_many_names_as_labels(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.bin", RECORDS)
    with pytest.raises(DataError, match="classes has 2 names, but the labels are 3 different ones, from 0 to 2"):
        opened(part(path, None), classes=("plane", "car"))


@pytest.mark.parametrize(
    ("train", "changes", "said"),
    [
        (part(Path("x"), None, 13, 13), {}, "skip 13 leaves nothing of a record of 13 bytes"),
        (part(Path("x"), ""), {}, "at least 1 character"),
        (part(Path("x"), None, labels=1), {}, r"labels\.byte 1 lies beyond .* \(1 bytes, .* a skip of 2 or more"),
        ({"images": {"path": "x"}, "labels": {"byte": 0}}, {}, r"labels\.byte 0 lies beyond .*: set images\.records"),
        (part(Path("x"), None, labels=None), {"classes": CLASSES}, r"train\.labels is null: leave classes out"),
        (part(Path("x"), None), {"classes": ("car", "car")}, "classes has a name twice"),
    ],
)
def test_sections_that_cant_be(train: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        opened(train, **changes)
