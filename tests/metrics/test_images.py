import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, laplace
from scipy.special import digamma
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics import images
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood
from vae_pipeline.models.posteriors import GaussianPosterior
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE


@pytest.fixture
def pair():
    draw = np.random.default_rng(0)
    first = draw.random((4, 3, 16, 20))
    return first, np.clip(first + 0.1 * draw.standard_normal(first.shape), 0, 1)


def test_ssim_is_scikit_images(pair):
    ours = images.structural_similarity(*pair)
    for index, (first, second) in enumerate(zip(*pair, strict=True)):
        wanted = structural_similarity(
            first, second, channel_axis=0, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ours[index] == pytest.approx(wanted, abs=1e-12)


def test_ssim_of_small_images():
    draw = np.random.default_rng(0)
    first = draw.random((2, 1, 8, 8))
    assert images.structural_similarity(first, first) == pytest.approx(1)
    assert (images.structural_similarity(first, draw.random((2, 1, 8, 8))) < 0.5).all()


def test_psnr_is_scikit_images(pair):
    for first, second in zip(*pair, strict=True):
        mse = np.array([((first - second) ** 2).mean()])
        assert images.psnr(mse)[0] == pytest.approx(peak_signal_noise_ratio(first, second, data_range=1))


def test_a_perfect_image_is_finite():
    assert images.psnr(np.zeros(1)) == pytest.approx(100)


def test_the_entropy_floor_is_scipys():
    x = np.random.default_rng(0).integers(0, 256, (10, 1, 4, 4)).astype(np.uint8)
    p = x.reshape(10, -1) / 255
    wanted = entropy(np.stack([p, 1 - p])).sum(axis=1).mean()
    assert images.entropy_floor(Split(x, None), 0, 255) == pytest.approx(wanted)


def test_the_entropy_floor_of_binary_data_is_zero():
    x = np.random.default_rng(0).integers(0, 2, (10, 1, 4, 4)).astype(np.uint8)
    assert images.entropy_floor(Split(x, None), 0, 1) == 0


@pytest.mark.parametrize("shape", [(4, 3, 16, 20), (2, 1, 1, 5), (2, 1, 2, 2)])
def test_the_laplacian_is_scipys(shape):
    x = np.random.default_rng(0).random(shape)
    wanted = [np.stack([laplace(channel, mode="nearest") for channel in image]).var() for image in x]
    np.testing.assert_allclose(images.laplacian_variance(x), wanted)


def test_blur_takes_edges_away():
    x = np.random.default_rng(0).random((3, 1, 20, 20))
    assert (images.laplacian_variance(gaussian_filter(x, (0, 0, 1, 1))) < 0.1 * images.laplacian_variance(x)).all()
    assert images.laplacian_variance(np.full((1, 1, 5, 5), 0.3)) == pytest.approx(0)


class Logits(torch.nn.Module):
    """Clipped to (0, 1) and back to logits: what is decoded is z itself."""

    def forward(self, z):
        return z.clamp(1e-6, 1 - 1e-6).logit().reshape(-1, 1, 1, 4, 4)


class Flat(torch.nn.Module):
    def forward(self, x, label):
        return x.flatten(1)


def test_reconstructions_that_are_the_image_with_noise():
    """An encoder that copies and adds noise of scale 0.05: the mean is perfect, a draw is off by just that."""
    posterior = GaussianPosterior(16, 16)
    with torch.no_grad():
        posterior.mean.weight.copy_(torch.eye(16))
        posterior.log_variance.weight.zero_()
        posterior.log_variance.bias.fill_(2 * np.log(0.05))
    model = VAE(Scaling(0, 1), Flat(), posterior, StandardNormalPrior(16), Logits(), BernoulliLikelihood(3))
    x = np.random.default_rng(0).uniform(0.3, 0.7, (3000, 1, 4, 4)).astype(np.float32)
    found = images.fidelity(model, Split(x, None), 0, torch.device("cpu"))
    assert found.psnr > 90
    assert found.mse_of_sample == pytest.approx(0.05**2, rel=0.02)
    bent = digamma(8) + np.log(2 / 16)  # E[log] of a mean of 16 squares
    assert found.psnr_of_sample == pytest.approx(-10 * (2 * np.log10(0.05) + bent / np.log(10)), abs=0.1)
    assert found.sharpness == pytest.approx(1, abs=1e-4)
    assert found == images.fidelity(model, Split(x, None), 0, torch.device("cpu"))
    flat = images.fidelity(model, Split(np.full((2, 1, 4, 4), 0.5, np.float32), None), 0, torch.device("cpu"))
    assert flat.sharpness is None
