"""Denoisers: their answers in closed form."""

import math

import pytest
import torch
from torch import nn

from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.intervals import Intervals
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE

HALF = Intervals(torch.tensor([0.01, 1.0]).log(), torch.tensor([0.005, 0.5]).log())


class _Same(nn.Module):
    def forward(self, x, label):
        return x.flatten(1)


class _Scaled(nn.Module):
    def forward(self, features):
        return DiagonalGaussian(features, torch.full_like(features, math.log(0.04)))


class _Image(nn.Module):
    def forward(self, z):
        return z.view(-1, 1, 1, 2, 2)


def denoiser(supervised, scale=0.3, draws=4096):
    """q(z|x) = N(x, 0.2²) and p(x|z) = N(z, scale²): the mean of z is x, and its deviation 0.2."""
    likelihood = GaussianLikelihood((1, 2, 2), scale)
    model = VAE(Scaling(-10, 10), _Same(), _Scaled(), StandardNormalPrior(4), _Image(), likelihood).eval()
    return Denoiser(model, torch.randn(draws, 4, generator=torch.Generator().manual_seed(0)), supervised)


def test_the_answer_is_the_posteriors_mean_and_its_deviation_that_of_draws_and_likelihood():
    x = torch.full((2, 1, 2, 2), 2.0)
    for supervised, deviation in ((True, math.hypot(0.2, 0.3)), (False, 0.2)):
        made = denoiser(supervised)
        mean, found = made.estimate(x)
        assert mean.numpy() == pytest.approx(0.6, abs=0.01) and found.numpy() == pytest.approx(deviation, rel=0.05)
        made.intervals = HALF
        clean, low, high = made(x)
        assert torch.allclose(clean, 20 * mean - 10) and torch.allclose(high - low, 20 * found, rtol=1e-5)


def test_without_noise_the_answer_is_decoded_from_the_posteriors_mean():
    x, made = torch.tensor([[[[-3.0, 0.0], [4.0, 9.0]]]]), denoiser(True)
    made.noise = torch.zeros(1, 4)
    mean, deviation = made.estimate(x)
    assert torch.allclose(20 * mean - 10, x, atol=1e-5) and torch.allclose(deviation, torch.full_like(x, 0.3))


def test_answers_and_intervals_stay_within_the_range_of_the_data():
    clean, low, high = denoiser(True)(torch.full((1, 1, 2, 2), 25.0))
    assert (clean == 10).all() and (high == 10).all() and (low < 10).all()
