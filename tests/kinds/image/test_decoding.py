"""Pictures of any format, mode and depth, and those that are damaged in their pixels or beside them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vae_pipeline.kinds.image.decoding import read_mask, read_picture, wide_levels
from vae_pipeline.system.errors import CorruptFileError, DataError

Array = npt.NDArray[Any]
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def read_grey(picture: Image.Image, kind: str = "PNG", **options: Any) -> Array:
    return read_picture(encoded(picture, kind, **options), "a.png", (1, picture.height, picture.width), "none")


def read_colour(picture: Image.Image, kind: str = "PNG", **options: Any) -> Array:
    return read_picture(encoded(picture, kind, **options), "a.png", (3, picture.height, picture.width), "none")


def test_grey_png() -> None:
    np.testing.assert_array_equal(read_grey(Image.fromarray(GREY)), GREY[None])
    np.testing.assert_array_equal(read_colour(Image.fromarray(GREY)), np.stack([GREY] * 3))


def test_colour_png() -> None:
    picture = Image.fromarray(COLOUR)
    np.testing.assert_array_equal(read_colour(picture), COLOUR.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_grey(picture), np.asarray(picture.convert("L"))[None])


def test_black_and_white_png() -> None:
    picture = Image.fromarray(GREY > 100)
    assert picture.mode == "1"
    np.testing.assert_array_equal(read_grey(picture)[0], np.where(GREY > 100, 255, 0))


def test_palette_png() -> None:
    picture = Image.fromarray(COLOUR).quantize(16)
    assert picture.mode == "P"
    np.testing.assert_array_equal(read_colour(picture), np.asarray(picture.convert("RGB")).transpose(2, 0, 1))


@pytest.mark.parametrize("shift", [0, 37])
def test_16_bit_png_keeps_its_upper_bits(shift: int) -> None:
    picture = Image.fromarray(GREY.astype(np.uint16) * 256 + shift)
    assert picture.mode == "I;16"
    np.testing.assert_array_equal(read_grey(picture), GREY[None])
    np.testing.assert_array_equal(read_colour(picture), np.stack([GREY] * 3))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_parts_are_white(mode: str) -> None:
    picture = Image.fromarray(COLOUR).convert(mode)
    opaque = np.asarray(picture.convert("RGB"))
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:3] = 0
    picture.putalpha(Image.fromarray(alpha))
    wanted = np.where(alpha[..., None] == 0, 255, opaque).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_colour(picture), wanted)


def test_half_transparent_is_half_white() -> None:
    picture = Image.new("RGBA", (1, 1), (0, 100, 200, 128))
    found = read_colour(picture).ravel().astype(int)
    assert abs(found - np.array([127, 177, 227])).max() <= 1


def test_transparent_colour_of_a_palette() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    found = read_colour(picture, transparency=0)
    assert found[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize(("mode", "clear"), [("1", 255), ("L", 3), ("RGB", (1, 2, 3))])
def test_transparent_colour_without_a_palette(mode: str, clear: Any) -> None:
    picture = Image.new(mode, (2, 1), 0)
    picture.putpixel((0, 0), clear)
    found = read_colour(picture, transparency=clear)
    assert found[:, 0].T.tolist() == [[255, 255, 255], [0, 0, 0]]


def test_cmyk_jpeg() -> None:
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = read_colour(picture, "JPEG", quality=100).mean(axis=(1, 2))
    assert found[0] > 245
    assert max(found[1:]) < 10


@pytest.mark.parametrize(("turned", "orientation"), [(1, 6), (2, 3), (3, 8)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation_of_the_camera_is_applied(turned: int, orientation: int, kind: str) -> None:
    upright = np.kron(np.array([[0, 80, 160], [240, 40, 200]], np.uint8), np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x112] = orientation
    content = encoded(Image.fromarray(np.rot90(upright, turned)), kind, exif=exif)
    found = read_picture(content, "a.jpg", (1, *upright.shape), "none")
    np.testing.assert_allclose(found[0].astype(int), upright, atol=3)


def test_mixed_size_says_what_to_do() -> None:
    with pytest.raises(DataError) as caught:
        read_picture(encoded(Image.fromarray(GREY)), "cats/a.png", (1, 4, 5), "none")
    text = str(caught.value)
    assert text.startswith("cats/a.png is 8x6 pixels, but 5x4 (width x height) are wanted: set resize to")
    assert all(word in text for word in ("stretch", "crop", "pad", "pictures of that size"))


# A picture twice as wide as high; black, white, black from left to right.
BANDS = np.repeat(np.array([0, 0, 255, 255, 255, 255, 0, 0], np.uint8), 4)[None].repeat(16, axis=0)


def test_stretch_keeps_all_and_fills_all() -> None:
    found = read_picture(encoded(Image.fromarray(BANDS)), "a", (1, 16, 16), "stretch")[0]
    assert found[:, :3].max() < 20
    assert found[:, 6:10].min() > 235
    assert found[:, 13:].max() < 20


def test_crop_keeps_the_middle() -> None:
    found = read_picture(encoded(Image.fromarray(BANDS)), "a", (1, 16, 16), "crop")
    assert found.shape == (1, 16, 16)
    assert found.min() == 255


def test_pad_keeps_all_between_black_edges() -> None:
    found = read_picture(encoded(Image.fromarray(BANDS)), "a", (1, 16, 16), "pad")[0]
    assert found[:4].max() == 0
    assert found[12:].max() == 0
    assert found[5:11, 6:10].min() > 235
    assert found[:, :3].max() < 20


@pytest.mark.parametrize("resize", ["none", "stretch", "crop", "pad"])
def test_resize_leaves_pictures_of_the_right_size(resize: Any) -> None:
    found = read_picture(encoded(Image.fromarray(GREY)), "a", (1, 6, 8), resize)
    np.testing.assert_array_equal(found[0], GREY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_picture(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    for length in (0, 1, 8, len(content) // 4, len(content) // 2, len(content) * 3 // 4):
        with pytest.raises(CorruptFileError, match="cats/a is a truncated or corrupt picture"):
            read_picture(content[:length], "cats/a", (3, 32, 32), "none")


def test_corrupt_png() -> None:
    content = bytearray(encoded(Image.fromarray(COLOUR)))
    content[content.index(b"IDAT") + 10] ^= 0xFF
    with pytest.raises(CorruptFileError, match="truncated or corrupt picture"):
        read_picture(bytes(content), "a", (3, 6, 8), "none")


def test_a_file_that_is_no_picture() -> None:
    with pytest.raises(CorruptFileError, match="or none of PNG, JPEG, TIFF, WEBP, BMP, GIF, PPM"):
        read_picture(b"RIFF$\0\0\0WAVEfmt ", "a.png", (1, 6, 8), "none")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("PPM", {}),
        ("WEBP", {"lossless": True}), ("GIF", {}),
    ],
)  # fmt: skip
def test_formats_that_lose_nothing(kind: str, options: Any) -> None:
    np.testing.assert_array_equal(read_grey(Image.fromarray(GREY), kind=kind, **options), GREY[None])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP"])
def test_films_are_refused(kind: str) -> None:
    frames = [Image.fromarray(GREY // part) for part in (1, 2, 3)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    for read in (read_picture, read_mask):
        with pytest.raises(DataError, match="a holds 3 frames, where one is wanted"):
            read(content, "a", (1, 6, 8) if read is read_picture else (6, 8), "none")  # type: ignore[operator]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG of GREY with one more chunk after its head."""
    png = encoded(Image.fromarray(GREY))
    return png[:33] + chunk(kind, content) + png[33:]


