import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae_pipeline.errors import DataError
from vae_pipeline.pictures import CorruptPictureError, read_picture, save_gif, save_png, tile, to_image, to_pixels

Array = npt.NDArray[Any]
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def read_grey(picture: Image.Image, **options: Any) -> Array:
    return read_picture(encoded(picture, **options), "a.png", (1, picture.height, picture.width), "none")


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
        with pytest.raises(CorruptPictureError, match="cats/a is a truncated or corrupt picture"):
            read_picture(content[:length], "cats/a", (3, 32, 32), "none")


def test_corrupt_png() -> None:
    content = bytearray(encoded(Image.fromarray(COLOUR)))
    content[content.index(b"IDAT") + 10] ^= 0xFF
    with pytest.raises(CorruptPictureError, match="truncated or corrupt picture"):
        read_picture(bytes(content), "a", (3, 6, 8), "none")


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(CorruptPictureError, match=r"a\.png is a truncated or corrupt picture"):
        read_picture(encoded(Image.fromarray(GREY), kind), "a.png", (1, 6, 8), "none")


floats = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    st.lists(floats, min_size=2, max_size=50), st.tuples(floats, floats).filter(lambda pair: pair[1] - pair[0] > 1e-6)
)
@settings(deadline=None)
def test_to_pixels_is_monotone_and_clips(values: list[float], bounds: tuple[float, float]) -> None:
    low, high = bounds
    ascending = np.sort(np.array(values))
    pixels = to_pixels(ascending, low, high)
    assert pixels.dtype == np.uint8
    assert (np.diff(pixels.astype(int)) >= 0).all()
    assert (pixels[ascending <= low] == 0).all()
    assert (pixels[ascending >= high] == 255).all()


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (-1, 1), (0, 16)])
def test_to_pixels_inverts_the_scaling(low: float, high: float) -> None:
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(low + pixels / 255 * (high - low), low, high), pixels)


def test_tile_places_each_picture() -> None:
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 3), np.uint8)
    sheet = tile(pixels, 3, gap=1)
    assert sheet.shape == (1, 7, 13)
    for index in range(5):
        top, left = 1 + index // 3 * 3, 1 + index % 3 * 4
        assert (sheet[0, top : top + 2, left : left + 3] == index).all()
    assert (sheet[0] == 255).sum() == sheet[0].size - 5 * 6


def test_tile_enlarges_by_whole_factors() -> None:
    picture = GREY[None, None]
    np.testing.assert_array_equal(tile(picture, 1, side=17, gap=0)[0], np.kron(GREY, np.ones((2, 2), np.uint8)))


def test_tile_parts_groups_of_rows() -> None:
    rows = tile(np.zeros((4, 1, 2, 2), np.uint8), 1, gap=1, group=2)[0].min(axis=1) == 255
    gaps = np.flatnonzero(rows).tolist()
    assert gaps == [0, 3, 6, 7, 8, 9, 10, 13, 16]


def test_image_of_two_channels_lies_side_by_side() -> None:
    found = np.asarray(to_image(np.stack([GREY, 255 - GREY])))
    np.testing.assert_array_equal(found, np.hstack([GREY, 255 - GREY]))


@pytest.mark.parametrize("pixels", [GREY[None], COLOUR.transpose(2, 0, 1)])
def test_saved_png_is_read_back(tmp_path: Path, pixels: Array) -> None:
    path = tmp_path / "deep" / "a.png"
    save_png(path, pixels)
    np.testing.assert_array_equal(read_picture(path.read_bytes(), "a", pixels.shape, "none"), pixels)


def test_saved_gif_holds_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    save_gif(path, [np.full((1, 4, 4), grey, np.uint8) for grey in (0, 120, 250)], frame_s=0.05)
    with Image.open(path) as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]
        assert film.info["duration"] == 50
        assert film.info["loop"] == 0
        for index, grey in enumerate((0, 120, 250)):
            film.seek(index)
            assert np.asarray(film.convert("L")).tolist() == [[grey] * 4] * 4
