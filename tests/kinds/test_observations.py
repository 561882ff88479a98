import dataclasses
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vae_pipeline.kinds.input_files import read_array
from vae_pipeline.kinds.observations import read_observations
from vae_pipeline.kinds.spec import Column, ImageSpec, TableSpec
from vae_pipeline.system.errors import DataError

SPEC = ImageSpec((1, 2, 3), "float32", 0, 1, False)
BYTES = ImageSpec((1, 2, 3), "uint8", 0, 255, False)
COLOUR = ImageSpec((3, 2, 3), "float32", -1, 1, False)
GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)


def saved(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def saved_picture(path: Path, pixels: Any = GREY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("shape", "count"), [((4, 1, 2, 3), 4), ((4, 2, 3), 4), ((4, 6), 4), ((1, 2, 3), 1), ((2, 3), 1), ((6,), 1)]
)
def test_layouts_of_an_array(tmp_path: Path, shape: tuple[int, ...], count: int) -> None:
    array = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(shape)
    found = read_observations([saved(tmp_path / "x.npy", array)], SPEC, None, "none")
    assert found.shape == (count, 1, 2, 3)
    np.testing.assert_array_equal(found.ravel(), array.ravel())


@pytest.mark.parametrize("shape", [(), (4, 3, 2), (4, 2, 3, 1), (0,)])
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(DataError, match=r"x\.npy holds an array of shape .*; wanted \[examples, 1, 2, 3\]"):
        read_observations([path], SPEC, None, "none")


def test_missing_channel_of_a_colour_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted \[examples, 3, 2, 3\]"):
        read_observations([saved(tmp_path / "x.npy", np.zeros((4, 2, 3)))], COLOUR, None, "none")


def test_pictures_are_mapped_to_the_range_of_the_data(tmp_path: Path) -> None:
    path = saved_picture(tmp_path / "a.png")
    unit = read_observations([path], SPEC, None, "none")
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit[0, 0], GREY / 255)
    np.testing.assert_array_equal(read_observations([path], BYTES, None, "none")[0, 0], GREY)
    both = read_observations([path], COLOUR, None, "none")
    np.testing.assert_allclose(both[0], np.stack([GREY / 127.5 - 1] * 3), atol=1e-7)
    sixteen = read_observations([path], ImageSpec((1, 2, 3), "uint8", 0, 16, False), None, "none")
    assert sixteen[0, 0].tolist() == [[0, 3, 6], [10, 13, 16]]


def test_files_and_folders_come_in_the_order_given(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    saved_picture(folder / "b.PNG", GREY)
    saved_picture(folder / "a" / "c.png", 255 - GREY)
    saved_picture(folder / ".thumbnails" / "d.png", GREY * 0)
    (folder / "notes.txt").write_text("no picture")
    (folder / "e.png").mkdir()
    array = saved(tmp_path / "x.npy", np.full((1, 2, 3), 7, np.uint8))
    found = read_observations([array, folder], BYTES, None, "none")
    np.testing.assert_array_equal(found[:, 0], [np.full((2, 3), 7), 255 - GREY, GREY])


@pytest.mark.parametrize("pack", [zipfile.ZipFile, tarfile.open])
def test_archives_are_read_as_training_reads_them(tmp_path: Path, pack: Any) -> None:
    saved_picture(tmp_path / "x.png", 255 - GREY)
    path = tmp_path / "pictures"
    with pack(path, "w") as archive:
        for name in ("a\\0.png", "b\\1.png", "__MACOSX/._0.png"):
            (archive.write if pack is zipfile.ZipFile else archive.add)(tmp_path / "x.png", name)
    found = read_observations([path, tmp_path / "x.png"], BYTES, None, "none")
    np.testing.assert_array_equal(found[:, 0], [255 - GREY] * 3)


def test_folders_are_read_through_links_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    saved_picture(tmp_path / "elsewhere" / "x.png", GREY)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "linked").symlink_to(tmp_path / "elsewhere")
    assert len(read_observations([tmp_path / "p"], BYTES, None, "none")) == 1
    (tmp_path / "p" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"gone\.png is a link that leads nowhere"):
        read_observations([tmp_path / "p"], BYTES, None, "none")


