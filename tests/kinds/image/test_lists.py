"""Attributes, parts and groups of pictures, by lists as CelebA's users have them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.observations import read_observations
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder

COUNT = 20
NAMES = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
PARTS = [0] * 12 + [1] * 4 + [2] * 4
SHOWN = np.random.default_rng(1).integers(0, 2, (COUNT, 3)).astype(bool)
ATTRIBUTES = ("Eyeglasses", "Male", "Smiling")


def jpeg(number: int, width: int = 178, height: int = 218) -> bytes:
    """A picture of CelebA's size, grey in its middle, as bright as its number, and white at its edges."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[35:-35, 15:-15] = 10 * number
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


PICTURES = {name: jpeg(number) for number, name in enumerate(NAMES)}


def lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def attribute_rows(names: list[str] = NAMES) -> list[str]:
    return [f"{name}  {'  '.join('1' if one else '-1' for one in row)}" for name, row in zip(names, SHOWN, strict=True)]


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout that CelebA's users have, of 20 pictures."""
    folder = tmp_path_factory.mktemp("celeba")
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for name, content in PICTURES.items():
            archive.writestr(f"img_align_celeba/{name}", content)
    (folder / "list_attr_celeba.txt").write_text(lines([str(COUNT), " ".join(ATTRIBUTES) + " ", *attribute_rows()]))
    rows = [f"{name} {part}" for name, part in zip(NAMES, PARTS, strict=True)]
    (folder / "list_eval_partition.txt").write_text(lines(rows))
    (folder / "identity_CelebA.txt").write_text(lines([f"{name} {index // 2}" for index, name in enumerate(NAMES)]))
    return folder


def opened(celeba: Path, **options: Any) -> ImageSource:
    plain = {
        "shape": (3, 64, 64),
        "resize": "stretch",
        "labels": "none",
        "corrupt": "fail",
        "crop": 140,
        "train": str(celeba / "img_align_celeba.zip"),
        "attributes": str(celeba / "list_attr_celeba.txt"),
        "split": {"kind": "listed", "file": str(celeba / "list_eval_partition.txt")},
    }
    data = FolderData.model_validate({"kind": "folder", **plain, **options})
    return open_source(data, Finder(Path("nowhere")), seed=0)


