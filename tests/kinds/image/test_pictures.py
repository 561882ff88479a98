from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae_pipeline.kinds.image.pictures import save_gif, save_sheet, tile, to_image, to_pixels

Array = npt.NDArray[Any]
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


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
def test_a_saved_sheet_is_read_back_and_shows_the_page_between_pictures(tmp_path: Path, pixels: Array) -> None:
    path = tmp_path / "deep" / "a.png"
    save_sheet(path, np.stack([pixels, pixels]), 2)
    with Image.open(path) as sheet:
        drawn = np.asarray(sheet.convert("RGBA"))
    _, height, width = pixels.shape
    opaque = np.zeros(drawn.shape[:2], bool)
    opaque[2 : 2 + height, 2 : 2 + width] = opaque[2 : 2 + height, 4 + width : 4 + 2 * width] = True
    np.testing.assert_array_equal(drawn[..., 3], 255 * opaque)
    np.testing.assert_array_equal(
        drawn[2 : 2 + height, 2 : 2 + width, :3], np.broadcast_to(pixels.transpose(1, 2, 0), (height, width, 3))
    )


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
