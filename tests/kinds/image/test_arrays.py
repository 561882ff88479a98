import gzip
import io
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.arrays import read_array
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.spec import ImageSpec, within
from vae_pipeline.kinds.splitting import split
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import ArrayFile, ArrayPart, ArraysData, Runs
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
# The type codes of http://yann.lecun.com/exdb/mnist (big-endian).
CODES = {">u1": 0x08, ">i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 1, 3, 4)


def idx(array: Array) -> bytes:
    code = CODES[array.dtype.newbyteorder(">").str.replace("|", ">")]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: Array) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def amat(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.savetxt(buffer, array, fmt="%g")
    return buffer.getvalue()


def saved(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def part(images: Path, labels: Path | None = None, key: str | None = None) -> ArrayPart:
    found = None if labels is None else ArrayFile(path=str(labels))
    return ArrayPart(images=ArrayFile(path=str(images), key=key), labels=found)


def opened(
    train: ArrayPart,
    shape: tuple[int, int, int] = (1, 3, 4),
    span: tuple[float, float] = (0, 255),
    test: Any = 0.2,
    valid: Any = 0.1,
    flat: Any = "rows",
) -> ImageSource:
    data = ArraysData(kind="arrays", shape=shape, range=span, flat=flat, train=train, valid=valid, test=test)
    return open_source(data, Finder(Path("nowhere")), seed=0)


def rows(source: ImageSource) -> Array:
    return source.train.rows[np.arange(len(source.train.rows))]


def refusal(path: Path, key: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_array(path, key)
    assert str(path) in str(caught.value)
    return str(caught.value)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_idx_round_trips_for_all_types(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(sorted(CODES)))).newbyteorder("=")
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)))
    with tempfile.TemporaryDirectory() as folder:
        found = read_array(saved(Path(folder) / "x", idx(array)), None)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("content", [npy(IMAGES), npz(x=IMAGES), idx(IMAGES), amat(IMAGES.reshape(5, 12))])
@pytest.mark.parametrize("zipped", [False, True])
def test_formats_are_told_apart_by_content(tmp_path: Path, content: bytes, zipped: bool) -> None:
    path = saved(tmp_path / "no-suffix", gzip.compress(content) if zipped else content)
    source = opened(part(path))
    assert source.dtype == "uint8"
    np.testing.assert_array_equal(rows(source), IMAGES)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (IMAGES[:, 0], (1, 3, 4)),
        (IMAGES, (1, 3, 4)),
        (IMAGES.transpose(0, 2, 3, 1), (1, 3, 4)),
        (IMAGES.reshape(5, 12), (1, 3, 4)),
        (IMAGES.reshape(5, 3, 2, 2), (3, 2, 2)),
        (IMAGES.reshape(5, 3, 2, 2).transpose(0, 2, 3, 1), (3, 2, 2)),
        (IMAGES.reshape(5, 12), (3, 2, 2)),
    ],
    ids=["NHW", "NCHW", "NHWC", "ND", "NCHW colour", "NHWC colour", "ND colour"],
)
def test_layouts_arrive_as_examples_channels_height_width(
    tmp_path: Path, array: Array, shape: tuple[int, int, int]
) -> None:
    found = rows(opened(part(saved(tmp_path / "x.npy", npy(array))), shape))
    np.testing.assert_array_equal(found, IMAGES.reshape(5, *shape))


def mat(zipped: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, arrays, do_compression=zipped)
    return buffer.getvalue()


COLOUR = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2), np.uint8)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("array", "flat", "wanted"),
    [
        # As MATLAB's reshape(x(:, i), 3, 4) wants them, and so Olivetti's faces: column by column.
        (np.stack([image[0].ravel(order="F") for image in IMAGES], axis=1), "columns", IMAGES),
        # As Frey's faces are, which MATLAB shows by reshape(x(:, i), 4, 3)'.
        (IMAGES.reshape(5, 12).T, "rows", IMAGES),
        (IMAGES[:, 0].transpose(1, 2, 0), "rows", IMAGES),
        (COLOUR.transpose(2, 3, 1, 0), "rows", COLOUR),
        (np.stack([image.transpose(1, 2, 0).ravel(order="F") for image in COLOUR], axis=1), "columns", COLOUR),
        (IMAGES.reshape(5, 12), "rows", IMAGES),
    ],
    ids=["flat columns", "flat rows", "HWN", "HWCN", "flat columns of colour", "examples first"],
)
def test_matlabs_layouts(tmp_path: Path, array: Array, flat: str, wanted: Array, zipped: bool) -> None:
    path = saved(tmp_path / "x.mat", mat(zipped, faces=array, people=np.arange(5)))
    assert isinstance(wanted.shape, tuple)
    given = ArrayPart(images=ArrayFile(path=str(path), key="faces"), labels=ArrayFile(path=str(path), key="people"))
    source = opened(given, wanted.shape[1:], flat=flat)
    np.testing.assert_array_equal(rows(source), wanted)
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "key", "said"),
    [
        (mat(a=IMAGES, b=IMAGES), None, "holds the arrays a, b: a key is wanted"),
        (mat(a=IMAGES), "faces", "holds the arrays a: there is no 'faces'"),
        (mat(a=["x", IMAGES]), "a", "holds no array of numbers at 'a': save it as one"),
        (mat(a={"b": IMAGES}), "a", "holds no array of numbers at 'a': save it as one"),
        (mat(a=IMAGES)[:-50], None, "is a truncated or corrupt .mat ("),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(90), None, "is a .mat of version 7.3, which is another"),
    ],
)
def test_mat_files_that_cant_be_read(tmp_path: Path, content: bytes, key: str | None, said: str) -> None:
    assert said in refusal(saved(tmp_path / "x.mat", content), key)


