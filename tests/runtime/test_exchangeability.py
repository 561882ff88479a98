"""P-values of scores as they come are independent and uniform, whatever scores are; bets on them are likelihoods."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import beta, kstest, percentileofscore

from vae_pipeline.runtime import exchangeability
from vae_pipeline.runtime.exchangeability import BETS, DIGITS, Tally, log_gains, p_values


def test_ranks_of_all_orders_are_independent_and_uniform():
    """Of 5! orders of five scores, two of them the calibration, each combination of three ranks comes equally often."""
    draw = np.random.default_rng(0)
    found = Counter(
        tuple((p_values(Tally.of(order[:2]), order[2:], draw) * [3, 4, 5]).astype(int).tolist())
        for order in permutations(range(5))
    )
    assert len(found) == 3 * 4 * 5 and set(found.values()) == {2}


def test_ties_are_drawn():
    draw = np.random.default_rng(1)
    scores = draw.integers(0, 4, 3000)
    assert kstest(p_values(Tally.of(scores[:500]), scores[500:], draw), "uniform").pvalue > 0.01


def test_a_rank_is_that_among_all_before():
    scores = np.random.default_rng(2).normal(size=40)
    found = p_values(Tally.of(scores[:10]), scores[10:], np.random.default_rng(0))
    for place, p_value in enumerate(found, 10):
        higher = place - round(percentileofscore(scores[:place], scores[place]) * place / 100)
        assert higher <= p_value * (1 + place) <= higher + 1


def test_blocks_change_nothing(monkeypatch):
    scores = np.random.default_rng(3).integers(0, 30, 200)
    whole = p_values(Tally.of(scores[:50]), scores[50:], np.random.default_rng(0))
    monkeypatch.setattr(exchangeability, "BLOCK", 7)
    np.testing.assert_array_equal(p_values(Tally.of(scores[:50]), scores[50:], np.random.default_rng(0)), whole)


def test_gains_are_likelihood_ratios():
    p_value = np.random.default_rng(4).random(30)
    wanted = [beta(a, b).logpdf(p_value).sum() for a, b in BETS]
    np.testing.assert_allclose(log_gains(p_value), wanted)
    assert (log_gains(p_value[:0]) == 0).all()


def test_scores_are_kept_to_some_digits_each_by_itself():
    scores = np.random.default_rng(5).normal(20, 5, 20_000)
    seen = Tally.of(scores)
    assert seen.counts.sum() == len(scores) and len(seen.scores) < 2**DIGITS
    near = seen.scores[np.abs(seen.scores - scores[:50, None]).argmin(1)]
    np.testing.assert_allclose(near, scores[:50], rtol=2.0**-DIGITS)
    both = Tally.of(scores[:7000]).plus(Tally.of(scores[7000:]))
    np.testing.assert_array_equal(both.scores, seen.scores)
    np.testing.assert_array_equal(both.counts, seen.counts)


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e35])
def test_what_is_no_number_is_the_highest(odd):
    assert p_values(Tally.of(np.arange(99.0)), [odd], np.random.default_rng(0))[0] < 0.01
