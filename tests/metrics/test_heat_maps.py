import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.heat_maps import highest, off_neighbours, off_plane, pixel_auroc, smoothed
from vae_pipeline.models.heat import PART

SPEC = ImageSpec((1, 12, 9), "uint8", 0, 255, False)


def patterned(count, seed):
    """Images of two patterns in any mixture, and a little noise."""
    draw = np.random.default_rng(seed)
    down, right = np.mgrid[0:12, 0:9]
    weights = draw.uniform(0, 100, (count, 2))
    images = weights[:, :1, None] * (down / 11) + weights[:, 1:, None] * (right / 8)
    return (images + draw.normal(0, 2, images.shape)).clip(0, 255).round().astype(np.uint8)[:, None]


@pytest.fixture(scope="module")
def spotted():
    """Test images, the latter half of which have a spot of 3 x 3 pixels."""
    images, masks = patterned(40, 1), np.zeros((40, 12, 9), np.uint8)
    for index in range(20, 40):
        down, right = index % 9, index % 6
        masks[index, down : down + 3, right : right + 3] = 1
    images = np.where(masks[:, None] == 1, 255 - images, images)
    return Split(images, np.repeat([0, 1], 20), masks)


@pytest.mark.parametrize("detector", [
    lambda train: off_plane(train, SPEC, 2, 0),
    lambda train: off_neighbours(train, SPEC, 0),
])  # fmt: skip
def test_the_baselines_find_a_spot_and_where_it_is(detector, spotted):
    found = detector(Split(patterned(300, 0), None))(spotted)
    assert found.shape == (40, 1, 12, 9) and (found >= 0).all()
    heat = smoothed(found[:, 0])
    assert roc_auc_score(spotted.labels, highest(heat)) > 0.99
    assert pixel_auroc(heat, spotted.masks) > 0.95


def test_pca_gives_back_what_lies_on_its_plane():
    train = Split(patterned(50, 0), None)
    whole = off_plane(train, SPEC, 1000, 0)(train)
    assert whole.max() < 1e-6 < off_plane(train, SPEC, 1, 0)(train).max()


def test_the_score_is_of_the_hottest_part():
    heat = np.zeros((2, 10, 10))
    heat[1, 0, :5] = [5, 4, 3, 2, 1]
    assert round(PART * 100) == 4
    assert highest(heat).tolist() == [0, 3.5]


def test_without_a_defect_no_pixel_is_told_from_another():
    heat = np.random.default_rng(0).random((2, 4, 4))
    assert pixel_auroc(heat, np.zeros((2, 4, 4), np.uint8)) is None
    assert pixel_auroc(heat, np.ones((2, 4, 4), np.uint8)) is None
