"""Distances of a set of samples from a set of images, by their features [n, features]; lower is better."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 5
LEAST = 100  # images: sets of fewer say little of the covariance of 64 features, or of who is whose neighbour
BLOCK = 250  # rows whose distances are held at a time
Array = npt.NDArray[Any]


def frechet_distance(first: Array, second: Array) -> float:
    """‖m1 - m2‖² + tr(C1 + C2 - 2 (C1 C2)^½) of the Gaussians with the sets' means and covariances.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, eq. 6 (there of Inception's features).
    """
    means = first.mean(0) - second.mean(0)
    covariances = [np.atleast_2d(np.cov(features, rowvar=False)) for features in (first, second)]
    # The trace of (C1 C2)^½ is that of the symmetric (C1^½ C2 C1^½)^½.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ covariances[1] @ root)
    distance = means @ means + np.trace(covariances[0] + covariances[1]) - 2 * np.sqrt(cross.clip(0)).sum()
    return float(max(distance, 0.0))


@dataclass(frozen=True)
class Overlap:
    """Shares; all are near 1 of two draws of one distribution."""

    precision: float
    """Samples that lie within a real image's neighbourhood."""
    recall: float
    """Real images that lie within a sample's neighbourhood."""
    density: float
    """The number of real neighbourhoods that hold a sample, by the number that would be expected; may exceed 1."""
    coverage: float
    """Real images whose neighbourhood holds a sample."""


def overlap(real: Array, samples: Array) -> Overlap:
    """A neighbourhood reaches to a point's 5th neighbour within its own set.

    Source: Naeem, Oh, Uh, Choi and Yoo, Reliable Fidelity and Diversity Metrics, 2020, eq. 3 to 6.
    """
    neighbours = min(NEIGHBOURS, len(real) - 1, len(samples) - 1)
    real_reach, sample_reach = _reach(real, neighbours), _reach(samples, neighbours)
    holds = np.zeros(len(samples))
    covered, reached = [], []
    for rows, squares in _blocks(real, samples):
        inside = squares <= real_reach[rows, None]
        holds += inside.sum(0)
        covered.append(inside.any(1))
        reached.append((squares <= sample_reach).any(1))
    return Overlap(
        precision=float((holds > 0).mean()),
        recall=float(np.concatenate(reached).mean()),
        density=float(holds.mean() / neighbours),
        coverage=float(np.concatenate(covered).mean()),
    )


def nearest_neighbour_ratio(samples: Array, train: Array, test: Array) -> float:
    """Mean distance to the nearest training image over that to the nearest test image, of sets of one size.

    Near 1 of a model that generalises; the nearer to 0, the more the samples are copies of training images.
    """
    count = min(len(train), len(test))
    near, other = (
        np.concatenate([np.sqrt(squares.min(1)) for _, squares in _blocks(samples, part[:count])]).mean()
        for part in (train, test)
    )
    return float(near / other)


def _reach(points: Array, neighbours: int) -> Array:
    """Squared distance of each point to its so-manieth neighbour, itself not counted."""
    reach = np.empty(len(points))
    for rows, squares in _blocks(points, points):
        reach[rows] = np.partition(squares, neighbours, axis=1)[:, neighbours]
    return reach


def _blocks(first: Array, second: Array) -> Iterator[tuple[slice, Array]]:
    """Squared distances of some rows of `first` at a time to all of `second`."""
    lengths = (second * second).sum(1)
    for start in range(0, len(first), BLOCK):
        block = first[start : start + BLOCK]
        squares = (block * block).sum(1)[:, None] + lengths - 2 * block @ second.T
        yield slice(start, start + BLOCK), squares.clip(0)
