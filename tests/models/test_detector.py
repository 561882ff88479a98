"""The detector: its scores are what other codes make of the same draws, its p-values keep their word."""

import copy
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp

from vae_pipeline.models.detector import MEMBERS, Detector
from vae_pipeline.models.tails import ROUNDING, STEP, EmpiricalTail
from vae_pipeline.recipe.detection import Score
from vae_pipeline.training.trained import Trained

KNOWN = some.lists(some.integers(-40, 40), min_size=1, max_size=30)  # with ties
SCORES = some.lists(some.floats(-12, 12, width=32), min_size=1, max_size=30)


@given(KNOWN, SCORES)
def test_a_tail_is_never_under_the_count_and_little_over(known, scores):
    values = np.array(known) / 4
    step = STEP * values.std() + ROUNDING * (1 + abs(values.max()))
    tail = EmpiricalTail(torch.tensor(values))(torch.tensor(scores)).numpy()
    for score, found in zip(scores, tail, strict=True):
        assert (values >= score).sum() - 1e-3 <= found <= (values >= score - 2.001 * step).sum() + 1e-3


@given(KNOWN, SCORES)
def test_a_rounding_error_is_no_jump(known, scores):
    tail = EmpiricalTail(torch.tensor(known) / 4)
    score = torch.tensor(scores)
    step = float(tail.gap.min())
    assert (tail(score + 1e-3 * step) - tail(score)).abs().max() <= 0.02 * len(known)


@given(KNOWN, SCORES)
def test_a_rank_rises_with_the_score_and_never_stops(known, scores):
    tail = EmpiricalTail(torch.tensor(known) / 4, smooth=True)
    ranks = tail.rank(torch.tensor(sorted(scores)))
    assert (ranks.diff() >= -1e-6).all()
    assert tail.rank(torch.tensor([60.0])) > tail.rank(torch.tensor([50.0])) > 0


@pytest.mark.parametrize("count", [1, 19, 200])
def test_p_values_of_exchangeable_scores_keep_their_word(count):
    """Over many calibrations, P(p <= alpha) <= alpha (Vovk et al.), but for three standard errors."""
    draw = np.random.default_rng(0)
    shares = {alpha: [] for alpha in (0.05, 0.2, 0.5)}
    for _ in range(400):
        tail = EmpiricalTail(torch.from_numpy(draw.standard_t(3, count)))
        p_value = tail.p_value(torch.from_numpy(draw.standard_t(3, 50)).float())
        for alpha, found in shares.items():
            found.append((p_value <= alpha).float().mean().item())
    for alpha, found in shares.items():
        assert np.mean(found) <= alpha + 3 * np.std(found) / np.sqrt(400)
    assert np.mean(shares[0.5]) > 0.4  # and don't keep it by saying nothing


@given(KNOWN, some.floats(0, 1))
def test_a_threshold_is_where_the_p_value_comes_down_to_alpha(known, alpha):
    tail = EmpiricalTail(torch.tensor(known) / 4)
    threshold = tail.threshold(alpha)
    least = 1 / (1 + len(known))
    assert (threshold == np.inf) == (alpha < least * (1 - 1e-6))
    if np.isfinite(threshold):
        near = 0.01 * float(tail.gap.min())
        assert tail.p_value(torch.tensor([threshold + near])) <= alpha + 0.02
        assert tail.p_value(torch.tensor([threshold - near])) >= alpha - 0.02


