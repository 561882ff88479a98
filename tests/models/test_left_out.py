"""Columns left out in turn: what each costs is scipy's in a linear-Gaussian model, and a loop's in any."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from tests.bundles.export.test_segments import CPU, rows
from tests.models.test_columns import SPEC, STEEP
from tests.models.test_columns import model as table_model
from torch.distributions import MultivariateNormal, kl_divergence

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.metrics.left_out import require_narrow
from vae_pipeline.models.build import build
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.likelihoods.location_scale import floored
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.system.errors import DataError

WANTED = DetectionSection(score="negative_elbo", draws=2, collected=None, contributions="left_out")
PLANE = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.8, 0.8], [0.0, -1.2]])
"""The columns of W: x = W z + noise."""


def linear(layer, weight):
    """A linear map by a layer of rectifiers: max(0, a) - max(0, -a), of which this is the first half."""
    layer.weight.data, layer.bias.data = torch.cat([weight, -weight]), torch.zeros(2 * len(weight))


@pytest.fixture(scope="module")
def exact():
    """x = W z + noise, with its own posterior for an encoder: probabilistic PCA."""
    spec = TableSpec(tuple(Column(f"x{at}", "number", False, STEEP) for at in range(4)), ())
    layers = {"kind": "dense", "layers": [4], "activation": "relu"}
    sections = {"encoder": layers, "decoder": layers, "posterior": {"kind": "gaussian", "latents": 2}}
    made = build(table_model(**sections), spec).eval()
    variance = floored(made.likelihood.log_scale.detach()).square()
    rotated = torch.linalg.qr(PLANE).Q * torch.tensor([2.0, 1.5])  # so that the exact posterior is diagonal
    precision = torch.eye(2) + rotated.T @ rotated / variance[0]
    halves = torch.eye(2).repeat(1, 2) * torch.tensor([1.0, 1.0, -1.0, -1.0])
    linear(made.encoder.dense.layers[0], torch.linalg.solve(precision, rotated.T / variance[0]))
    made.posterior.mean.weight.data, made.posterior.log_variance.weight.data = halves, torch.zeros(2, 4)
    made.posterior.log_variance.bias.data = -precision.diagonal().log()
    linear(made.decoder.layers[0], torch.eye(2))
    made.decoder.output.weight.data = rotated @ halves
    return made, rotated.double(), variance[0].double()


@torch.no_grad()
def test_a_linear_gaussian_models_columns_cost_their_conditional_log_density(exact):
    """-log p(x_j | x_-j) of scipy's Gaussians, less KL(q || p(z | x_-j)), as z is inferred with x_j as expected."""
    model, plane, variance = exact
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 2
    noise = 2**0.5 * torch.cat([torch.eye(2), -torch.eye(2)])  # mean 0, covariance I: means over it are expectations
    found = model.left_out(x, noise).double()
    covariance = plane @ plane.T + variance * torch.eye(4)
    posterior = torch.linalg.inv(torch.eye(2) + plane.T @ plane / variance)
    for at in range(4):
        others = [each for each in range(4) if each != at]
        rest, kept = plane[others], x[:, others].double()
        whole = multivariate_normal(cov=covariance).logpdf(x)
        without = multivariate_normal(cov=covariance[others][:, others]).logpdf(kept)
        filled = x.double()
        filled[:, at] = (x.double() @ (plane @ posterior / variance) @ plane.T)[:, at]
        told = torch.linalg.inv(torch.eye(2) + rest.T @ rest / variance)
        gap = kl_divergence(
            MultivariateNormal(filled @ plane @ posterior / variance, posterior),
            MultivariateNormal(kept @ rest @ told / variance, told),
        )
        np.testing.assert_allclose(found[:, at], without - whole - gap.numpy(), rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("missing", ["given", "modelled"])
def test_it_is_a_loop_over_columns_that_hold_what_is_expected(missing):
    """Each row's column is filled in the data's units, NaN where a gap is likelier, and the row given to the model."""
    torch.manual_seed(0)
    model = build(table_model(likelihood={"kind": "mixed", "scale": "per_element", "missing": missing}), SPEC).eval()
    noise = torch.randn(3, model.latents, generator=torch.Generator().manual_seed(1))
    x = torch.from_numpy(np.vstack([rows(9, 0), [[0, np.nan, 1, 20050]]]).astype(np.float32))
    found = model.left_out(x, noise)
    for row in range(len(x)):
        one = x[row : row + 1]
        expected = model.decode(model.encode(one).mean)
        filled = model.scaling.inverse(expected.mean)[0]
        there = ~one[0].isnan()
        if missing == "modelled":
            there = torch.tensor([expected.presence[0, 0] > 0, True, True, expected.presence[0, 1] > 0])
        for at in range(4):
            other = one.clone()
            other[0, at] = filled[at] if there[at] else torch.nan
            costs = []
            for given, kept in ((one, [0, 1, 2, 3]), (other, [each for each in range(4) if each != at])):
                target, posterior = model.scaling(one), model.encode(given)
                told = model.explain(target, posterior.draw(noise[:, None]), None)
                by_element = -told.likelihood.log_prob_by_element(target)[:, 0, kept]
                costs.append(by_element.double().sum(1).mean() + told.rate().double().mean())
            assert found[row, at].item() == pytest.approx((costs[0] - costs[1]).item(), rel=1e-4, abs=0.02)


@torch.no_grad()
def test_what_is_usual_is_taken_off_and_saved():
    torch.manual_seed(0)
    model = build(table_model(), SPEC).eval()
    train, held_back = Split(rows(50, 0), None), Split(rows(30, 1), None)
    detector = calibrated(model, WANTED, train, held_back, CPU).eval()
    usual = detector(torch.from_numpy(held_back.x)).contributions.mean(0)
    torch.testing.assert_close(usual, torch.zeros(4), atol=1e-3, rtol=0)
    state, x = detector.state_dict(), torch.from_numpy(rows(9, 2))
    read = Detector.restored(build(table_model(), SPEC).eval(), "negative_elbo", state, (4,))
    torch.testing.assert_close(read(x).contributions, detector(x).contributions)
    plain = calibrated(model, WANTED.model_copy(update={"contributions": "distortion"}), train, held_back, CPU)
    assert "usual_left_out" not in plain.state_dict()
    torch.testing.assert_close(plain(x).score, detector(x).score)
    assert not torch.allclose(plain(x).contributions, detector(x).contributions, atol=1e-2)


def test_images_and_wide_tables_are_refused(smoke):
    values = smoke.model_dump(mode="json")
    assert "contributions" not in values["detection"]
    values["detection"]["contributions"] = "left_out"
    with pytest.raises(ValueError, match="contributions left_out is of the columns of a table, and the data are none"):
        Recipe.model_validate(values)
    columns = tuple(Column(f"x{at}", "number", False, STEEP) for at in range(129))
    require_narrow(WANTED, TableSpec(columns[:128], ()))
    with pytest.raises(DataError, match="the table has 129; up to 128 can be: set it to distortion"):
        require_narrow(WANTED, TableSpec(columns, ()))
