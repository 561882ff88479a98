"""Histograms of oriented gradients and the logarithm of the gradient, beside scikit-image and numpy."""

import numpy as np
import pytest
import torch
from skimage.feature import hog

from vae_pipeline.models.features.gradient import LogGradient
from vae_pipeline.models.features.hog import Hog
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.system.errors import RecipeError


def drawn(*shape, steps=256):
    """Whole numbers, of which a gradient's direction is exact; of few steps, most directions are between two parts."""
    return np.random.default_rng(0).integers(0, steps, shape) * (256 // steps)


@pytest.mark.parametrize(
    ("shape", "cell", "block", "orientations", "steps"),
    [((4, 1, 32, 48), 8, 2, 9, 256), ((4, 1, 33, 30), 7, 3, 8, 4), ((4, 3, 24, 24), 5, 1, 4, 4)],
)
def test_the_histograms_are_scikit_images(shape, cell, block, orientations, steps):
    images = drawn(*shape, steps=steps)
    view = Hog(shape[1:], 255.0, cell, block, orientations)
    found = view(torch.from_numpy(images.astype(np.uint8))).numpy()
    wanted = [
        hog(
            image.transpose(1, 2, 0).astype(float) if shape[1] > 1 else image[0].astype(float),
            orientations=orientations,
            pixels_per_cell=(cell, cell),
            cells_per_block=(block, block),
            channel_axis=-1 if shape[1] > 1 else None,
            feature_vector=False,
        )
        for image in images
    ]
    features, rows, columns = view.shape
    ordered = found.reshape(-1, block, block, orientations, rows, columns).transpose(0, 4, 5, 1, 2, 3)
    np.testing.assert_allclose(ordered, wanted, atol=2e-6)
    assert features == block * block * orientations


def test_a_flat_image_has_no_direction_and_brightness_none_either():
    view, image = Hog((1, 16, 16), 255.0, 4, 2, 9), torch.from_numpy(drawn(1, 1, 16, 16)).float()
    assert not view(torch.full((1, 1, 16, 16), 7.0)).any()
    torch.testing.assert_close(view(image / 4 + 100), view(image), atol=1e-4, rtol=0)


@pytest.mark.parametrize("cell", [1, 4])
def test_the_logarithm_of_the_gradient_is_that_of_its_mean_magnitude(cell):
    images = drawn(3, 2, 10, 13).astype(np.float64)
    found = LogGradient((2, 10, 13), 255.0, cell)(torch.from_numpy(images)).numpy()
    down, right = np.zeros_like(images), np.zeros_like(images)
    down[:, :, 1:-1] = 2 * np.gradient(images, axis=2)[:, :, 1:-1]
    right[..., 1:-1] = 2 * np.gradient(images, axis=3)[..., 1:-1]
    rows, columns = 10 // cell, 13 // cell
    magnitude = np.hypot(down, right)[:, :, : rows * cell, : columns * cell]
    means = magnitude.reshape(3, 2, rows, cell, columns, cell).mean(axis=(3, 5))
    np.testing.assert_allclose(found, np.log((means + 1) / 255), rtol=1e-4, atol=1e-5)


def test_features_are_standardised_by_place_and_channel():
    view = LogGradient((1, 12, 12), 255.0, 3)
    images = torch.from_numpy(drawn(50, 1, 12, 12))
    scaling = FeatureScaling(view)
    torch.testing.assert_close(scaling(images), view(images))
    scaling.begin(images.split(20))
    found = scaling(images)
    torch.testing.assert_close(found.mean(0), torch.zeros(1, 4, 4), atol=1e-5, rtol=0)
    assert found.square().mean().item() == pytest.approx(1, abs=1e-4)
    scaling.begin([images[:1].expand(5, -1, -1, -1)])  # they don't vary
    torch.testing.assert_close(scaling(images), view(images) - view(images[:1]))
    with pytest.raises(TypeError, match=r"features of shape .* can't be done"):
        scaling.inverse(found)


def test_a_channel_that_hardly_varies_is_not_blown_up():
    scaling = FeatureScaling(LogGradient((2, 8, 8), 255.0, 4))
    images = torch.from_numpy(drawn(20, 2, 8, 8)).float()
    images[:, 1] = images[:1, 1] * (1 + 1e-6 * torch.arange(20)[:, None, None])
    scaling.begin([images])
    assert scaling.unit[1] / scaling.unit[0] > 0.005


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hog((1, 12, 40), 1.0, 16, 1, 9), "cell is 16 pixels, and the images have a side of 12: set it to 12"),
        (
            lambda: Hog((1, 40, 40), 1.0, 16, 3, 9),
            r"block is 3 cells of 16 .* 40 x 40 pixels: set model.view.cell to 13",
        ),
        (lambda: LogGradient((3, 5, 4), 1.0, 5), "images have a side of 4"),
    ],
)
def test_images_without_room_for_a_cell_are_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()
