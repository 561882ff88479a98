"""The estimator: scikit-learn's checks, PyOD's names, and a threshold that keeps its word."""

import copy
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import percentileofscore
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.tables import mixed_frame

from vae_pipeline import VAE, VAEDetector, load
from vae_pipeline.estimators import course
from vae_pipeline.models.tails import ROUNDING, STEP
from vae_pipeline.runtime.detection import alarms
from vae_pipeline.system.errors import DataError, InputError

TEXTS = pd.DataFrame({"text": [f"row {index}" for index in range(400)]})
SMALL = {"steps": 2, "layers": (8,), "latents": 2, "components": 2, "draws": 1}


@pytest.mark.filterwarnings("ignore:.*rows were held back")
@parametrize_with_checks([VAEDetector(**SMALL)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def rows(count, seed):
    """Points near a plane in five dimensions."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, 2)) @ np.random.default_rng(0).normal(size=(2, 5)) + 0.1 * draw.normal(
        size=(count, 5)
    )


@pytest.fixture(scope="module")
def detector():
    return VAEDetector(alpha=0.1, steps=400, layers=(32,), latents=2).fit(rows(1500, 1))


def test_it_finds_what_is_off_the_plane(detector):
    normal, odd = rows(1000, 2), np.random.default_rng(3).normal(size=(200, 5)) * 2
    x, anomalous = np.concatenate([normal, odd]), np.arange(1200) >= 1000
    assert roc_auc_score(anomalous, detector.decision_function(x)) > 0.95
    false = detector.predict(normal).mean()
    assert false <= 0.1 + 2 * np.sqrt(0.1 * 0.9 * (1 / 1000 + 1 / 300))  # of the fresh rows and of the calibration
    assert false > 0.03
    assert detector.predict(odd).mean() > 0.8


def test_its_attributes_agree(detector):
    x = rows(1500, 1)
    np.testing.assert_array_equal(detector.decision_function(x), detector.decision_scores_)
    np.testing.assert_array_equal(detector.predict(x), detector.labels_)
    p_value = detector.p_values(x)
    np.testing.assert_array_equal(detector.labels_, alarms(p_value, 0.1))
    np.testing.assert_array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    np.testing.assert_array_equal(detector.score_samples(x), -detector.decision_scores_)
    np.testing.assert_allclose(detector.predict_proba(x), np.stack([p_value, 1 - p_value], 1))
    assert len(detector.calibration_scores_) == 300


def test_its_p_values_are_those_of_the_rows_held_back(detector):
    """scipy's share of scores at least as high, but for the steps to which known scores are raised."""
    score, known = detector.decision_function(rows(200, 5)), detector.calibration_scores_
    step = STEP * known.std() + ROUNDING * (1 + abs(known[-1]))
    found = detector.p_values(rows(200, 5))
    for moved, holds in ((score, np.greater_equal), (score - 2.1 * step, np.less_equal)):
        at_least = 300 - 3 * percentileofscore(known, moved, kind="strict")
        assert holds(found, (1 + at_least) / 301 + (1e-5 if holds is np.less_equal else -1e-5)).all()


def test_again_it_is_the_same_in_threads_and_under_another_default_dtype():
    x, other = rows(120, 1), VAEDetector(**{**SMALL, "random_state": 1})
    once = VAEDetector(**SMALL).fit(x)
    with ThreadPoolExecutor(3) as pool:
        fits = [pool.submit(clone(each).fit, x) for each in (once, other, once)]
    torch.set_default_dtype(torch.float64)
    try:
        wide = clone(once).fit(x)
        asked = wide.decision_function(x), wide.p_values(x), wide.explain(x), wide.predict(x), wide.threshold_
    finally:
        torch.set_default_dtype(torch.float32)
    wanted = once.decision_scores_, once.p_values(x), once.explain(x), once.labels_, once.threshold_
    for given, known in zip(asked, wanted, strict=True):
        np.testing.assert_array_equal(given, known)
    for fitted in (fits[0].result(), fits[2].result(), wide):
        np.testing.assert_array_equal(fitted.decision_scores_, once.decision_scores_)
    assert fits[1].result().threshold_ != once.threshold_


@pytest.mark.parametrize("kind", ["negative_elbo", "rank_ensemble", "neighbour_ensemble"])
def test_what_is_saved_is_the_same_detector(kind, tmp_path):
    frame = mixed_frame(120).drop(columns=["fraud", "id"])
    fitted = VAEDetector(kind=kind, columns={"new": "ignored"}, alpha=0.1, **SMALL).fit(frame)
    read = load(fitted.save(tmp_path / "detector"))
    assert read.get_params() == {**fitted.get_params(), "layers": [8]}
    assert read.threshold_ == fitted.threshold_
    for name in ("decision_scores_", "labels_", "calibration_scores_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(read, name), getattr(fitted, name))
    np.testing.assert_array_equal(read.p_values(frame), fitted.p_values(frame))
    np.testing.assert_array_equal(read.explain(frame), fitted.explain(frame))
    with pytest.raises(InputError, match="holds a VAEDetector"):
        VAE.load(tmp_path / "detector")
    (tmp_path / "detector" / "spec.json").write_text("{}")
    with pytest.raises(DataError, match=r"isn't what `save` wrote .*spec\.json"):
        load(tmp_path / "detector")


def test_it_says_which_column(detector):
    x = rows(20, 4)
    x[:, 3] += 5
    assert (detector.explain(x).argmax(axis=1) == 3).mean() > 0.7


def test_it_names_another_rows_value_more_often_than_the_distortion_does(detector):
    x, at = rows(2000, 5), np.random.default_rng(6).integers(5, size=2000)
    x[np.arange(2000), at] = rows(2000, 7)[np.arange(2000), at]
    before = copy.deepcopy(detector)
    before.detector_.usual_left_out = None  # as in what was saved before columns were left out
    by_distortion, named = ((each.explain(x).argmax(axis=1) == at).mean() for each in (before, detector))
    assert named > by_distortion + 0.01


def test_columns_of_any_kind():
    frame = mixed_frame().drop(columns="id")
    normal = frame[frame.fraud == 0].drop(columns="fraud")
    detector = VAEDetector(steps=300, layers=(32,), latents=4).fit(normal)
    assert [column.kind for column in detector.columns_] == ["number", "number", "category", "boolean", "date"]
    assert roc_auc_score(frame.fraud, detector.decision_function(frame.drop(columns="fraud"))) > 0.85


def test_so_few_rows_that_no_alarm_can_be_told():
    with pytest.warns(UserWarning, match=r"10 rows were held back, and alpha=0.01 takes 99: no row can be an alarm"):
        labels = VAEDetector(alpha=0.01, **SMALL).fit_predict(rows(50, 0))
    assert not labels.any()


def test_a_missing_value_is_an_alarm_or_refused():
    """Refused where training lacked none; else as telling as it is rare."""
    x = rows(600, 1)
    x[:3, 2] = np.nan
    detector = VAEDetector(steps=300, layers=(16,), latents=2).fit(x)
    fresh = rows(100, 2)
    gap = fresh.copy()
    gap[:, 2] = np.nan
    assert (detector.decision_function(gap) > detector.decision_function(fresh)).mean() > 0.95
    for lost, message in ((slice(1, 2), "column x1 lacks a value in row 0"), (slice(0, 5), "row 0 holds no value")):
        gap[:, lost] = np.nan
        with pytest.raises(DataError, match=message):
            detector.predict(gap)


def test_a_constant_that_changes_is_an_alarm():
    frame = pd.DataFrame(rows(500, 1), columns=list("abcde")).assign(flag=False, level=1e9, word="on")
    detector = VAEDetector(steps=150, layers=(16,), latents=2).fit(frame)
    usual = detector.decision_function(frame)
    for change in ({"level": 1e9 + 1}, {"level": -3.0}, {"flag": True}, {"word": "off"}):
        changed = frame.assign(**change)
        assert (detector.decision_function(changed) > usual).all()
        assert "level" not in change or detector.predict(changed).all()


def test_rows_that_may_hold_anomalies():
    """The rows left out between two short fits are those that were hidden among them."""
    x = np.concatenate([rows(450, 1), 6 + 0.1 * rows(50, 2)])  # a cluster of its own, which a long fit learns too
    hidden = np.arange(500) >= 450
    fitted = VAEDetector(contamination="some", layers=(32,), latents=2).fit(x)
    assert roc_auc_score(hidden, fitted.decision_scores_) > 0.95


@pytest.fixture
def trainings(monkeypatch):
    """The trainings of the fits from here on."""
    made, fit = [], course.fit

    def kept(training, *given):
        made.append(training)
        return fit(training, *given)

    monkeypatch.setattr(course, "fit", kept)
    return made


def test_a_small_table_is_learned_no_longer_than_validation_asks(trainings):
    """Of noise nothing is learned but the rows themselves, which validation soon tells."""
    VAEDetector(alpha=0.1, layers=(64,)).fit(np.random.default_rng(0).normal(size=(60, 3)))
    (training,) = trainings
    elbos = [epoch.valid_elbo for epoch in training.history]
    assert training.stopped
    assert len(elbos) == 1 + int(np.argmax(elbos)) + course.PATIENCE < 2400 / course.EPOCH


@pytest.mark.parametrize("layers", [[8, 8], np.array([8, 8]), (np.int64(8), 8)])
def test_layers_of_any_list(layers):
    fitted = VAEDetector(alpha=0.1, **{**SMALL, "layers": layers}).fit(rows(60, 0))
    assert fitted.detector_.model.encoder.dense.features == 8


def test_frames_of_one_row_of_none_and_of_other_columns():
    frame = pd.DataFrame(rows(60, 0), columns=list("abcde")).assign(word=["on", "off"] * 30)
    detector = VAEDetector(alpha=0.1, **SMALL).fit(frame)
    assert detector.predict(frame.head(1)).shape == (1,)
    for x, message in (
        (frame.head(0), "X has 0 rows, and at least 1 are wanted"),
        (frame[["word", *"abcde"]], "Feature names must be in the same order"),
        (frame.drop(columns="a"), "feature names should match"),
        (pd.concat([frame, frame], axis=1), "X has two columns of the name 'a': rename one"),
    ):
        with pytest.raises(ValueError, match=message):
            detector.predict(x)
    left_out = VAEDetector(alpha=0.1, columns={"word": "ignored", "a": "number"}, **SMALL).fit(frame)
    assert [column.name for column in left_out.columns_] == list("abcde")


@pytest.mark.parametrize(
    ("parameters", "x", "error", "message"),
    [
        ({}, rows(1, 0), ValueError, "minimum of 2 is required"),
        ({}, np.full((20, 2), np.inf), ValueError, "infinity"),
        ({}, np.full((20, 2), np.nan), DataError, "column x0 holds no value"),
        (
            {},
            pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}).head(1),
            ValueError,
            "X has 1 rows, and at least 2 are wanted",
        ),
        ({}, np.append(rows(20, 0), np.full((1, 5), np.nan), axis=0), DataError, "row 20 holds no value at all"),
        ({}, TEXTS, DataError, r"too many for a category; take VAEDetector\(columns={'text': 'ignored'}\)"),
        ({"columns": {"text": "ignored"}}, TEXTS, ValueError, "leaves no column to learn from"),
        ({"columns": {"word": "ignored"}}, TEXTS, ValueError, "columns names word, but X has text"),
    ],
)
def test_what_it_refuses(parameters, x, error, message):
    with pytest.raises(error, match=message):
        VAEDetector(**{**SMALL, **parameters}).fit(x)


def test_where_the_middle_of_a_column_lies_does_not_matter():
    x = np.round(np.random.default_rng(0).normal(size=(120, 3)) * 1024) / 1024
    short = {"steps": 4, "layers": (8,), "latents": 2, "components": 2, "draws": 1}
    near, far = (VAEDetector(**short).fit(each).decision_scores_ for each in (x, x + np.array([0, 1e8, 1.7e9])))
    np.testing.assert_allclose(far, near, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("alpha", [0, 1, 1.0, "x", None, True, np.nan], "a number between 0 and 1"),
        ("held_back", [0.0, 2, [0.2]], "a number between 0 and 1"),
        ("latents", [0, 2.0, 10**6, True, "8"], "a whole number from 1 to 1,024"),
        ("components", [0, -1], "a whole number from 1 to 1,024"),
        ("steps", [0, 2.5, 10**9], "a whole number from 1 to 10,000,000"),
        ("draws", [0, None], "a whole number from 1 to 1,024"),
        ("layers", [(), 8, "88", [0], [8.0], [True], [10**6], np.ones((2, 2)), [8] * 17], "a list of 1 to 16 whole"),
        ("scaling", ["log", None, ["standard"]], "one of standard, robust, quantile"),
        ("kind", ["hottest_part", "elbo"], "one of negative_elbo"),
        ("contamination", [0.1, "all"], "one of none, some"),
        ("columns", ["a", {"a": "text"}, [("a", "number")]], "a name and one of number, boolean"),
    ],
)
def test_parameters_are_refused_in_its_own_words(name, values, wanted):
    for value in values:
        with pytest.raises(ValueError, match=rf"(?s)^{name}=.* was given; wanted {re.escape(wanted)}"):
            VAEDetector(**{**SMALL, name: value}).fit(rows(20, 0))


def test_texts_among_numbers_are_to_be_made_nan():
    frame = pd.DataFrame({"a": [*map(str, range(30)), "?"]})
    with pytest.raises(DataError, match=r"among them '\?': if that is .* missing value is written, make it NaN; else"):
        VAEDetector().fit(frame)
