import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import auc, roc_auc_score

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.heat_maps import LIMIT, aupro, highest, off_neighbours, off_plane, pixel_auroc, smoothed
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
    assert aupro(heat, np.zeros((2, 4, 4), np.uint8)) is None
    assert aupro(heat, np.ones((2, 4, 4), np.uint8)) is None


@pytest.mark.parametrize(("steps", "gain"), [(None, 0), (None, 0.4), (30, 0.3), (4, 0.5)])
def test_aupro_is_the_area_under_the_overlap_at_each_threshold(steps, gain):
    """By every threshold and every region in turn, with scikit-learn's trapezoids; heat in few steps has many ties."""
    draw = np.random.default_rng(0)
    masks = (draw.random((4, 12, 9)) < 0.1).astype(np.uint8)
    masks[0] = 0
    heat = draw.random(masks.shape) + gain * masks
    heat = heat if steps is None else np.floor(heat * steps)
    regions = []
    for image, mask in enumerate(masks):
        numbered, count = label(mask, [[1, 1, 1]] * 3)
        regions += [(image, numbered == number) for number in range(1, count + 1)]
    false, overlap = [0.0], [0.0]
    for threshold in np.unique(heat)[::-1]:
        hot = heat >= threshold
        false.append(hot[masks == 0].mean())
        overlap.append(np.mean([hot[image][region].mean() for image, region in regions]))
    end = np.interp(LIMIT, false, overlap)
    within = [place for place, rate in enumerate(false) if rate < LIMIT]
    wanted = auc([*np.take(false, within), LIMIT], [*np.take(overlap, within), end]) / LIMIT
    assert aupro(heat, masks) == pytest.approx(wanted)


def test_aupro_counts_a_small_region_as_much_as_a_large_one():
    masks = np.zeros((1, 20, 20), np.uint8)
    masks[0, :10, :10], masks[0, 15, 15] = 1, 1
    assert aupro(masks.astype(float), masks) == 1
    assert aupro(np.where(masks, 0, -1.0) + (np.arange(20) < 10) * masks, masks) == 1
    heat = np.random.default_rng(0).random((1, 20, 20))
    heat[0, :10, :10], heat[0, 15, 15] = 2, -1  # one of two regions is found, the other by no threshold
    assert aupro(heat, masks) == pytest.approx(0.5)
