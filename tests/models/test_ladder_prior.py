"""A ladder whose topmost level has a learned prior, beside scipy's densities and its own draws."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.build import build
from vae_pipeline.recipe.model import Ladder

PRIORS = {"mixture": {"kind": "mixture", "components": 4}, "vamp": {"kind": "vamp", "components": 4}}


def made(kind):
    model = {
        "kind": "ladder",
        "levels": [
            {"stride": 4, "channels": 8, "latents": 3, "blocks": 1},
            {"stride": 2, "channels": 4, "latents": 1, "blocks": 1, "repeat": 2},
        ],
        "activation": "silu",
        "residual": True,
        "prior": PRIORS[kind],
        "likelihood": {"kind": "bernoulli"},
        "conditional": False,
    }
    torch.manual_seed(0)
    model = build(Ladder.model_validate(model), ImageSpec((1, 8, 8), "uint8", 0, 255, False, ()))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


X = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", PRIORS)
@torch.no_grad()
def test_the_density_is_that_of_the_mixture_and_of_the_normal_rest(kind):
    model = made(kind)
    prior = model.prior()
    z = 2 * torch.randn(20, model.latents)
    top, first = prior.top, model.levels[0]
    weights, means, variances = (
        values.double().numpy() for values in (top.log_weight, top.means, top.log_variances.exp())
    )
    parts = [
        weight + multivariate_normal(mean, np.diag(variance)).logpdf(z[:, :first].numpy())
        for weight, mean, variance in zip(weights, means, variances, strict=True)
    ]
    rest = multivariate_normal(np.zeros(model.latents - first)).logpdf(z[:, first:].numpy())
    np.testing.assert_allclose(prior.log_prob(z).numpy(), logsumexp(parts, axis=0) + rest, rtol=1e-5, atol=1e-4)
    frozen = model.frozen().prior()
    torch.testing.assert_close(frozen.log_prob(z), prior.log_prob(z))


@pytest.mark.parametrize("kind", PRIORS)
@torch.no_grad()
def test_draws_from_noise_have_the_priors_moments(kind):
    model = made(kind)
    z = model.draw(torch.randn(40_000, model.noise, generator=torch.Generator().manual_seed(2)))
    prior = model.prior()
    assert model.noise == model.latents + 1  # the first number chooses the component
    torch.testing.assert_close(z.mean(0), prior.mean, atol=0.05, rtol=0.02)
    torch.testing.assert_close(z.var(0), prior.variance, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("kind", PRIORS)
def test_the_rate_is_estimated_at_the_top_alone(kind):
    model = made(kind)
    inference = model(X, samples=4000)
    with torch.no_grad():
        whole = inference.draw.log_q() - inference.prior.log_prob(inference.z)
        rate, levels = inference.rate(), inference.level_rates()
        differences = rate - whole
        assert (differences.mean(0).abs() < 4 * differences.std(0) / len(rate) ** 0.5).all()
        torch.testing.assert_close(levels.sum(-1), rate)
        torch.testing.assert_close(inference.rates().sum(-1), rate)
        torch.testing.assert_close(inference.log_weight(), -whole - inference.distortion())
        assert levels.shape == (4000, 4, 3)
    inference = model(X)
    (inference.distortion() + inference.rate()).mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_of_a_single_component_the_rate_has_a_closed_form():
    """With one component of N(0, I) the estimate's mean is the closed form of the standard normal prior."""
    model = made("mixture")
    with torch.no_grad():
        model.latent_prior.top.means.zero_()
        model.latent_prior.top.log_variances.zero_()
        inference = model(X, samples=4000)
        q, first = inference.posterior, model.levels[0]
        exact = 0.5 * (q.mean.square() + q.variance - 1 - q.log_variance)[..., :first].sum(-1)
        estimate = inference.level_rates()[..., 0]
        differences = estimate - exact
    assert (differences.mean(0).abs() < 4 * differences.std(0) / len(estimate) ** 0.5).all()