@pytest.mark.parametrize(
    "content",
    [
        with_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"a" * (2 << 20))),
        with_chunk(b"eXIf", b"garbage!!"),
        with_chunk(b"iCCP", b"profile\0\0no zlib"),
        with_chunk(b"tEXt", b"a" * 100).replace(b"a" * 100, b"b" * 100),  # its checksum is another's
        with_chunk(b"vpAg", b"")[:-12] + chunk(b"IEND", b"") + b"what follows the end",
    ],
    ids=["a large text", "Exif", "colour profile", "checksum", "behind the end"],
)
def test_damaged_metadata_leave_the_pixels(content: bytes) -> None:
    np.testing.assert_array_equal(read_picture(content, "a", (1, 6, 8), "none"), GREY[None])


def test_damaged_exif_of_a_jpeg() -> None:
    picture = Image.fromarray(np.full((16, 16), 90, np.uint8))
    content = encoded(picture, "JPEG", exif=b"Exif\0\0garbage")
    np.testing.assert_allclose(read_picture(content, "a", (1, 16, 16), "none"), 90, atol=1)


def test_an_interlaced_png() -> None:
    """Its pixels come in seven passes; one of 8x8 has each pass in it."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    parts = [pixels[top::down, left::right] for top, left, down, right in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(read_picture(content, "a", (1, 8, 8), "none")[0], pixels)


def test_too_many_pixels() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(DataError, match="a has over 178 million pixels: shrink it, or cut it into tiles") as caught:
        read_picture(content, "a", (1, 8, 8), "stretch")
    assert not isinstance(caught.value, CorruptFileError)  # which a recipe may drop


DEEP = np.arange(48).reshape(6, 8)


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        (DEEP.astype(np.uint16), "PNG", (0, 48)),
        (DEEP.astype(np.uint16) * 87, "TIFF", (0, 47 * 87 + 1)),
        (DEEP.astype(np.int32) - 1000, "TIFF", (-1000, -952)),
        (DEEP.astype(np.float32) / 47, "TIFF", (0, 1)),
        (np.full((6, 8), 0.5, np.float32), "TIFF", (0.5, 1.5)),
    ],
    ids=["16 bits", "12 bits", "under 0", "floats", "constant"],
)
def test_greys_of_over_8_bits_are_spread_from_their_levels(values: Array, kind: str, levels: Any) -> None:
    content = encoded(Image.fromarray(values), kind)
    assert wide_levels(content, "a") == pytest.approx(levels)
    found = read_picture(content, "a", (1, 6, 8), "none", levels)[0]
    place = (values.astype(float) - levels[0]) / (levels[1] - levels[0])
    np.testing.assert_allclose(found, (place * 256).clip(0, 255), atol=1.001)


def test_of_8_bits_there_are_no_levels() -> None:
    assert wide_levels(encoded(Image.fromarray(GREY)), "a") is None
    assert wide_levels(encoded(Image.fromarray(COLOUR), "TIFF"), "a") is None


def test_a_picture_of_nan_is_refused() -> None:
    content = encoded(Image.fromarray(np.full((6, 8), np.nan, np.float32)), "TIFF")
    with pytest.raises(DataError, match="a holds NaN or infinity"):
        read_picture(content, "a", (1, 6, 8), "none")


DEFECT = np.zeros((6, 8), np.uint8)
DEFECT[2:4, 1:5] = 1
NONE = DEFECT * 0


def palette(colours: list[int]) -> Image.Image:
    picture = Image.fromarray(DEFECT)
    picture.putpalette(colours)
    return picture


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(DEFECT),
        Image.fromarray(DEFECT > 0),
        Image.fromarray(DEFECT.astype(np.uint16)),
        Image.fromarray(DEFECT.astype(np.float32) / 9),
        Image.fromarray(np.dstack([DEFECT, NONE, NONE])),  # so dark a red that its grey is 0
        Image.fromarray(np.dstack([DEFECT * 255, DEFECT * 255])),
        Image.fromarray(np.dstack([DEFECT * 255, NONE, NONE, DEFECT * 255])),
        Image.fromarray(np.dstack([DEFECT * 255, NONE, NONE, NONE + 255])),
        Image.fromarray(np.dstack([NONE, NONE, NONE, DEFECT * 255])),  # painted in black
        palette([0, 0, 0, 128, 0, 0]),
        palette([0, 0, 0, 0, 0, 0]),
    ],
    ids=[
        "1",
        "bits",
        "16 bits",
        "floats",
        "dark red",
        "LA",
        "RGBA",
        "opaque RGBA",
        "black paint",
        "palette",
        "indices",
    ],
)
def test_a_mask_is_what_is_neither_black_nor_transparent(mask: Image.Image) -> None:
    content = encoded(mask, "TIFF" if mask.mode == "F" else "PNG")
    np.testing.assert_array_equal(read_mask(content, "a", (6, 8), "none"), DEFECT)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("full", [False, True])
def test_an_empty_mask_and_a_full_one(mode: str, full: bool) -> None:
    grey = Image.fromarray(NONE + (255 if full else 0))
    mask = Image.fromarray(NONE.astype(np.uint16) + full) if mode == "I;16" else grey.convert(mode)
    assert (read_mask(encoded(mask), "a", (6, 8), "none") == full).all()
