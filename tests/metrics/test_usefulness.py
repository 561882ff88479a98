"""Classifiers of drawn rows, tried on test rows."""

import numpy as np
import pytest

from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics.usefulness import usefulness

LINE = ((0.0, 0.0), (1.0, 1.0))
COLUMNS = [
    Column("a", "number", True, LINE),
    Column("b", "category", False, LINE, ("x", "y", "z")),
    Column("rich", "boolean", False, LINE),
    Column("sum", "number", True, LINE),
]


def rows(count, seed, holds=True):
    """Who is rich follows from a and b, and from nothing where it doesn't hold."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=count), draw.choice(3, count).astype(float)
    rich = (a + b > 2).astype(float)
    if not holds:
        rich = draw.permutation(rich)
    total = np.where(draw.random(count) < 0.05, np.nan, a + b if holds else draw.permutation(a + b))
    return np.stack([np.where(draw.random(count) < 0.05, np.nan, a), b, rich, total], 1)


def test_rows_of_the_same_law_are_worth_the_same_and_others_nothing():
    real, test = rows(400, 0)[:, :3], rows(300, 1)[:, :3]
    same = usefulness(real, test, rows(400, 2)[:, :3], COLUMNS[:3], "rich", 0)
    assert same["tstr_of_train_accuracy"] > 0.9 and same["tstr_of_train_f1"] > 0.8
    assert same["tstr_accuracy"] == pytest.approx(same["tstr_of_train_accuracy"], abs=0.04)
    other = usefulness(real, test, rows(400, 3, holds=False)[:, :3], COLUMNS[:3], "rich", 0)
    assert other["tstr_f1"] < 0.4 and other["tstr_of_train_f1"] == same["tstr_of_train_f1"]


def test_a_number_is_foretold_too():
    found = usefulness(rows(400, 0), rows(300, 1), rows(400, 2, holds=False), COLUMNS, "sum", 0)
    assert found["tstr_of_train_r2"] > 0.8 and found["tstr_r2"] < 0.2


def test_drawn_rows_of_one_class_foretell_it_always():
    real, test, drawn = (rows(count, seed)[:, :3] for count, seed in ((400, 0), (300, 1), (200, 2)))
    drawn[:, 2] = 0
    found = usefulness(real, test, drawn, COLUMNS[:3], "rich", 0)
    assert found["tstr_accuracy"] == pytest.approx(1 - test[:, 2].mean()) and found["tstr_f1"] == 0
    real[:, 2] = 0
    assert usefulness(real, test, drawn, COLUMNS[:3], "rich", 0) == {}
