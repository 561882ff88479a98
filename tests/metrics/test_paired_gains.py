import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from vae_pipeline.metrics.classification import classification
from vae_pipeline.metrics.paired_gains import detectable, gains, holm, interval, paired_p, widened

NONE = stats.norm.ppf((np.arange(12) + 0.5) / 12) * 0.02 + 0.8


def test_holm_corrects_as_the_paper_does():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])


def test_p_is_that_of_a_paired_t_test_and_1_where_nothing_varies():
    other = NONE + np.random.default_rng(0).normal(0.01, 0.02, 12)
    assert paired_p(other - NONE) == pytest.approx(stats.ttest_rel(other, NONE).pvalue)
    assert paired_p(np.full(3, 0.1)) == paired_p(np.zeros(3)) == 1


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_repeats_that_share_images_have_nadeau_and_bengios_corrected_t_test(folds):
    """t = mean / sqrt((1/J + n2/n1) s^2) with J - 1 degrees of freedom; n2/n1 is 1 / (folds - 1)."""
    differences, overlap = NONE - 0.79, 1 / (folds - 1)
    t = differences.mean() / np.sqrt((1 / 12 + overlap) * differences.var(ddof=1))
    assert paired_p(differences, overlap) == pytest.approx(2 * stats.t.sf(t, 11))
    assert paired_p(differences, 0) == stats.ttest_1samp(differences, 0).pvalue < paired_p(differences, overlap)
    wide, mean = widened(12, overlap), differences.mean()
    plain, corrected = np.array(interval(differences, 0.95, 0)), np.array(interval(differences, 0.95, 0, overlap))
    np.testing.assert_allclose(corrected - mean, wide * (plain - mean))
    found = gains(NONE, {"a": NONE + differences}, 0, overlap)["a"]
    assert found.detectable == pytest.approx(wide * gains(NONE, {"a": NONE + differences}, 0)["a"].detectable)


@pytest.mark.parametrize(("folds", "rounds"), [(5, 2), (5, 10)])
def test_the_level_of_repeated_folds_is_kept_where_a_plain_t_test_finds_gains_that_are_none(folds, rounds):
    """Each image gains at random, 0 on the average; a repeat's gain is the mean over the fold that it holds back.

    For many rounds the corrected variance is that of the mean over all images, variance / images.
    """
    rng, images, studies = np.random.default_rng(0), 60, 500
    each = rng.normal(0, 1, (studies, images))
    orders = [rng.permutation(images).reshape(folds, -1) for _ in range(rounds)]
    gained = np.stack([each[:, rows].mean(1) for order in orders for rows in order], axis=1)
    corrected, plain = (
        np.mean([paired_p(differences, overlap) < 0.05 for differences in gained]) for overlap in (1 / (folds - 1), 0)
    )
    by_chance = 2 * np.sqrt(0.05 * 0.95 / studies)
    assert plain > 0.1 and corrected < 0.05 + by_chance
    variance = (1 / gained.shape[1] + 1 / (folds - 1)) * gained.var(axis=1, ddof=1).mean()
    assert 1 < variance * images < 1 + 1.3 / rounds


def test_the_interval_is_near_that_of_the_normal_distribution():
    differences = np.random.default_rng(0).normal(1, 2, 400)
    error = differences.std() / 20
    wanted = stats.norm.interval(0.95, differences.mean(), error)
    assert interval(differences, 0.95, 0) == pytest.approx(wanted, abs=0.1 * error)
    assert interval(differences, 0.95, 0) == interval(differences, 0.95, 0) != interval(differences, 0.95, 1)


@pytest.mark.parametrize(("pairs", "effect"), [(33.36713, 0.5), (9.93785, 1.0), (198.15, 0.2)])
def test_the_least_gain_to_be_seen_is_that_of_tables_of_power(pairs, effect):
    """G*Power's and statsmodels' sizes of samples for a power of 0.8 at a level of 0.05, two-sided."""
    assert detectable(pairs, 1, 0.05) == pytest.approx(effect, rel=2e-3)
    assert detectable(pairs, 3, 0.05) == pytest.approx(3 * effect, rel=2e-3)


def test_the_least_gain_is_seen_in_four_of_five_studies():
    draws = np.random.default_rng(0).normal(detectable(5, 1.0, 0.05), 1.0, (20_000, 5))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_an_arm_that_gains_is_sure_and_arms_that_dont_seldom_are():
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 4, 12))
    sure = 0
    for each in noise:
        found = gains(NONE, {**{str(arm): NONE + each[arm] for arm in range(3)}, "good": NONE + 0.05 + each[3]}, 0)
        assert found["good"].sure and found["good"].low < found["good"].mean < found["good"].high
        sure += any(found[str(arm)].sure for arm in range(3))
    assert sure <= 2
    assert found["good"].deviation == pytest.approx(noise[-1][3].std(ddof=1))


def test_figures_of_probabilities_are_scikit_learns():
    draw = np.random.default_rng(0)
    labels, p = draw.integers(0, 3, 50), draw.dirichlet([1, 1, 1], 50)
    found = classification(p, labels)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, p.argmax(1)))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, p.argmax(1)))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, p, multi_class="ovr"))
    two = labels % 2
    assert classification(p[:, :2], two)["auc"] == pytest.approx(
        (roc_auc_score(two, p[:, 1]) + roc_auc_score(1 - two, p[:, 0])) / 2
    )
    assert classification(p, np.zeros(50, int))["auc"] == 0.5
