"""The deviance of each pixel, and the heat maps and the score that are made of it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import rel_entr
from tests.contracts.test_models import LIKELIHOODS, MORE_LIKELIHOODS, make

from vae_pipeline.metrics.heat_maps import highest, smoothed
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.heat import WINDOW, HeatMap
from vae_pipeline.models.likelihoods.categorical import LevelCategorical
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.likelihoods.laplace import LaplaceLikelihood
from vae_pipeline.models.likelihoods.logistic import DiscretisedLogistic


@pytest.mark.parametrize("likelihood", LIKELIHOODS | MORE_LIKELIHOODS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10)])
def test_every_likelihood_has_a_deviance_of_each_value(likelihood, shape):
    model = make("dense", "dense", likelihood, False, shape).eval()
    x = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    with torch.inference_mode():
        mean, target = model.encode(x).mean, model.scaling(x)
        found = model.decode(mean).deviance_by_element(target)
        drawn = model.decode(torch.stack([mean, 2 * mean])).deviance_by_element(target)
    assert found.shape == x.shape
    torch.testing.assert_close(drawn[0], found)
    assert drawn.shape == (2, *x.shape) and not torch.equal(drawn[0], drawn[1])
    assert found.isfinite().all() and (found >= -1e-4).all() and (found > 1e-3).any()


@pytest.mark.parametrize(
    ("family", "wanted"), [(GaussianLikelihood, lambda away: away**2 / 2), (LaplaceLikelihood, np.abs)]
)
def test_of_a_centre_and_a_scale_it_is_the_distance_alone(family, wanted):
    draw = np.random.default_rng(0)
    x, mean, scale = draw.random((3, 2, 1, 4, 5))
    likelihood = family((1, 4, 5), 1.0).given(torch.from_numpy(mean), torch.from_numpy(scale))
    np.testing.assert_allclose(likelihood.deviance_by_element(torch.from_numpy(x)), wanted((x - mean) / scale))


def test_of_a_bernoulli_it_is_the_divergence():
    model = make("dense", "dense", "bernoulli", False, (1, 8, 8)).eval()
    x = torch.arange(256).reshape(4, 1, 8, 8).to(torch.uint8)
    with torch.inference_mode():
        likelihood = model.decode(model.encode(x).mean)
        found = likelihood.deviance_by_element(x / 255).numpy()
    p, q = x.numpy() / 255, likelihood.mean.double().numpy()
    np.testing.assert_allclose(found, rel_entr(p, q) + rel_entr(1 - p, 1 - q), atol=1e-5)


def test_of_a_discretised_logistic_its_location_costs_least():
    location = torch.linspace(0.1, 0.9, 9).reshape(1, 1, 1, 3, 3)
    likelihood = DiscretisedLogistic(torch.zeros_like(location), location, torch.full_like(location, -3.0), 256, 3)
    levels = torch.linspace(0, 1, 256)
    each = torch.stack([likelihood.deviance_by_element(level.expand(1, 1, 3, 3))[0, 0] for level in levels])
    assert (levels[each.argmin(0)] - location[0, 0, 0]).abs().max() < 0.5 / 255 + 1e-6
    assert each.amin(0).abs().max() < 1e-3


def test_of_levels_the_likeliest_costs_nothing():
    logits = torch.randn(2, 16, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    best = logits.argmax(1) / 15
    assert LevelCategorical(logits, 3).deviance_by_element(best).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(28, 28), (96, 60), (7, 11)])
@pytest.mark.parametrize("window", [WINDOW, 0.1])
def test_a_heat_map_is_smoothed_as_scipy_does(shape, window):
    found = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
    heat, width = HeatMap(*shape, window=window), window * min(shape)
    wanted = gaussian_filter(found, (0, width, width))
    np.testing.assert_allclose(heat(torch.from_numpy(found)), wanted, rtol=1e-4, atol=1e-6)


def test_the_hottest_part_is_as_large_as_it_is_said_to_be():
    heat = torch.arange(100.0).reshape(1, 1, 10, 10)
    assert HeatMap(10, 10, part=0.1).score(heat) == torch.arange(90.0, 100.0).mean()


def test_the_model_and_the_baselines_score_a_map_alike():
    found = np.random.default_rng(0).random((5, 3, 12, 9)).astype(np.float32)
    heat = HeatMap(12, 9)
    maps = heat(torch.from_numpy(found))
    np.testing.assert_allclose(heat.score(maps), highest(smoothed(found.sum(1))), rtol=1e-4)


def test_the_hottest_part_is_no_score_of_rows():
    with pytest.raises(ValueError, match="hottest_part is for images"):
        Detector(
            make("dense", "dense", "gaussian_fixed", False, (1, 8, 8)),
            "hottest_part",
            torch.zeros(1, 4),
            torch.zeros(2, 4),
            (4,),
        )


def test_a_detectors_contributions_are_its_heat_map():
    model = make("dense", "dense", "gaussian_fixed", False, (3, 7, 10)).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 7, 10)).astype(np.uint8))
    draw = torch.Generator().manual_seed(0)
    noise, means = torch.zeros(1, model.latents), torch.randn(50, model.latents, generator=draw)
    detector = Detector(model, "hottest_part", noise, means, (3, 7, 10)).eval()
    with torch.no_grad():
        scores, heat = detector.scores(images)
        detector.calibrate({kind: torch.cat([values, values + 1]) for kind, values in scores.items()}, heat.mean(0))
        found = detector(images)
        mean = model.decode(model.encode(images).mean).mean
    cost = (images / 255 - mean) ** 2 / (2 * 0.5**2)
    np.testing.assert_allclose(found.contributions, HeatMap(7, 10)(cost), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.score, HeatMap(7, 10).score(found.contributions))
