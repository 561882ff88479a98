"""The images of a study's repeats: the labelled set that its arms learn from, and those by which an arm is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vae_pipeline.kinds.parts import Indices
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.parts import taken
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe.study import Study
from vae_pipeline.training.arms.folds import Folds
from vae_pipeline.training.arms.labelled import Size, images_of, labelled_rows


@dataclass(frozen=True)
class Drawn:
    """The images of one repeat, at one size."""

    labelled: Split
    choosing: Split
    """The validation part, or a fold of the training part from which none is labelled."""
    seed: int
    """The seed of the repeat's classifiers and of its generator."""


class Repeats:
    """The repeats of a study, each of which follows from the seed and its own number."""

    def __init__(self, study: Study, prepared: Prepared, seed: int, classes: Sequence[str]) -> None:
        """Find out whether they can be drawn.

        Raises:
            DataError: images are too few for a size, or for the folds.
        """
        self.prepared, self.seed = prepared, seed
        self.folds = None if study.folds is None else Folds(prepared.train, study.folds, seed, classes)
        for repeat in range(1 if self.folds is None else study.repeats):
            others = self._others(self._held_back(repeat))
            for size in study.sizes:
                images_of(_labels(prepared.train)[others], size)

    def draw(self, size: Size, repeat: int) -> Drawn:
        """The images of a repeat, in memory."""
        train, held = self.prepared.train, self._held_back(repeat)
        choosing = self.prepared.valid if self.folds is None else taken(train, held)
        return Drawn(taken(train, self._labelled(size, repeat, held)), choosing, self._seed(size, repeat))

    def groups(self, size: Size, repeats: int) -> tuple[int, int] | None:
        """The least and the most groups that a labelled set of so many repeats is of; None where none are known."""
        groups = self.prepared.train.groups
        if groups is None:
            return None
        sets = (self._labelled(size, repeat, self._held_back(repeat)) for repeat in range(repeats))
        counts = [len(np.unique(groups[rows])) for rows in sets]
        return min(counts), max(counts)

    def _labelled(self, size: Size, repeat: int, held: Indices) -> Indices:
        return labelled_rows(self.prepared.train, self._others(held), size, self._seed(size, repeat))

    def _seed(self, size: Size, repeat: int) -> int:
        return derive(self.seed, "study", str(size), repeat)

    def _held_back(self, repeat: int) -> Indices:
        return np.zeros(0, np.int64) if self.folds is None else self.folds.held_back(repeat)

    def _others(self, held: Indices) -> Indices:
        return np.setdiff1d(np.arange(len(self.prepared.train)), held)


def _labels(train: Split) -> Indices:
    assert train.labels is not None  # the study says so
    return train.labels
