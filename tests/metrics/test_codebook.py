"""Figures of a model whose latents are codes: finite, counted, and of a point that has no variance."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from tests.contracts.test_models import batch
from tests.models.test_codes import of_codes

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.aggregate import aggregate
from vae_pipeline.metrics.codebook import codebook_use
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.metrics.latent_map import LEAST, latent_map
from vae_pipeline.metrics.latents import latents
from vae_pipeline.metrics.usage import usage
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.system.errors import DataError

CPU = torch.device("cpu")
MAP = LatentMapEntry(3, 2, 9, 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 5, (5, 8, 2))


@pytest.fixture(scope="module")
def model():
    return of_codes().eval()


@pytest.fixture(scope="module")
def shown():
    """Twelve images, of which four are there twice."""
    x = batch((1, 8, 8), 12)[0].numpy()
    return Split(np.concatenate([x, x[:4]]), None)


def test_information_is_the_entropy_of_the_maps(model, shown):
    """I(x; z) = H(z) where z follows from x: of twelve maps, four of which are as likely again."""
    found = latents(model, shown, CPU)
    _, counts = np.unique(found.mean, axis=0, return_counts=True)
    assert sorted(counts) == [1] * 8 + [2] * 4
    wanted = entropy(counts)
    assert aggregate(model, shown, 0, CPU).mutual_information == pytest.approx(wanted, abs=1e-5)
    used = usage(model, shown, 0, CPU)
    assert used.mutual_information == pytest.approx(wanted, abs=1e-5)
    assert used.posterior_variance is None and used.active_units == found.active_units > 0
    assert used.codebook_use == codebook_use(model, found.mean).share
    places = math.prod(model.latent_shape[1:])
    np.testing.assert_allclose(found.rate, np.log(np.repeat([5, 8, 2], places)), rtol=1e-6)


def test_every_draw_is_the_same_and_so_is_every_bound(model, shown):
    bound = importance_bound(model, shown, 50, 0, CPU)
    np.testing.assert_allclose(bound.bounds[1], bound.bounds[50], rtol=1e-5)
    np.testing.assert_allclose(bound.effective_sample_size, 50, rtol=1e-4)


def test_a_detector_of_codes_has_finite_scores(model, shown):
    section = DetectionSection(score="rank_ensemble", draws=2, collected=None)
    scores, _ = calibrated(model, section, shown, shown, CPU).scores(torch.from_numpy(shown.x))
    assert all(value.isfinite().all() for value in scores.values())
    torch.testing.assert_close(scores["importance_bound"], scores["negative_elbo"], rtol=1e-4, atol=1e-3)


def test_a_channel_whose_codes_are_all_the_same_has_a_scale(shown):
    model = of_codes()
    with torch.no_grad():
        model.posterior.numbers.weight[1] = 0
    told = latent_map(model, shown, 0, CPU)
    assert told["levels"] == [5, 8, 2] and told["deviation"][1] == LEAST and min(told["deviation"]) > 0
    LatentMapEntry(**{**told, **{name: tuple(told[name]) for name in ("mean", "deviation", "levels")}})


def test_codes_are_numbered_as_numpy_does_the_first_channel_first():
    level = np.stack([np.random.default_rng(0).integers(0, count, (4, 6, 7)) for count in MAP.levels], 1)
    codes = (level - np.array([2, 4, 1])[:, None, None]) / np.array([2, 4, 1])[:, None, None]
    numbers = MAP.indices(codes.astype(np.float32))
    np.testing.assert_array_equal(numbers, np.ravel_multi_index(tuple(level.swapaxes(0, 1)), MAP.levels, order="F"))
    np.testing.assert_array_equal(MAP.codes(numbers), codes.astype(np.float32))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: MAP.indices(np.full((3, 2, 2), 0.3)), "no codes were given"),
        (lambda: MAP.indices(np.full((3, 2, 2), 1.0)), "no codes were given"),
        (lambda: MAP.indices(np.zeros((2, 2, 2))), r"shape \[2, 2, 2\] were given; wanted \[..., 3, rows, columns\]"),
        (lambda: MAP.codes(np.array([[80]])), "from 0 to 79; others were given"),
        (lambda: MAP.codes(np.array([[0.0]])), "from 0 to 79; others were given"),
        (lambda: LatentMapEntry(1, 2, 9, 4, (0.0,), (1.0,), 5).codes(np.array([[0]])), "is not of codes"),
    ],
)
def test_what_is_no_code_is_refused(ask, said):
    with pytest.raises(DataError, match=said):
        ask()


@pytest.mark.parametrize("levels", [(5, 8), (5, 8, 1), (2**12, 2**12, 2)])
def test_levels_that_can_not_be(levels):
    with pytest.raises(ValueError, match="levels are"):
        LatentMapEntry(3, 2, 9, 4, MAP.mean, MAP.deviation, 5, levels)
