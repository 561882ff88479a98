"""The worth of drawn rows to train on: classifiers of them, tried on test rows, beside classifiers of real ones.

Rows are raw, [rows, columns], NaN where a value is missing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, r2_score
from threadpoolctl import threadpool_limits

from vae_pipeline.kinds.spec import Column
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
ROWS = 10_000
"""Rows that are trained on, at most."""
TREES, LEAF = 100, 2
OFTEN = 20  # of each class column, its most frequent classes are told apart


def usefulness(
    train: Array, test: Array, drawn: Array, columns: Sequence[Column], target: str, seed: int, most: int = ROWS
) -> dict[str, float]:
    """Figures of models that foretell the target, trained on as many drawn rows as real ones, both tried on test rows.

    They are means over logistic regression, a random forest and boosted trees: accuracy and F1 of the rarer of two
    classes (of more, the mean over classes); of a number R², by ridge regression in place of the logistic one. Source:
    Esteban, Hyland and Rätsch, Real-valued (Medical) Time Series Generation, 2017 (TSTR).

    Returns: nothing, where there is one class or fewer.
    """
    at = [column.name for column in columns].index(target)
    is_class = columns[at].kind in ("boolean", "category")
    train, test, drawn = (rows[~np.isnan(rows[:, at])] for rows in (train, test, drawn))
    count = min(len(train), len(drawn), most)
    if not count or not len(test) or len(np.unique(train[:, at])) < 2:
        return {}
    choose = np.random.default_rng(derive(seed, "trained on"))
    real, made = (rows[choose.permutation(len(rows))[:count]] for rows in (train, drawn))
    numbers = _Numbers(real, columns, at)
    tried = numbers(test), test[:, at]
    found: dict[str, float] = {}
    for name, rows in (("tstr", made), ("tstr_of_train", real)):
        judge = _classes if is_class else _number
        found |= {
            key.replace("tstr", name): value for key, value in judge(numbers(rows), rows[:, at], *tried, seed).items()
        }
    return found


def _classes(x: Array, y: Array, test_x: Array, test_y: Array, seed: int) -> dict[str, float]:
    classes, counts = np.unique(test_y, return_counts=True)
    judged = {"average": "macro"} if len(classes) > 2 else {"pos_label": classes[counts.argmin()]}
    answers = []
    if len(np.unique(y)) < 2:
        answers = [np.full(len(test_y), y[0])]  # no classifier is fitted to one class
    else:
        models = (
            LogisticRegression(max_iter=1_000),
            RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=seed % 2**32),
            HistGradientBoostingClassifier(random_state=seed % 2**32),
        )
        answers = [_fitted(model, x, y).predict(test_x) for model in models]
    return {
        "tstr_accuracy": float(np.mean([accuracy_score(test_y, each) for each in answers])),
        "tstr_f1": float(np.mean([f1_score(test_y, each, zero_division=0, **judged) for each in answers])),
    }


def _number(x: Array, y: Array, test_x: Array, test_y: Array, seed: int) -> dict[str, float]:
    models = (
        Ridge(),
        RandomForestRegressor(TREES, min_samples_leaf=LEAF, random_state=seed % 2**32),
        HistGradientBoostingRegressor(random_state=seed % 2**32),
    )
    return {"tstr_r2": float(np.mean([r2_score(test_y, _fitted(model, x, y).predict(test_x)) for model in models]))}


def _fitted(model: BaseEstimator, x: Array, y: Array) -> Any:
    with threadpool_limits(1):  # more threads than cores would make boosting many times as slow
        return model.fit(x, y)


class _Numbers:
    """Rows as numbers: the frequent classes of each column apart, gaps filled and told, all of unit spread."""

    def __init__(self, rows: Array, columns: Sequence[Column], target: int) -> None:
        self.columns = [(at, column) for at, column in enumerate(columns) if at != target]
        self.often, self.middle = {}, {}
        for at, column in self.columns:
            present = rows[~np.isnan(rows[:, at]), at]
            if column.kind in ("boolean", "category"):
                values, counts = np.unique(present, return_counts=True)
                self.often[at] = values[np.argsort(-counts, kind="stable")[:OFTEN]]
            else:
                self.middle[at] = float(np.median(present)) if len(present) else 0.0
        self.mean, self.scale = np.zeros(1), np.ones(1)
        given = self(rows)
        self.mean, self.scale = given.mean(0), np.where(given.std(0) > 0, given.std(0), 1)

    def __call__(self, rows: Array) -> Array:
        found = []
        for at, _ in self.columns:
            missing = np.isnan(rows[:, at])
            if at in self.often:
                found += [*(rows[:, at, None] == self.often[at]).T.astype(float), missing]
            else:
                found += [np.where(missing, self.middle[at], rows[:, at]), missing]
        return (np.stack(found, 1) - self.mean) / self.scale
