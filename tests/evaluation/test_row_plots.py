"""How columns go together, and the pictures of it."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import f_oneway
from scipy.stats.contingency import association as of_scipy
from scipy.stats.contingency import crosstab
from tests.metrics.test_tables import COLUMNS, LINE

from vae_pipeline.evaluation.row_plots import association, correlations, marginals
from vae_pipeline.kinds.spec import Column


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(0)
    a = draw.normal(size=300)
    c = draw.choice(3, 300).astype(float)
    found = np.stack([a, a + draw.normal(size=300), c, ((c == 1) ^ (draw.random(300) < 0.1)).astype(float)], 1)
    found[:, 1] += c
    return found


def test_pairs_go_together_as_scipy_says(rows):
    found = association(rows, COLUMNS)
    assert found == pytest.approx(found.T) and (found.diagonal() == 1).all()
    assert found[0, 1] == pytest.approx(abs(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]))
    assert found[2, 3] == pytest.approx(of_scipy(crosstab(rows[:, 2], rows[:, 3]).count, method="cramer"))
    # The F of an analysis of variance is ratio² / (1 - ratio²) * (n - k) / (k - 1).
    f = f_oneway(*(rows[rows[:, 2] == value, 1] for value in range(3))).statistic
    assert found[1, 2] ** 2 / (1 - found[1, 2] ** 2) * 297 / 2 == pytest.approx(f)


def test_rows_that_lack_a_value_are_left_out_and_what_never_varies_goes_with_nothing(rows):
    gaps = np.where(np.random.default_rng(1).random(rows.shape) < 0.2, np.nan, rows)
    both = ~np.isnan(gaps[:, 0]) & ~np.isnan(gaps[:, 1])
    wanted = abs(np.corrcoef(gaps[both, 0], gaps[both, 1])[0, 1])
    assert association(gaps, COLUMNS)[0, 1] == pytest.approx(wanted)
    still = np.ones_like(rows)
    assert association(still, COLUMNS) == pytest.approx(np.eye(4))
    assert association(np.full_like(rows, np.nan), COLUMNS) == pytest.approx(np.eye(4))


def test_pictures_are_drawn_of_any_table(rows, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_pipeline.evaluation.row_plots.COLUMNS", 4)
    gaps = np.where(np.random.default_rng(1).random(rows.shape) < 0.2, np.nan, rows)
    gaps[:, 0] = np.nan
    many = tuple(Column(f"a long name $x_{at}$", "number", False, LINE) for at in range(6))
    for at, (real, columns) in enumerate([(gaps, COLUMNS), (np.zeros((9, 6)), many)]):
        marginals(tmp_path / f"m{at}.png", real, real[:5], columns)
        correlations(tmp_path / f"c{at}.png", real, real[:5], columns)
        for name in ("m", "c"):
            assert np.asarray(Image.open(tmp_path / f"{name}{at}.png").convert("L")).std() > 5
    correlations(tmp_path / "one.png", rows[:, :1], rows[:, :1], COLUMNS[:1])
    assert not (tmp_path / "one.png").exists()
