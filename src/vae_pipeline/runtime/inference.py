"""The inference of a bundle's model: q(z|x), and the terms of the ELBO. Every bundle has the graphs for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.kinds.text.spec import CELLS
from vae_pipeline.runtime.graphs import BATCH, Graphs
from vae_pipeline.runtime.inputs import Labels, checked_observations
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Encoding:
    """q(z|x) of each example: arrays of [examples, latents]."""

    mean: Array
    log_variance: Array


@dataclass(frozen=True)
class Scores:
    """Nats an example; a high `negative_elbo` says that the model finds the example unlikely."""

    negative_elbo: Array
    distortion: Array
    rate: Array


def encode(graphs: Graphs, x: Any, labels: Labels) -> Encoding:
    """q(z|x) of raw observations [examples, *event]."""
    return Encoding(*graphs.rows(GraphName.ENCODER, {"x": checked_observations(x, graphs.spec)}, labels))


def score(graphs: Graphs, x: Any, labels: Labels, samples: int, seed: int) -> Scores:
    """-ELBO, distortion and rate, averaged over `samples` draws of z.

    Every example gets the same draws, so that its score doesn't depend on its neighbours.

    Raises:
        DataError: no draw is asked for, or the observations can't be used.
    """
    if samples < 1:
        raise DataError(f"a score needs at least 1 sample; given {samples}")
    x = checked_observations(x, graphs.spec)
    noise = np.random.default_rng(seed).standard_normal((samples, graphs.latents)).astype(np.float32)
    totals = [np.zeros(len(x)) for _ in range(3)]
    for draw in noise:
        inputs = {"x": x, "noise": np.tile(draw, (len(x), 1))}
        answers = graphs.rows(GraphName.SCORE, inputs, labels, _at_a_time(graphs.spec))
        totals = [total + answer for total, answer in zip(totals, answers, strict=True)]
    return Scores(*(total / samples for total in totals))


def _at_a_time(spec: DataSpec) -> int:
    """Examples whose scores are computed at once; the probabilities of long sentences would fill the memory."""
    return min(BATCH, max(1, CELLS // spec.largest))
