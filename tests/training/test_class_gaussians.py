"""The sampler that tells classes apart."""

import numpy as np
import pytest
import torch

from vae_pipeline.models.samplers import ClassesSampler, skeleton
from vae_pipeline.training.class_gaussians import class_gaussians

CENTRES = np.array([[4.0, 0.0], [-4.0, 1.0], [9.0, 9.0]])
COVARIANCES = np.array([[[1.0, 0.8], [0.8, 1.0]], [[0.25, 0.0], [0.0, 4.0]], [[0.01, 0.0], [0.0, 0.01]]])
EXAMPLES = (3000, 2000, 1, 0)


@pytest.fixture(scope="module")
def draws():
    """Two classes of many examples, then one of few and one of none."""
    draw = np.random.default_rng(0)
    many = [draw.multivariate_normal(*of, 5000) for of in zip(CENTRES, COVARIANCES, strict=True)]
    return [*many, np.zeros((0, 2))]


def drawn(sampler, label, count=40_000):
    noise = torch.randn(count, sampler.noise, generator=torch.Generator().manual_seed(label))
    return sampler(noise, torch.full((count,), label)).numpy()


def test_each_class_has_the_moments_of_its_share_of_the_aggregate_posterior(draws):
    sampler = class_gaussians(draws, EXAMPLES)
    for label in (0, 1):
        z = drawn(sampler, label)
        np.testing.assert_allclose(z.mean(0), draws[label].mean(0), atol=0.05)
        np.testing.assert_allclose(np.cov(z.T), np.cov(draws[label].T), rtol=0.03, atol=0.05)


def test_of_one_example_it_keeps_the_place_and_takes_the_extent_of_all_classes(draws):
    """Its own covariance counts by a third, as there are two latents."""
    z = drawn(class_gaussians(draws, EXAMPLES), 2)
    within = np.average(COVARIANCES[:2], axis=0, weights=EXAMPLES[:2])
    np.testing.assert_allclose(z.mean(0), CENTRES[2], atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), 2 / 3 * within + 1 / 3 * COVARIANCES[2], atol=0.1)


def test_a_class_without_examples_is_drawn_as_all_together(draws):
    z, together = drawn(class_gaussians(draws, EXAMPLES), 3), np.concatenate(draws)
    np.testing.assert_allclose(z.mean(0), together.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(z.T), np.cov(together.T), rtol=0.05, atol=0.05)


def test_one_latent_has_a_variance(draws):
    z = drawn(class_gaussians([some[:, :1] for some in draws], EXAMPLES), 1)
    np.testing.assert_allclose((z.mean(), z.var()), (-4.0, 0.25), atol=0.02)


def test_it_is_found_again_by_the_names_of_its_weights(draws):
    fitted = class_gaussians(draws, EXAMPLES)
    again = skeleton(fitted.state_dict())
    assert isinstance(again, ClassesSampler)
    again.load_state_dict(fitted.state_dict())
    np.testing.assert_array_equal(drawn(again, 1, 10), drawn(fitted, 1, 10))
