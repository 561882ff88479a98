import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from sklearn.metrics import roc_auc_score
from tests.contracts.test_models import LIKELIHOODS, MORE_LIKELIHOODS, make
from torch.distributions import Independent, Laplace, Normal

from vae_pipeline.data.store import Split
from vae_pipeline.metrics.heat_maps import (
    PART,
    deviance,
    highest,
    off_neighbours,
    off_plane,
    pixel_auroc,
    smoothed,
    unlikely,
)
from vae_pipeline.models.logistic import DiscretisedLogistic, LevelCategorical
from vae_pipeline.spec import ImageSpec

SPEC = ImageSpec((1, 12, 9), "uint8", 0, 255, False)


@pytest.mark.parametrize("likelihood", LIKELIHOODS | MORE_LIKELIHOODS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10)])
def test_every_likelihood_has_a_deviance_of_each_value(likelihood, shape):
    model = make("dense", "dense", likelihood, False, shape).eval()
    x = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    with torch.inference_mode():
        found = deviance(model.decode(model.encode(x).mean), model.scaling(x))
    assert found.shape == x.shape
    assert found.isfinite().all() and (found >= -1e-4).all() and (found > 1e-3).any()


@pytest.mark.parametrize(("family", "wanted"), [(Normal, lambda away: away**2 / 2), (Laplace, np.abs)])
def test_of_a_centre_and_a_scale_it_is_the_distance_alone(family, wanted):
    draw = np.random.default_rng(0)
    x, mean, scale = draw.random((3, 2, 1, 4, 5))
    likelihood = Independent(family(torch.from_numpy(mean), torch.from_numpy(scale)), 3)
    np.testing.assert_allclose(deviance(likelihood, torch.from_numpy(x)), wanted((x - mean) / scale))


def test_of_a_bernoulli_it_is_the_divergence():
    model = make("dense", "dense", "bernoulli", False, (1, 8, 8)).eval()
    x = torch.arange(256).reshape(4, 1, 8, 8).to(torch.uint8)
    with torch.inference_mode():
        likelihood = model.decode(model.encode(x).mean)
        found = deviance(likelihood, x / 255).numpy()
    p, q = x.numpy() / 255, likelihood.mean.double().numpy()
    np.testing.assert_allclose(found, rel_entr(p, q) + rel_entr(1 - p, 1 - q), atol=1e-5)


def test_of_a_discretised_logistic_its_location_costs_least():
    location = torch.linspace(0.1, 0.9, 9).reshape(1, 1, 1, 3, 3)
    likelihood = DiscretisedLogistic(torch.zeros_like(location), location, torch.full_like(location, -3.0), 256, 3)
    levels = torch.linspace(0, 1, 256)
    each = torch.stack([deviance(likelihood, level.expand(1, 1, 3, 3))[0, 0] for level in levels])
    assert (levels[each.argmin(0)] - location[0, 0, 0]).abs().max() < 0.5 / 255 + 1e-6
    assert each.amin(0).abs().max() < 1e-3


def test_of_levels_the_likeliest_costs_nothing():
    logits = torch.randn(2, 16, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    best = logits.argmax(1) / 15
    assert deviance(LevelCategorical(logits, 3), best).abs().max() < 1e-6


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
    assert found.shape == (40, 12, 9) and (found >= 0).all()
    heat = smoothed(found)
    assert roc_auc_score(spotted.labels, highest(heat)) > 0.99
    assert pixel_auroc(heat, spotted.masks) > 0.95


def test_pca_gives_back_what_lies_on_its_plane():
    train = Split(patterned(50, 0), None)
    whole = off_plane(train, SPEC, 1000, 0)(train)
    assert whole.max() < 1e-6 < off_plane(train, SPEC, 1, 0)(train).max()


def test_the_models_heat_sums_over_channels():
    model = make("dense", "dense", "gaussian_fixed", False, (3, 7, 10)).eval()
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 7, 10)).astype(np.uint8)
    heat = unlikely(model, torch.device("cpu"))(Split(images, None))
    with torch.inference_mode():
        mean = model.decode(model.encode(torch.from_numpy(images)).mean).mean.numpy()
    np.testing.assert_allclose(heat, ((images / 255 - mean) ** 2).sum(1) / (2 * 0.5**2), rtol=1e-3, atol=1e-5)


def test_the_score_is_of_the_hottest_part():
    heat = np.zeros((2, 10, 10))
    heat[1, 0, :5] = [5, 4, 3, 2, 1]
    assert round(PART * 100) == 4
    assert highest(heat).tolist() == [0, 3.5]


def test_without_a_defect_no_pixel_is_told_from_another():
    heat = np.random.default_rng(0).random((2, 4, 4))
    assert pixel_auroc(heat, np.zeros((2, 4, 4), np.uint8)) is None
    assert pixel_auroc(heat, np.ones((2, 4, 4), np.uint8)) is None
