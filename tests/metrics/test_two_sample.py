import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest, norm

from vae_pipeline.metrics.two_sample import classifier_auc, kernel_test


def draws(seed, count=200, shift=0.0):
    return (np.random.default_rng(seed).standard_normal((count, 2)) + shift).astype(np.float32)


def test_mmd_is_its_definition():
    first, second = draws(0, 30), draws(1, 20, 0.5)

    def kernel(a, b):
        return sum(4 * width / (4 * width + cdist(a, b, "sqeuclidean")) for width in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    def between_others(points):
        matrix = kernel(points, points)
        return matrix[~np.eye(len(points), dtype=bool)].mean()

    wanted = between_others(first) + between_others(second) - 2 * kernel(first, second).mean()
    assert kernel_test(first, second, 0)[0] == pytest.approx(wanted, abs=1e-6)


def test_the_p_value_is_uniform_of_equal_distributions_and_small_of_others():
    same = [kernel_test(draws(seed, 50), draws(1000 + seed, 50), seed)[1] for seed in range(100)]
    assert kstest(same, "uniform").pvalue > 0.01
    assert kernel_test(draws(0), draws(1, shift=0.5), 0)[1] == pytest.approx(1 / 201)


def test_the_auc_is_that_of_the_best_classifier():
    shift = 1.5
    best = norm.cdf(shift / np.sqrt(2))  # of N(0, 1) against N(shift, 1), by their likelihood ratio
    first, second = draws(0, 1000), draws(1, 1000)
    first[:, 0] += shift
    assert best - 0.04 < classifier_auc(first, second, 0) < best + 0.02


def test_the_auc_is_a_half_of_equal_distributions():
    aucs = [classifier_auc(draws(seed), draws(100 + seed), seed) for seed in range(2)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.06)


def test_it_sees_what_is_only_correlated():
    first, second = draws(0, 1000), draws(1, 1000)
    first[:, 1] = 0.9 * first[:, 0] + np.sqrt(0.19) * first[:, 1]
    assert classifier_auc(first, second, 0) > 0.7
    assert kernel_test(first[:300], second[:300], 0)[1] < 0.01
