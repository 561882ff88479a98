"""The estimator: scikit-learn's checks, PyOD's names, and a threshold that keeps its word."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.tables import mixed_frame
from vae_pipeline.detector import VAEDetector
from vae_pipeline.errors import DataError

SMALL = {"steps": 2, "layers": (8,), "latents": 2, "components": 2, "draws": 1}


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
    np.testing.assert_array_equal(detector.labels_, p_value <= 0.1)
    np.testing.assert_allclose(detector.predict_proba(x), np.stack([p_value, 1 - p_value], 1))
    assert len(detector.calibration_scores_) == 300


def test_again_it_is_the_same(detector):
    again = clone(detector).fit(rows(1500, 1))
    np.testing.assert_array_equal(again.decision_scores_, detector.decision_scores_)
    assert again.threshold_ == detector.threshold_


def test_it_says_which_column(detector):
    x = rows(20, 4)
    x[:, 3] += 5
    assert (detector.explain(x).argmax(axis=1) == 3).mean() > 0.7


def test_columns_of_any_kind():
    frame = mixed_frame().drop(columns="id")
    normal = frame[frame.fraud == 0].drop(columns="fraud")
    detector = VAEDetector(steps=300, layers=(32,), latents=4).fit(normal)
    assert [column.kind for column in detector.columns_] == ["number", "number", "category", "boolean", "date"]
    assert roc_auc_score(frame.fraud, detector.decision_function(frame.drop(columns="fraud"))) > 0.85


def test_so_few_rows_that_no_alarm_can_be_told():
    detector = VAEDetector(alpha=0.01, **SMALL).fit(rows(50, 0))
    assert detector.threshold_ == np.inf and not detector.labels_.any()


@pytest.mark.parametrize(
    ("parameters", "x", "error", "message"),
    [
        ({}, rows(1, 0), ValueError, "minimum of 2 is required"),
        ({}, np.full((20, 2), np.inf), ValueError, "infinity"),
        ({}, np.full((20, 2), np.nan), DataError, "column x0 holds no value"),
        ({"alpha": 1.0}, rows(20, 0), ValueError, r"alpha=1.0 and held_back=0.2 were given; wanted numbers between"),
        ({}, pd.DataFrame({"text": [f"row {index}" for index in range(400)]}), DataError, "too many for a category"),
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


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_of_any_kind_are_one_line(count):
    with pytest.raises(ValueError, match=f"X has {count} rows, and at least 2 are wanted"):
        VAEDetector().fit(pd.DataFrame({"a": [1.0], "c": ["x"]}).head(count))
