"""The verdict on drift: false as seldom as it says, and given where there is a shift."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from vae_pipeline.runtime.drift import Drift, require_stable, said, shift
from vae_pipeline.system.errors import DataError, DriftError


def result(verdict):
    return Drift(40, 159, "May", 0.3, 0.01, verdict, {"0.05": 0.1}, {"amount": 2.0})


@pytest.mark.parametrize(("count", "ties"), [(20, False), (50, False), (50, True), (100, False), (159, False)])
def test_where_nothing_has_changed_it_seldom_says_so(count, ties):
    draw = np.random.default_rng(count)
    trials = 60 if ties else 600
    scores = draw.standard_t(3, (trials, 159 + count))
    scores = scores.round() if ties else scores
    found = [shift(row[:159], row[159:]) for row in scores]
    false = np.mean([p_value <= 0.05 for _, p_value in found])
    assert false <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)
    assert false > 0  # and not by saying nothing
    assert np.median([psi for psi, _ in found]) < 0.02  # whatever chance adds is taken off


def test_the_p_value_is_that_of_a_test_of_the_same_counts():
    """The index of many scores is nearly χ² (1/n + 1/m), whose p-value scipy tells."""
    draw = np.random.default_rng(1)
    known, new = draw.normal(size=4000), draw.normal(0.09, size=2000)
    edges = np.quantile(np.concatenate([known, new]), np.linspace(0, 1, 11)[1:-1])
    table = [np.bincount(np.searchsorted(edges, part), minlength=10) for part in (known, new)]
    assert shift(known, new)[1] == pytest.approx(chi2_contingency(table).pvalue, abs=0.05)


@pytest.mark.parametrize("count", [20, 100])
def test_a_shift_is_seen(count):
    draw = np.random.default_rng(0)
    psi, p_value = shift(draw.normal(size=159), draw.normal(2, size=count))
    assert psi > 0.25 and p_value <= 0.001


def test_one_value_alone_is_no_drift():
    assert shift(np.ones(30), np.ones(25)) == (0.0, 1.0)


def test_what_it_says():
    assert said(result("none")).startswith("drift: none: the scores of 40 new examples and of 159 of the calibration")
    assert "amount" not in said(result("none")) and "amount +2.00" in said(result("much"))
    assert "at least 20 of each are wanted" in said(result("too few rows"))


def test_what_fails():
    require_stable(result("none"), "some")
    require_stable(result("some"), "much")
    for verdict, least in (("some", "some"), ("much", "some"), ("much", "much")):
        with pytest.raises(DriftError, match=rf"drifted \({verdict}\), and --fail-on {least}"):
            require_stable(result(verdict), least)
    with pytest.raises(DataError, match="too few to tell a drift"):
        require_stable(result("too few rows"), "much")
    assert (DriftError.exit_code, DataError.exit_code) == (1, 2)