def test_images_that_follow_each_other_are_groups(tmp_path: Path) -> None:
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    film = ArrayFile(path=str(saved(tmp_path / "x.npy", npy(images))))
    source = opened(ArrayPart(images=film, labels=None, groups=Runs(run=8)), (1, 1, 1), valid=0.3, test=0.3)
    parts = [part.rows[np.arange(len(part.rows))].ravel() // 8 for part in split(source, 0).values()]
    assert sorted(place for part in parts for place in set(part)) == list(range(13))  # none in two parts


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 13), (5, 2, 3, 4), (5,), ()])
def test_other_layouts_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path / "x.npy", npy(np.zeros(shape)))
    with pytest.raises(DataError, match=r"x\.npy holds examples of shape .* but data\.shape says \[1, 3, 4\]"):
        opened(part(path))


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (IMAGES > 9, "uint8"),
        (IMAGES.astype(">i4"), "uint8"),
        (IMAGES.astype(np.int16) - 1, "float32"),
        (IMAGES.astype(np.int16) + 200, "float32"),
        (IMAGES / 255, "float32"),
    ],
)
def test_type_follows_the_values(tmp_path: Path, array: Array, dtype: str) -> None:
    source = opened(part(saved(tmp_path / "x.npy", npy(array))), span=(-1, 1000))
    assert source.dtype == dtype
    np.testing.assert_array_equal(rows(source), array.astype(dtype))


@pytest.mark.parametrize("array", [IMAGES.astype("U3"), IMAGES.astype(complex)])
def test_text_and_complex_numbers_are_refused(tmp_path: Path, array: Array) -> None:
    with pytest.raises(DataError, match=r"x\.npy holds values of type .*: real numbers are wanted"):
        opened(part(saved(tmp_path / "x.npy", npy(array))))


