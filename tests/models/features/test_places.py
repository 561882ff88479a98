"""Where in an image what is found of features lies."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vae_pipeline.models.features.gradient import LogGradient
from vae_pipeline.models.features.hog import Hog
from vae_pipeline.models.features.places import parts
from vae_pipeline.models.heat import FeatureHeatMap, HeatMap


@pytest.mark.parametrize("place", [(0, 0), (1, 2)])
@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_the_heat_of_a_feature_lies_in_its_cell_and_is_kept(place, offset):
    """A block of 2 x 2 cells holds each of them, in rows, with 9 directions."""
    view = Hog((3, 24, 33), 255.0, 8, 2, 9)
    found = torch.zeros(1, *view.shape)
    found[0, 9 * offset + 4, *place] = 6.0
    heat = FeatureHeatMap(view, (3, 24, 33))(found).numpy()
    down, right = place[0] + offset // 2, place[1] + offset % 2
    box = np.zeros((24, 33))
    box[8 * down : 8 * down + 8, 8 * right : 8 * right + 8] = 6 / 64
    np.testing.assert_allclose(heat[0], np.repeat(gaussian_filter(box, 4)[None] / 3, 3, axis=0), atol=1e-6)
    assert heat.sum() == pytest.approx(6, rel=1e-4)


def test_of_pixels_a_heat_map_is_that_of_images():
    view, found = LogGradient((1, 40, 30), 1.0, 1), torch.rand(2, 1, 40, 30)
    torch.testing.assert_close(FeatureHeatMap(view, (1, 40, 30))(found), HeatMap(40, 30)(found))


def test_parts_of_a_side_may_share_a_pixel():
    assert parts(5, 2) == [(0.0, 2.5), (2.5, 5.0)]
