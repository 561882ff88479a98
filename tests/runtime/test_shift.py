"""Weights are those of a logistic regression; p-values by them keep their word under a shift, where others don't."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vae_pipeline.runtime.shift import Shift, logistic

DRAW = np.random.default_rng(0)
ALPHA = 0.05


def test_the_regression_is_scikit_learns():
    x, positive = DRAW.normal(size=(300, 4)), DRAW.random(300) < 0.3
    x[positive] += [1, 0, -0.5, 0]
    wanted = LogisticRegression(C=1.0, tol=1e-10).fit(x, positive)
    np.testing.assert_allclose(logistic(x, positive), [*wanted.coef_[0], wanted.intercept_[0]], atol=1e-5)


def test_groups_that_lie_apart_have_finite_weights():
    before, now = DRAW.normal(size=(50, 2)), DRAW.normal(size=(50, 2)) + 1e4
    shift = Shift.between(DRAW.normal(size=50), before, np.where(np.arange(2) == 0, now, 7.0))
    assert np.isfinite(shift.p_values(np.zeros(50), now)).all() and 1 <= shift.effective_size <= 50


def test_p_values_are_the_weighted_shares():
    scores, before, now = DRAW.normal(size=80), DRAW.normal(size=(80, 3)), DRAW.normal(0.5, 1, (60, 3))
    shift = Shift.between(scores, before, now)
    weight, own = shift.weight(before), shift.weight(now)
    new = DRAW.normal(size=60)
    wanted = [(weight[scores >= one].sum() + w) / (weight.sum() + w) for one, w in zip(new, own, strict=True)]
    np.testing.assert_allclose(shift.p_values(new, now), wanted)
    assert shift.effective_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    np.testing.assert_allclose(shift.weights, weight[np.argsort(scores)])
    even = Shift(np.sort(scores), np.ones(80), np.zeros(3), 0.0)
    plain = (1 + (scores >= new[:, None]).sum(1)) / 81
    np.testing.assert_allclose(even.p_values(new, now), plain)


def examples(count, mean):
    """Latents, and scores that are higher where the first latent is."""
    latents = DRAW.normal(mean, 1, (count, 3))
    return latents, np.abs(DRAW.normal(size=count)) * np.exp(0.3 * latents[:, 0])


def test_false_alarms_under_a_shift_are_as_many_as_asked():
    """Within two standard errors over draws, where the plain threshold's aren't (Tibshirani et al., 2019)."""
    rates = []
    for _ in range(40):
        (before, scores), (now, _), (latents, new) = (
            examples(600, 0),
            examples(600, [1, 0, 0]),
            examples(600, [1, 0, 0]),
        )
        p_value = Shift.between(scores, before, now).p_values(new, latents)
        plain = (1 + (scores >= new[:, None]).sum(1)) / 601
        rates.append([(p_value <= ALPHA).mean(), (plain <= ALPHA).mean()])
    (weighed, plain), (error, of_plain) = np.mean(rates, 0), np.std(rates, 0) / np.sqrt(40)
    assert abs(weighed - ALPHA) <= 2 * error
    assert plain - ALPHA > 10 * of_plain