def test_deep_greys_are_spread_as_those_of_training(tmp_path: Path) -> None:
    path = saved_picture(tmp_path / "a.png", GREY.astype(np.uint16))
    spec = dataclasses.replace(BYTES, levels=(0, 256))
    np.testing.assert_array_equal(read_observations([path], spec, None, "none")[0, 0], GREY)
    assert read_observations([path], BYTES, None, "none").max() == 0  # by all of 16 bits, as of older bundles


@pytest.mark.parametrize("content", [b"RIFF$\0\0\0WAVEfmt ", b"fLaC\0", b"ID3\4", b"%PDF-1.7", b"\x80\x04\x95"])
def test_files_of_other_kinds_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.wav isn't an array .*, a picture .* or an archive of pictures"):
        read_observations([tmp_path / "x.wav"], SPEC, None, "none")


def test_a_folder_for_a_model_of_a_table(tmp_path: Path) -> None:
    spec = TableSpec((Column("a", "number", False, ((0, 0), (1, 1))),), (), ())
    with pytest.raises(DataError, match=r"is a folder: a table .* is wanted"):
        read_observations([tmp_path], spec, None, "none")


def test_nothing_given() -> None:
    with pytest.raises(DataError, match=r"no input was given: name arrays"):
        read_observations([], SPEC, None, "none")


def test_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"holds no pictures \(\.png, \.jpg, .*\); it holds 1 other files: \(\.txt\)"):
        read_observations([tmp_path], SPEC, None, "none")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.png", "x.csv"])
def test_absent_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}.*(isn't there|no such file)"):
        read_observations([tmp_path / name], SPEC, None, "none")


def test_folder_instead_of_an_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can't read .*: is a directory"):
        read_array(tmp_path)


def test_picture_for_a_model_of_two_channels(tmp_path: Path) -> None:
    path = saved_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="this model takes 2 channels"):
        read_observations([path], ImageSpec((2, 2, 3), "uint8", 0, 255, False), None, "none")


def test_picture_of_another_size(tmp_path: Path) -> None:
    path = saved_picture(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(DataError, match=r"a\.png is 6x4 pixels, but 3x2"):
        read_observations([path], SPEC, None, "none")
    assert read_observations([path], SPEC, None, "crop").shape == (1, 1, 2, 3)


def test_truncated_picture(tmp_path: Path) -> None:
    path = saved_picture(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"a\.png is a truncated or corrupt picture"):
        read_observations([path], SPEC, None, "none")


def test_npz_needs_a_key_where_it_holds_several(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, one=np.ones(6), two=np.full(6, 2.0))
    for key, lacking in ((None, ""), ("three", ", and no three")):
        with pytest.raises(DataError, match=rf"x\.npz holds the arrays one, two{lacking}: say which with --key"):
            read_array(path, key)
    np.testing.assert_array_equal(read_array(path, "two"), np.full(6, 2.0))
    np.savez_compressed(path, only=np.arange(6))
    np.testing.assert_array_equal(read_array(path), np.arange(6))


def test_truncated_npy(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.npy", np.arange(100.0)).read_bytes()
    for length in (0, 3, 20, 128, len(whole) - 1):
        (tmp_path / "x.npy").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"x\.npy isn't a whole \.npy or \.npz of numbers"):
            read_array(tmp_path / "x.npy")


def test_truncated_or_corrupt_npz(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(100.0))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[300] ^= 0xFF
    for content in (whole[:10], whole[: len(whole) // 2], whole[:-1], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npz isn't a whole"):
            read_array(path)


def test_npz_with_an_unknown_compression(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(4))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz isn't a whole \.npz"):
        read_array(path)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", np.array([{"a": 1}], object))
    with pytest.raises(DataError, match="isn't a whole"):
        read_array(path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(DataError, match="isn't a whole"):
        read_array(tmp_path / "x.npz")
