import numpy as np
import torch
from torch import nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.latents import latents
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood
from vae_pipeline.models.posteriors import GaussianPosterior
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE


class Flat(nn.Module):
    def forward(self, x, label):
        return x.flatten(1)


def test_only_dimensions_that_follow_x_are_active():
    posterior = GaussianPosterior(4, 3)
    with torch.no_grad():
        posterior.mean.weight.zero_()
        posterior.mean.weight[0, 0] = 3.0  # follows x
        posterior.mean.weight[1, 1] = 0.1  # hardly
        posterior.log_variance.weight.zero_()
        posterior.log_variance.bias.copy_(torch.tensor([-2.0, 0.0, 0.0]))
    model = VAE(Scaling(0, 1), Flat(), posterior, StandardNormalPrior(3), nn.Identity(), BernoulliLikelihood(3))
    x = np.random.default_rng(0).random((2000, 1, 2, 2)).astype(np.float32)
    found = latents(model, Split(x, None), torch.device("cpu"))
    first = x.reshape(2000, 4)[:, 0].astype(float)
    np.testing.assert_allclose(found.variance_of_means[0], 9 * first.var(), rtol=1e-5)
    assert found.active_units == 1
    np.testing.assert_allclose(found.rate[0], 0.5 * (9 * (first**2).mean() + np.exp(-2) - 1 + 2), rtol=1e-4)
    assert found.rate[2] == 0
