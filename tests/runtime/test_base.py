"""The noise of which a sampler makes latents: by an inverse that errs, beside samplers that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from vae_pipeline.runtime.base import base
from vae_pipeline.system.errors import DataError

Z = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def graphs(inverse, made=lambda noise: 3 * noise + 1, sampler="flow_matching", noise=3, base=True, levels=None):
    def rows(name, inputs, labels):
        assert name == "base" and labels is None
        found = inverse(inputs["z"])
        return found, made(found)

    manifest = SimpleNamespace(sampler=sampler, latents=3, noise=noise, graphs={"base": None} if base else {})
    manifest.latent_map = None if levels is None else SimpleNamespace(levels=levels)
    return SimpleNamespace(manifest=manifest, rows=rows, folder="exports/some")


@pytest.mark.parametrize("error", [0.0, 0.05, 0.3])
def test_an_inverse_that_errs_is_corrected(error):
    found = base(graphs(lambda z: (1 + error * np.cos(z)) * (z - 1) / 3), Z)
    np.testing.assert_allclose(3 * found + 1, Z, atol=1e-3)


@pytest.mark.parametrize("levels", [None, ()])
def test_of_the_prior_the_latents_are_the_noise(levels):
    assert base(graphs(None, sampler="prior", base=False, levels=levels), Z) is Z


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (graphs(None, sampler="mixture", noise=4, base=False), "exports/some draws by the sampler mixture, which"),
        (graphs(None, sampler="prior", noise=4, base=False), "take another path, or train with sampler: flow or"),
        (graphs(None, sampler="prior", base=False, levels=(8, 5, 5)), "draws by the sampler prior, which doesn't lead"),
        (graphs(np.zeros_like), "what the sampler makes of its own inverse is .* from the latents that"),
    ],
)
def test_where_there_is_no_way_back(given, told):
    with pytest.raises(DataError, match=told):
        base(given, Z)
