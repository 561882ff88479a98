"""Who was trained on: areas, recalls and their intervals, and what copies and honest draws come to."""

import numpy as np
import pytest
from scipy.stats import beta, bootstrap
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors

from vae_pipeline.metrics.image_privacy import Nearest, told_by_samples
from vae_pipeline.metrics.membership import membership, membership_auc, membership_recall


def scores(shift, count=400, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(shift, 1, count).round(1), draw.normal(0, 1, count + 50).round(1)  # with ties


def test_the_area_is_scikit_learns_and_its_interval_the_bootstraps():
    members, others = scores(1, 100)
    found = membership_auc(members, others)
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    assert found.value == pytest.approx(roc_auc_score(truth, np.r_[members, others]))

    def area(first, second):
        return membership_auc(first, second).value

    drawn = bootstrap((members, others), area, vectorized=False, n_resamples=300, method="percentile", rng=0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * drawn.standard_error, rel=0.15)


def test_the_recall_is_scikit_learns_and_its_interval_the_betas():
    members, others = (each + 0.0 for each in scores(2, 3000))
    found = membership_recall(members, others)
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    wrong, right, _ = roc_curve(truth, np.r_[members, others], drop_intermediate=False)
    assert found.value == pytest.approx(right[wrong <= 0.001].max())
    told = round(found.value * len(members))
    assert found.low == pytest.approx(beta.ppf(0.025, told, len(members) - told + 1))
    assert found.high == pytest.approx(beta.ppf(0.975, told + 1, len(members) - told))


def test_a_rate_that_cannot_be_seen_is_left_out():
    figures = membership(*scores(0), "by_loss")
    assert "membership_recall_by_loss" not in figures and "450" in figures["left_out"]["membership_recall_by_loss"]
    assert membership_recall(np.zeros(3), np.zeros(999)) is None
    assert membership_recall(np.zeros(3), np.zeros(1000)).value == 0  # ties with others aren't found


def images(count, seed, values=30):
    return np.random.default_rng(seed).random((count, values))


def test_the_nearest_of_what_comes_in_parts_is_scikit_learns():
    points, drawn = images(70, 0), images(200, 1)
    found = Nearest(points)
    for part in np.split(drawn, [13, 150]):
        found.see(part)
    known = NearestNeighbors(n_neighbors=1).fit(drawn).kneighbors(points)[0][:, 0]
    np.testing.assert_allclose(found.distance, known)
    of_drawn = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(drawn)[1][:, 0]
    np.testing.assert_array_equal(found.nearest_to, np.bincount(of_drawn, minlength=70))


def test_a_copy_machine_is_found_and_a_fair_one_is_not():
    members, others = images(1200, 0), images(1200, 1)
    copies = members + np.random.default_rng(2).normal(0, 0.01, members.shape)
    leak = told_by_samples(members, others, iter([copies]), "pixels")
    assert leak["membership_auc_in_pixels_low"] > 0.9 and leak["membership_recall_in_pixels_low"] > 0.9
    assert leak["nearer_to_training_in_pixels"] == 1
    fair = told_by_samples(members, others, iter([images(1000, 3), images(1000, 4)]), "pixels")
    assert fair["membership_auc_in_pixels_low"] < 0.5 < fair["membership_auc_in_pixels_high"]
    error = fair["nearer_to_training_in_pixels_standard_error"]
    assert abs(fair["nearer_to_training_in_pixels"] - 0.5) < 3 * error
    assert fair["membership_recall_in_pixels"] < 0.01


def test_the_standard_error_is_that_of_members_drawn_anew():
    points, drawn = images(60, 0, 3), images(500, 1, 3)
    shares = []
    for seed in range(150):
        mixed = np.random.default_rng(seed).permutation(points)
        found = told_by_samples(mixed[:30], mixed[30:], iter([drawn]), "pixels")
        shares.append(found["nearer_to_training_in_pixels"])
    assert found["nearer_to_training_in_pixels_standard_error"] == pytest.approx(np.std(shares), rel=0.2)


def test_over_groups_of_one_the_interval_is_delongs_and_over_others_that_of_whole_groups_drawn_anew():
    members, others = (each[:300] for each in scores(1, 300))
    alone = membership_auc(members, others)
    assert membership_auc(members, others, np.arange(300), np.arange(300)[::-1]) == alone
    groups = np.arange(300) // 6
    shift = np.random.default_rng(3).normal(0, 1, (2, 50))
    near, far = members + shift[0, groups], others + shift[1, groups]
    found = membership_auc(near, far, groups, groups)
    of_group = np.arange(300).reshape(50, 6)

    def area(first, second):
        return membership_auc(near[of_group[first].ravel()], far[of_group[second].ravel()]).value

    drawn = bootstrap(
        (np.arange(50), np.arange(50)), area, vectorized=False, n_resamples=500, rng=0, method="percentile"
    )
    assert found.high - found.low == pytest.approx(2 * 1.96 * drawn.standard_error, rel=0.15)
    assert found.high - found.low > 1.3 * (membership_auc(near, far).high - membership_auc(near, far).low)
    assert membership_auc(near, far, groups * 0, groups).low == 0  # of one patient nothing is known


def test_of_whole_groups_the_standard_error_is_that_of_groups_drawn_anew():
    groups = np.arange(60) // 3
    points = images(20, 0, 3)[groups] + np.random.default_rng(2).normal(0, 0.05, (60, 3))
    drawn, shares = images(500, 1, 3), []
    for seed in range(150):
        order = np.random.default_rng(seed).permutation(20)
        mixed = points.reshape(20, 3, 3)[order].reshape(60, 3)
        sides = groups[:30], groups[:30]
        found = told_by_samples(mixed[:30], mixed[30:], iter([drawn]), "pixels", *sides)
        shares.append(found["nearer_to_training_in_pixels"])
    assert found["nearer_to_training_in_pixels_standard_error"] == pytest.approx(np.std(shares), rel=0.2)
