import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import mannwhitneyu

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.detection import auroc_error, credible, detection, false_alarms, normal_rows


def test_recall_at_a_false_positive_rate_by_hand():
    """One of 1,000 normal rows scores 5, and ten score 4 or more; anomalies are at 6, 4.5, 3.5, 0."""
    normal = np.concatenate([[5.0], np.full(9, 4.0), np.linspace(-1, 3, 990)])
    score = np.concatenate([normal, [6.0, 4.5, 3.5, 0.0]])
    found = detection(score, np.arange(1004) >= 1000)
    assert found["recall_at_fpr_0.001"] == 0.5
    assert found["recall_at_fpr_0.01"] == 0.75
    assert found["recall_at_fpr_0.05"] == 0.75
    assert found["anomalies"] == 4


def test_auroc_is_the_rank_sum():
    draw = np.random.default_rng(0)
    score, anomalous = draw.normal(size=200), draw.random(200) < 0.3
    pairs = anomalous.sum() * (~anomalous).sum()
    wanted = mannwhitneyu(score[anomalous], score[~anomalous]).statistic / pairs
    assert detection(score, anomalous)["auroc"] == pytest.approx(wanted)


@given(some.lists(some.tuples(some.floats(-50, 50, width=32), some.booleans()), min_size=4, max_size=40))
def test_a_monotone_map_changes_nothing(pairs):
    score, anomalous = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    _, rank = np.unique(score, return_inverse=True)
    assert detection(score, anomalous) == detection(rank.astype(float) ** 3, anomalous)


@pytest.mark.parametrize(("anomalies", "normal", "apart"), [(12, 40, 1.0), (40, 12, 1.0), (30, 30, 0.0)])
def test_the_error_of_an_auroc_is_its_spread_over_draws(anomalies, normal, apart):
    draw = np.random.default_rng(1)
    found = [
        mannwhitneyu(draw.exponential(np.exp(apart), anomalies), draw.exponential(size=normal)).statistic
        for _ in range(400)
    ]
    areas = np.array(found) / (anomalies * normal)
    told = np.mean([auroc_error(area, anomalies, normal) for area in areas])
    assert told == pytest.approx(areas.std(), rel=0.15)


def test_few_examples_leave_recalls_out_and_mark_the_rest():
    score, anomalous = np.arange(60.0), np.arange(60) >= 34
    found = credible(detection(score, anomalous), 34)
    assert {*found["left_out"]} == {"recall_at_fpr_0.001", "recall_at_fpr_0.01"} and not {*found} & {*found["left_out"]}
    assert all("there are 34" in reason for reason in found["left_out"].values())
    assert (found["auroc"], found["recall_at_fpr_0.05"]) == (1, 1)
    assert found["auroc_standard_error"] > 0.01 and found["recall_at_fpr_0.05_standard_error"] > 0.02
    assert not credible(detection(np.arange(1034.0), np.arange(1034) >= 1000), 1000)["left_out"]


def test_of_one_kind_alone_nothing_is_said():
    assert detection(np.arange(3.0), np.zeros(3, bool)) == detection(np.arange(3.0), np.ones(3, bool)) == {}


def test_normal_rows():
    split = Split(np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1]))
    assert normal_rows(split).x.tolist() == [[0, 1], [4, 5]]
    unlabelled = Split(split.x, None)
    assert normal_rows(unlabelled) is unlabelled


def test_false_alarms_carry_an_error_though_there_are_none():
    """Shares of uniform p-values lie as far from alpha as the standard error says; it is never 0."""
    assert false_alarms(np.full(400, 0.9), 400)["false_alarm_rate_0.01_standard_error"] > 0
    draw = np.random.default_rng(0)
    told = [false_alarms(draw.random(300), 10**9) for _ in range(200)]
    shares = np.array([found["false_alarm_rate_0.05"] for found in told])
    errors = np.array([found["false_alarm_rate_0.05_standard_error"] for found in told])
    assert shares.std() == pytest.approx(errors.mean(), rel=0.15)


@pytest.mark.parametrize(("tested", "calibrated", "left"), [
    (26, 26, ["0.01"]), (400, 26, ["0.01"]), (19, 400, ["0.01", "0.05"]), (100, 99, []),
    (9, 9, ["0.01", "0.05", "0.1"]),
])  # fmt: skip
def test_rates_that_so_few_examples_cannot_show_are_left_out(tested, calibrated, left):
    found = false_alarms(np.random.default_rng(0).random(tested), calibrated)
    assert list(found["left_out"]) == [f"false_alarm_rate_{alpha}" for alpha in left]
    assert not set(found["left_out"]) & (set(found) - {"left_out"})
    assert all(f"there are {tested} and {calibrated}" in reason for reason in found["left_out"].values())
