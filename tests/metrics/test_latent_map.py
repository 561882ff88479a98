"""The spread of a map's numbers, beside that of draws."""

import numpy as np
import torch
from tests.contracts.test_models import batch, make

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.latent_map import latent_map


def test_the_spread_is_that_of_draws():
    model = make("residual", "residual", "gaussian_learned", False, (3, 7, 10), "spatial_gaussian")
    with torch.no_grad():
        model.posterior.moments.bias.copy_(torch.tensor([0.0, 1.0, -2.0, 0.0, 1.0, -3.0]))
    x, _ = batch((3, 7, 10), 40)
    found = latent_map(model, Split(x.numpy(), None), 0, torch.device("cpu"))
    with torch.no_grad():
        z = model.eval().encode(x).drawn((2000,)).z.unflatten(-1, model.latent_shape)
    draws = z.movedim(-3, 0).flatten(1).double()
    np.testing.assert_allclose(found["mean"], draws.mean(1), atol=0.01)
    np.testing.assert_allclose(found["deviation"], draws.std(1), rtol=0.01)
    assert np.ptp(found["deviation"]) > 0.5
    assert (found["channels"], found["factor"], found["images"]) == (3, 2, 40)
    assert (found["encoder_radius"], found["decoder_radius"]) == (model.encoder.radius, model.decoder.radius)