def refusal(celeba: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        opened(celeba, **options)
    return str(caught.value)


def altered(celeba: Path, folder: Path, old: str, new: str, name: str = "list_attr_celeba.txt") -> str:
    text = (celeba / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return str(folder / name)


def test_celeba_is_divided_by_its_own_list_and_brings_its_attributes(celeba: Path, tmp_path: Path) -> None:
    source = opened(celeba)
    with filled_folder(tmp_path / "out") as folder:
        write(source, folder, seed=0)
    data = Prepared.open(tmp_path / "out")
    assert (len(data.train), len(data.valid), len(data.test)) == (12, 4, 4)
    assert (data.spec.attributes, data.spec.crop, data.card["notes"]) == (ATTRIBUTES, 140, [])
    for number, part in enumerate((data.train, data.valid, data.test)):
        np.testing.assert_array_equal(part.attributes, SHOWN[np.array(PARTS) == number])
    brightness = np.concatenate([part.x[:].mean(axis=(1, 2, 3)) for part in (data.train, data.valid, data.test)])
    np.testing.assert_allclose(brightness, 10 * np.arange(COUNT), atol=1.5)  # the white edges are cut off
    # New pictures are cut alike; one of the model's own size isn't cut.
    (tmp_path / "face.jpg").write_bytes(PICTURES[NAMES[7]])
    Image.fromarray(data.test.x[0].transpose(1, 2, 0)).save(tmp_path / "small.png")
    face, small = read_observations([tmp_path / "face.jpg", tmp_path / "small.png"], data.spec, None, "stretch")
    np.testing.assert_array_equal(face, data.train.x[7])
    np.testing.assert_array_equal(small, data.test.x[0])


def test_a_folder_and_csv_files_say_the_same(celeba: Path, tmp_path: Path) -> None:
    for name, content in PICTURES.items():
        (tmp_path / "faces" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / "deep" / name).write_bytes(content)
    rows = [f"{name}," + ",".join(str(bool(one)) for one in row) for name, row in zip(NAMES, SHOWN, strict=True)]
    shown, parts = tmp_path / "attributes.csv", tmp_path / "parts.csv"
    shown.write_text(lines([f"image_id,{','.join(ATTRIBUTES)}", *reversed(rows)]))
    names = ["train", "valid", "test"]
    rows = [f"{names[part]},{name}" for name, part in zip(NAMES, PARTS, strict=True)]
    parts.write_text("\ufeff" + lines(["partition,image_id", *rows]))
    split = {"kind": "listed", "file": str(parts)}
    found = opened(celeba, train=str(tmp_path / "faces"), attributes=str(shown), split=split)
    wanted = opened(celeba)
    assert found.attributes == wanted.attributes
    for one, other in ((found.train, wanted.train), (found.valid, wanted.valid), (found.test, wanted.test)):
        assert isinstance(one, Part) and isinstance(other, Part)
        np.testing.assert_array_equal(one.attributes, other.attributes)
        np.testing.assert_array_equal(one.rows[np.arange(4)], other.rows[np.arange(4)])


def test_people_by_a_list_are_groups(celeba: Path, tmp_path: Path) -> None:
    split = {"size": "exact", "groups": {"file": str(celeba / "identity_CelebA.txt")}}
    source = opened(celeba, split=split, valid=0.2, test=0.2)
    assert source.groups["train"] == [str(index // 2) for index in range(COUNT)]
    with filled_folder(tmp_path / "out") as folder:
        write(source, folder, seed=0)
    data = Prepared.open(tmp_path / "out")
    people = [np.rint(part.x[:].mean(axis=(1, 2, 3)) / 20 - 0.25) for part in (data.train, data.valid, data.test)]
    assert sum(len(set(person)) for person in people) == COUNT // 2
    assert [len(part) for part in people] == [12, 4, 4]


def test_pictures_of_one_name_are_known_by_their_folders(celeba: Path, tmp_path: Path) -> None:
    for folder, number in (("a", 0), ("b", 1)):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        (tmp_path / "faces" / folder / "1.jpg").write_bytes(jpeg(number))
    (tmp_path / "shown.csv").write_text("file,smiling\nb/1.jpg,1\na/1.jpg,0\n")
    train, shown = str(tmp_path / "faces"), str(tmp_path / "shown.csv")
    source = opened(celeba, train=train, attributes=shown, split={}, valid=0.1, test=0.1)
    assert source.train.attributes is not None
    assert source.train.attributes.tolist() == [[False], [True]]


def test_a_list_may_hold_more_than_the_pictures_and_that_is_said(celeba: Path, tmp_path: Path) -> None:
    for name in (*NAMES[:2], *NAMES[12:14], *NAMES[16:18]):
        (tmp_path / name).write_bytes(PICTURES[name])
    source = opened(celeba, train=str(tmp_path))
    said = f"lists 14 pictures that {tmp_path} doesn't hold, the first 000003.jpg"
    assert [note.partition(" ")[2] for note in source.notes] == [said, said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("000003.jpg", "000033.jpg", "1 of 20 pictures of {place} aren't in {list}, the first 000003.jpg: add them"),
        ("000003.jpg", "000004.jpg", "{list} lists 1 pictures twice, the first 000004.jpg: leave one line of each"),
        ("  -1", "  2", "1 lines of {list} hold no 1, 0, -1, true or false, the first '0000"),
        ("  -1", "", "{list} holds the line '0000"),
        ("20\n", "21\n", "{list} says that it lists 21 pictures, and lists 20: fetch it again"),
        ("Male", "Smiling", "{list} gives two columns one name in the line 'Eyeglasses Smiling Smiling': rename one"),
        ("Male", "", "{list} holds the line 'Eyeglasses Smiling', which names no picture: mend it"),
        ("Eyeglasses Male Smiling", "", "{list} doesn't name its attributes: begin it with a line of their names"),
        ("000009.jpg", "nine", "{list} holds the line 'nine "),
    ],
)
def test_attributes_that_dont_fit(celeba: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    path = altered(celeba, tmp_path, old, new)
    text = refusal(celeba, attributes=path)
    assert text.startswith(said.format(list=path, place=celeba / "img_align_celeba.zip"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("000020.jpg 2", "000020.jpg 3", "1 lines of {list} hold no 0, 1 or 2 (train, valid or test), the first"),
        ("000020.jpg 2\n", "", "1 of 20 pictures of {place} aren't in {list}, the first 000020.jpg"),
    ],
)
def test_parts_that_dont_fit(celeba: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    path = altered(celeba, tmp_path, old, new, "list_eval_partition.txt")
    text = refusal(celeba, split={"kind": "listed", "file": path})
    assert text.startswith(said.format(list=path, place=celeba / "img_align_celeba.zip"))


def test_a_part_that_the_list_leaves_empty(celeba: Path, tmp_path: Path) -> None:
    for name in NAMES[:14]:
        (tmp_path / name).write_bytes(PICTURES[name])
    text = refusal(celeba, train=str(tmp_path))
    assert "has none of the 14 pictures of" in text
    assert "in its part test: give pictures of all parts, or valid and test as fractions" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't read {list}: no such file or directory"),
        (b"", "{list} lists no picture: a line is a picture's name (.png, "),
        (b"\xff\xfe", "{list} isn't a list of pictures in UTF-8 ("),
    ],
)
def test_lists_that_cant_be_read(celeba: Path, tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    assert refusal(celeba, attributes=str(path)).startswith(said.format(list=path))


def test_a_face_too_small_to_be_cut(celeba: Path, tmp_path: Path) -> None:
    for name, content in (PICTURES | {NAMES[4]: jpeg(1, 139, 218)}).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"000005.jpg is 139x218 pixels, too small for the 140x140 that are cut out of"):
        opened(celeba, train=str(tmp_path))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK"])
def test_a_face_of_another_mode_is_read_as_it_looks(celeba: Path, tmp_path: Path, mode: str) -> None:
    for name, content in PICTURES.items():
        (tmp_path / name).write_bytes(content)
    plain = Image.open(io.BytesIO(PICTURES[NAMES[0]])).point(lambda value: 255 if value > 127 else 0)
    plain.convert(mode).save(tmp_path / NAMES[0], "TIFF")
    face = opened(celeba, train=str(tmp_path)).train.rows[np.array([0])]
    assert face.shape == (1, 3, 64, 64)
    assert face.max() <= 2  # black, of whatever mode
