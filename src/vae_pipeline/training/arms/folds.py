"""Folds of the training part, of like shares of each class, for cross-validation within it."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from vae_pipeline.kinds.division import row_hash
from vae_pipeline.kinds.parts import Indices
from vae_pipeline.kinds.store import Split
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.errors import DataError

VALUES = 2**24  # read at a time, at most


class Folds:
    """Divisions into folds: repeat r holds back fold r modulo `count`, and after each round a new division is drawn.

    Images of one group, such as a patient, are of one fold. Where no groups are known, equal images are.
    """

    def __init__(self, train: Split, count: int, seed: int, classes: Sequence[str]) -> None:
        """Find out what belongs together.

        Raises:
            DataError: a class has too few groups, or different images, for one in each fold.
        """
        assert train.labels is not None  # the study says so
        self.labels, self.count, self.seed = train.labels, count, seed
        self.units = _equals(train) if train.groups is None else train.groups
        self.noun = "different images" if train.groups is None else "groups"
        units = {label: len(np.unique(self.units[self.labels == label])) for label in np.unique(self.labels)}
        least = min(units, key=lambda label: units[label])
        if units[least] < count:
            raise DataError(
                f"study.folds is {count}, and class {classes[least]} has {units[least]} {self.noun} in the training "
                "part, of which each fold needs one: give fewer folds, or more data"
            )
        self._divided = lru_cache(maxsize=1)(self._divide)

    def held_back(self, repeat: int) -> Indices:
        """The rows that a repeat holds back, sorted.

        Raises:
            DataError: a fold lacks a class.
        """
        return self._divided(repeat // self.count)[repeat % self.count]

    def _divide(self, round_of: int) -> list[Indices]:
        seed = derive(self.seed, "folds", round_of) % 2**32
        alone = len(np.unique(self.units)) == len(self.units)  # a thousand times as fast, and exact
        divide = (StratifiedKFold if alone else StratifiedGroupKFold)(self.count, shuffle=True, random_state=seed)
        folds = [rows for _, rows in divide.split(self.labels, self.labels, None if alone else self.units)]
        classes = len(np.unique(self.labels))
        if any(len(np.unique(self.labels[rows])) < classes for rows in folds):
            raise DataError(
                f"study.folds is {self.count}, and {self.noun} can't be so divided that each fold has images of each "
                "class: give fewer folds, or more data"
            )
        return folds


def _equals(train: Split) -> Indices:
    """A number for each image, the same of equal ones."""
    size = max(1, VALUES // math.prod(train.x.shape[1:]))
    parts = (train.x[start : start + size] for start in range(0, len(train), size))
    hashes = np.fromiter((row_hash(image.tobytes()) for part in parts for image in part), np.uint64, len(train))
    numbers: Indices = np.unique(hashes, return_inverse=True)[1]
    return numbers