@torch.no_grad()
@pytest.mark.parametrize("count", [19, 65, 343])
def test_every_score_keeps_its_word(count, model, prepared):
    """Just floor(alpha (count + 1)) of count + 1 rows, each judged by all others, are alarms (Vovk et al.), whatever
    the score is; the steps to which known scores are raised may cost a tenth of them, and one.
    """
    train = torch.from_numpy(prepared.train.x[:60])
    parts = [prepared.train.x[60:], prepared.valid.x[:], prepared.test.x[:]]
    rows = torch.from_numpy(np.concatenate(parts))
    draw, sets = np.random.default_rng(0), max(1, 200 // count)
    drawn = torch.from_numpy(np.stack([draw.permutation(len(rows))[: count + 1] for _ in range(sets)]))
    for kind in {*get_args(Score)} - {"neighbour_ensemble"}:
        detector = Detector(model, kind, torch.zeros(1, model.latents), model.encode(train).mean, prepared.spec.shape)
        detector.rank_by(detector.scores(train)[0])
        p_value = torch.cat([
            EmpiricalTail(torch.cat([scores[:left_out], scores[left_out + 1 :]])).p_value(scores[left_out, None])
            for scores in detector.chosen(detector.scores(rows)[0])[drawn]
            for left_out in range(count + 1)
        ])  # fmt: skip
        for alpha in (0.01, 0.05, 0.1, 0.2):
            most = sets * int(alpha * (count + 1) + 1e-9)
            alarms = int((p_value <= alpha).sum())
            assert 0.9 * most - 1 <= alarms <= most, (kind, alpha)


@pytest.fixture(scope="module")
def model(lane):
    return Trained.load(lane.model).model.eval()


@pytest.fixture(scope="module")
def detector(model, prepared):
    with torch.no_grad():
        x = torch.from_numpy(prepared.train.x[:60])
        noise = torch.randn(5, model.latents, generator=torch.Generator().manual_seed(0))
        made = Detector(model, "negative_elbo", noise, model.encode(x).mean, (64,))  # not as images but as rows
        made.rank_by(made.scores(x)[0])
        scores, by_element = made.scores(torch.from_numpy(prepared.valid.x[:40]))
        made.calibrate(scores, by_element.mean(0))
        return made


@pytest.fixture
def x(prepared):
    return torch.from_numpy(prepared.test.x[:9])


@torch.no_grad()
def test_scores_are_those_of_each_draw(detector, model, x):
    scores, by_element = detector.scores(x)
    assert set(MEMBERS) < set(scores) == {*get_args(Score)} - {"rank_ensemble", "neighbour_ensemble", "hottest_part"}
    passes = [model.infer_by(x, draw.expand(len(x), -1)) for draw in detector.noise]
    distortion = np.stack([each.distortion()[0].numpy() for each in passes])
    rate = np.stack([each.rate()[0].numpy() for each in passes])
    weight = np.stack([each.log_weight()[0].numpy() for each in passes])
    errors = [(each.likelihood.mean - each.target).square().flatten(2).sum(2)[0].numpy() for each in passes]
    np.testing.assert_allclose(scores["negative_elbo"], (distortion + rate).mean(0), rtol=1e-5)
    np.testing.assert_allclose(scores["reconstruction_probability"], distortion.mean(0), rtol=1e-5)
    np.testing.assert_allclose(by_element.flatten(1).sum(1), distortion.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scores["importance_bound"], -logsumexp(weight, axis=0, b=1 / 5), rtol=1e-5)
    np.testing.assert_allclose(scores["rate"], rate[0], rtol=1e-5)
    np.testing.assert_allclose(scores["reconstruction_error"], np.mean(errors, 0), rtol=1e-5)


@torch.no_grad()
def test_mahalanobis_is_scipys(detector, model, prepared, x):
    means = model.encode(torch.from_numpy(prepared.train.x[:60])).mean.double().numpy()
    inverse = np.linalg.inv(np.cov(means.T))
    wanted = [mahalanobis(mean, means.mean(0), inverse) ** 2 for mean in model.encode(x).mean.double().numpy()]
    np.testing.assert_allclose(detector.scores(x)[0]["mahalanobis"], wanted, rtol=1e-3)


@torch.no_grad()
def test_contributions_add_up_to_what_is_over_the_usual(detector, prepared, x):
    usual = detector.scores(torch.from_numpy(prepared.valid.x[:40]))[0]["reconstruction_probability"].mean()
    found = detector(x)
    assert found.contributions.shape == x.shape
    torch.testing.assert_close(found.contributions.flatten(1).sum(1), found.distortion - usual, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.score, found.distortion + found.rate)


@torch.no_grad()
def test_an_ensemble_is_the_mean_rank(detector, x):
    scores, _ = detector.scores(x)
    ensemble = detector.ensemble(scores)
    highest = {kind: tail.scores[-1:] + 1e3 for kind, tail in detector.tails.items()}
    lowest = {kind: tail.scores[:1] - 1 for kind, tail in detector.tails.items()}
    assert detector.ensemble(highest) > 0 > ensemble.min()
    assert detector.ensemble(lowest).item() == pytest.approx(-np.log1p(60))


@torch.no_grad()
def test_an_ensemble_tells_rows_apart_that_all_rank_near_the_highest(detector):
    """Held-back rows do so where a model knows its training rows by heart: each has a step of its own."""
    overfitted = copy.deepcopy(detector)
    overfitted.rank_by(dict.fromkeys(MEMBERS, torch.linspace(0, 1, 1000)))
    rows = torch.linspace(0.995, 1.005, 200)
    assert len(EmpiricalTail(overfitted.ensemble(dict.fromkeys(MEMBERS, rows))).count) == 200


@torch.no_grad()
def test_rows_do_not_know_of_each_other(detector, x):
    together, alone = detector(x), detector(x[4:5])
    for name, values in together._asdict().items():
        torch.testing.assert_close(values[4:5], getattr(alone, name), rtol=1e-4, atol=1e-4)