def test_npz_key(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npz", npz(one=IMAGES, two=255 - IMAGES))
    np.testing.assert_array_equal(rows(opened(part(path, key="two"))), 255 - IMAGES)
    assert refusal(path).endswith("holds the arrays one, two: a key is wanted")
    assert refusal(path, "three").endswith("holds the arrays one, two: there is no 'three'")


def test_key_of_what_isnt_an_npz(tmp_path: Path) -> None:
    assert "is no .npz or .mat, so it has no key 'one'" in refusal(saved(tmp_path / "x.npy", npy(IMAGES)), "one")


def test_truncated_gz(tmp_path: Path) -> None:
    content = gzip.compress(idx(IMAGES))
    for length in (2, 10, len(content) // 2, len(content) - 1):
        assert "truncated or corrupt .gz" in refusal(saved(tmp_path / "x.gz", content[:length]))


def test_corrupt_gz(tmp_path: Path) -> None:
    content = gzip.compress(idx(IMAGES))
    for place in (12, len(content) - 6):  # the deflated data, the checksum
        changed = bytearray(content)
        changed[place] ^= 0xFF
        assert "truncated or corrupt .gz" in refusal(saved(tmp_path / "x.gz", bytes(changed)))


def test_truncated_npz(tmp_path: Path) -> None:
    content = npz(x=IMAGES)
    for length in (2, 30, len(content) // 2, len(content) - 1):
        assert "truncated or corrupt .npz" in refusal(saved(tmp_path / "x.npz", content[:length]))


def test_corrupt_npz(tmp_path: Path) -> None:
    content = npz(x=IMAGES)
    directory = content.index(b"PK\x01\x02")
    for place, value in ((60, content[60] ^ 0xFF), (directory + 10, 99), (directory + 6, 99), (directory + 8, 1)):
        changed = bytearray(content)
        changed[place] = value
        assert "truncated or corrupt .npz" in refusal(saved(tmp_path / "x.npz", bytes(changed)))


def test_truncated_or_corrupt_npy(tmp_path: Path) -> None:
    content = npy(IMAGES)
    for length in (6, 9, 40, 128, len(content) - 1):
        assert "truncated or corrupt .npy" in refusal(saved(tmp_path / "x.npy", content[:length]))
    unbalanced = content.replace(b"}", b" ", 1)
    assert "truncated or corrupt .npy" in refusal(saved(tmp_path / "x.npy", unbalanced))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    assert "Python objects" in refusal(saved(tmp_path / "x.npy", npy(np.array([{"a": 1}], object))))


@pytest.mark.parametrize("surplus", [-1, 1, -60])
def test_wrong_length_of_idx(tmp_path: Path, surplus: int) -> None:
    content = idx(IMAGES)
    content = content + b"\0" * surplus if surplus > 0 else content[:surplus]
    text = refusal(saved(tmp_path / "x", content))
    assert f"of shape [5, 1, 3, 4], which needs 60 bytes, but {60 + surplus} follow the header" in text


@pytest.mark.parametrize("content", [b"\0\0\x08\0", b"\0\0\x08\x03\0\0\0\x05"])
def test_idx_header_cut_short(tmp_path: Path, content: bytes) -> None:
    assert "IDX file whose header is cut short" in refusal(saved(tmp_path / "x", content))


def test_idx_of_more_bytes_than_a_word_counts(tmp_path: Path) -> None:
    content = struct.pack(">BBBB4I", 0, 0, 8, 4, *[1 << 16] * 4)  # their product is 0 modulo 2^64
    assert "which needs 18446744073709551616 bytes, but 0 follow" in refusal(saved(tmp_path / "x", content))


@pytest.mark.parametrize("content", [b"", b"\n \n", b"# nothing\n"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    assert refusal(saved(tmp_path / "x.amat", content)).endswith("is empty")


@pytest.mark.parametrize("content", [b"1 2\n3\n", b"1 two\n", b"\xff\xd8\xff\xe0 picture", b"a,b\n1,2\n"])
def test_unknown_format(tmp_path: Path, content: bytes) -> None:
    assert "isn't IDX, .npy, .npz, .mat or .amat" in refusal(saved(tmp_path / "x", content))


def test_amat_holds_what_numpy_reads(tmp_path: Path) -> None:
    table = np.array([[0, 1, -2.5], [300, 1e-3, 7]])
    np.testing.assert_array_equal(read_array(saved(tmp_path / "x", amat(table)), None), table)


def test_absent_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npy isn't there .*: mend the path in the recipe"):
        opened(part(tmp_path / "absent.npy"))


@pytest.mark.parametrize("labels", [np.array([9, 3, 3, 7, 9]), np.array([[9], [3], [3], [7], [9]]), [9.0, 3, 3, 7, 9]])
def test_labels_are_numbered_and_named(tmp_path: Path, labels: Any) -> None:
    images, label_path = saved(tmp_path / "x", npy(IMAGES)), saved(tmp_path / "y", npy(np.asarray(labels)))
    source = opened(part(images, label_path))
    assert source.classes == ("3", "7", "9")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [2, 0, 0, 1, 2]


def test_texts_are_the_names_of_classes(tmp_path: Path) -> None:
    images, words = saved(tmp_path / "x", npy(IMAGES)), ["τρία", "ένα", "ένα", "dos two", "τρία"]
    source = opened(part(images, saved(tmp_path / "y", npy(np.array(words)))))
    assert source.train.labels is not None
    assert [source.classes[label] for label in source.train.labels] == words and len(source.classes) == 3


def test_label_of_one_image(tmp_path: Path) -> None:
    images, labels = saved(tmp_path / "x", npy(IMAGES[:1])), saved(tmp_path / "y", npy(np.array([4])))
    assert opened(part(images, labels)).classes == ("4",)


@pytest.mark.parametrize("labels", [np.arange(4), np.arange(6), np.zeros((5, 2)), np.array(3)])
def test_labels_of_another_length(tmp_path: Path, labels: Array) -> None:
    images, label_path = saved(tmp_path / "x", npy(IMAGES)), saved(tmp_path / "labels", npy(labels))
    with pytest.raises(DataError, match=r"labels holds labels of shape .*/x holds 5 images: one label an image"):
        opened(part(images, label_path))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 0.5], [0, 1, 2, 3, np.nan], [0, 1, 2, 3, np.inf], [b"a"] * 5])
def test_labels_that_arent_whole_numbers(tmp_path: Path, labels: Any) -> None:
    images, label_path = saved(tmp_path / "x", npy(IMAGES)), saved(tmp_path / "y", npy(np.array(labels)))
    with pytest.raises(DataError, match="y holds labels that are neither whole numbers nor texts"):
        opened(part(images, label_path))


def test_labels_for_some_parts_only(tmp_path: Path) -> None:
    images, labels = saved(tmp_path / "x", npy(IMAGES)), saved(tmp_path / "y", npy(np.arange(5)))
    with pytest.raises(DataError, match="some parts of the data have labels and some have none"):
        opened(part(images, labels), test=part(images))


def test_parts_of_their_own(tmp_path: Path) -> None:
    train, test = saved(tmp_path / "train" / "x", npy(IMAGES)), saved(tmp_path / "test" / "x", npy(IMAGES[:2] / 255))
    source = opened(part(train), test=part(test))
    assert isinstance(source.test, Part)
    assert (len(source.train.rows), len(source.test.rows), source.valid) == (5, 2, 0.1)
    assert source.dtype == "float32"
    assert set(source.origins) == {str(train), str(test)}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("encode", [npy, amat])
def test_nan_and_infinity_are_refused(tmp_path: Path, bad: float, encode: Any) -> None:
    array = np.zeros((40, 12))
    array[17, 3] = bad
    source = opened(part(saved(tmp_path / "x", encode(array))), span=(0, 1))
    with pytest.raises(DataError, match=r"1 of \d+ examples of the \w+ part hold NaN or infinity: clean them first"):
        write(source, tmp_path, seed=0)


@pytest.mark.parametrize("bad", [-0.5, 1.5])
def test_values_out_of_range_are_refused(tmp_path: Path, bad: float) -> None:
    array = np.full((40, 12), 0.5)
    array[17, 3] = bad
    source = opened(part(saved(tmp_path / "x", npy(array))), span=(0, 1))
    with pytest.raises(DataError) as caught:
        write(source, tmp_path, seed=0)
    assert f"{bad:g}" in str(caught.value)
    assert "but data.range says [0, 1]: set it to what can occur" in str(caught.value)


@pytest.mark.parametrize("bound", [0.1, 0.7, 1 / 3])
def test_values_at_the_bounds_are_in_range(tmp_path: Path, bound: float) -> None:
    array = np.full((40, 12), bound)
    array[:, 0] = -bound
    source = opened(part(saved(tmp_path / "x", npy(array))), span=(-bound, bound))
    write(source, tmp_path, seed=0)
    np.testing.assert_array_equal(np.unique(np.load(tmp_path / "train.npy")), np.float32([-bound, bound]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.7), (-0.1, 3.3), (1000.0, 1001.0)])
def test_a_rounding_past_a_bound_is_that_bound(low: float, high: float, dtype: Any) -> None:
    bounds = np.array([low, high], dtype)
    past = np.nextafter(bounds, np.array([-np.inf, np.inf], dtype))
    np.testing.assert_array_equal(within(past, low, high), bounds)
    spec = ImageSpec((1, 1, 2), "float32", low, high, binary=False)
    np.testing.assert_array_equal(checked(past.reshape(1, 1, 1, 2), spec).ravel(), bounds.astype(np.float32))
    for far in ([low, high + 1e-3], [low - 1e-3, high]):
        assert within(np.array(far, dtype), low, high) is None
        with pytest.raises(DataError, match=r"this model takes raw values in"):
            checked(np.array(far, dtype).reshape(1, 1, 1, 2), spec)


@pytest.mark.parametrize("encode", [npy, lambda array: npz(x=array)])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(3), r"holds examples of shape \[\]"),
        (np.array([{"a": 1}, None], object), "object|Object"),
        (np.zeros(3, "<U2"), "real numbers are wanted|holds examples of shape"),
        (np.zeros((3, 12), complex), "holds values of type complex128: real numbers are wanted"),
        (np.zeros((3, 12), "M8[D]"), "real numbers are wanted"),
    ],
    ids=["no axis", "objects", "texts", "complex", "dates"],
)
def test_arrays_that_hold_no_images(tmp_path: Path, encode: Any, array: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(part(saved(tmp_path / "x", encode(array))))


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">i8", "?", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_order_of_bytes_and_of_axes(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.asarray(IMAGES % 2 if dtype == "?" else IMAGES, dtype, order=order)
    np.testing.assert_array_equal(rows(opened(part(saved(tmp_path / "x", npy(array))))), array)
