import numpy as np
import pytest
from scipy.stats import genpareto, norm

from vae_pipeline.metrics.pareto import generalised_pareto_shape, pareto_shape, tail_length


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.7, 1.5])
def test_the_shape_of_a_generalised_pareto_sample_is_found(shape):
    drawn = genpareto(shape, scale=3).rvs((20, 2000), random_state=np.random.default_rng(0))
    found = generalised_pareto_shape(np.sort(drawn, axis=1))
    assert found.mean() == pytest.approx(shape, abs=0.03)
    assert found.std() < 0.1


@pytest.mark.parametrize(
    ("samples", "spread", "wanted"),
    [
        (25, 1, 0.4501548212),
        (500, 0.5, 0.1221472738),
        (500, 3, 1.0844003402),
        (5000, 1, 0.2603713489),
        (5000, 10, 3.6486307488),
    ],
)
def test_it_is_arvizs(samples, spread, wanted):
    """Figures of ArviZ 0.20.0's psislw, for log-weights at the quantiles of a Gaussian."""
    log_weights = spread * norm.ppf((np.arange(samples) + 0.5) / samples)
    tail = log_weights[-tail_length(samples) - 1 :]
    found = pareto_shape(np.random.default_rng(0).permuted(tail[None], axis=1) - 700)
    assert found[0] == pytest.approx(wanted, abs=1e-9)


def test_equal_weights_have_no_tail():
    rounded = -800 + np.random.default_rng(0).integers(-2, 3, (1, 20)) * 6e-5
    assert pareto_shape(rounded)[0] == -np.inf


def test_one_weight_that_outweighs_all_is_not_trusted():
    log_weights = np.full((1, 30), -5000.0)
    log_weights[0, 3] = 0
    assert pareto_shape(log_weights)[0] > 0.7
