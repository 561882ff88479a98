"""A private start: the decoder's biases are the logarithms of how often each class and each cell occurs, with noise.

The counts of a row's K columns are a sum of vectors of norm up to √K, so that noise of the standard deviation
multiplier * √K is one step of the Gaussian mechanism on all rows. Gradients then have to teach what depends on z alone.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.nets.dense import DenseDecoder
from vae_pipeline.models.vae import VAE

CHUNK = 4_096  # rows
LEAST = 0.5
"""Rows that a class or a cell is taken to have at least, and those have of which no column has a row by its making."""


@torch.no_grad()
def begin_by_shares(model: VAE, train: Split, multiplier: float, secret: np.random.Generator) -> None:
    """Set the biases of the decoder's output for booleans, gaps, cells and classes; those of other numbers stay."""
    likelihood, decoder = model.likelihood, model.decoder
    assert isinstance(likelihood, MixedLikelihood) and isinstance(decoder, DenseDecoder)  # a recipe says so
    counts: list[Tensor] = []
    device = decoder.output.bias.device
    for start in range(0, len(train), CHUNK):
        scaled = model.scaling(torch.from_numpy(train.x[start : start + CHUNK]).to(device))
        found = [each.double().sum(0).cpu() for each in _told(likelihood, scaled)]
        counts = [old + new for old, new in zip(counts, found, strict=True)] if counts else found
    scale = multiplier * math.sqrt(len(counts))
    noisy = [each + scale * torch.from_numpy(secret.standard_normal(len(each))) for each in counts]
    decoder.output.bias.copy_(_biases(likelihood, noisy, decoder.output.bias))


def _told(likelihood: MixedLikelihood, scaled: Tensor) -> Iterator[Tensor]:
    """For each boolean, gap, histogram and category 1 where a row has the class, else 0: [rows, classes]."""
    layout = likelihood.layout
    values, present = scaled.unbind(-2)
    for index in layout.of("boolean"):
        yield one_hot(values[:, index], 2) * present[:, index, None]
    for index in layout.gaps if likelihood.modelled else ():
        yield one_hot(present[:, index], 2)
    cells = likelihood.cells
    for place, index in enumerate(layout.of("histogram")):
        at = values[:, index, None]
        yield ((at >= cells.lower[place]) & (at < cells.upper[place])).float() * present[:, index, None]
    for index, pool in layout.categories:
        yield one_hot(pool.class_of(values[:, index]), pool.classes + 1) * present[:, index, None]


def _biases(likelihood: MixedLikelihood, counts: list[Tensor], before: Tensor) -> Tensor:
    numbers, own, booleans, gaps = likelihood.parts[:4]
    logs = [each.clamp_min(LEAST).log() for each in counts]
    pairs, rest = logs[: booleans + gaps], logs[booleans + gaps :]
    for place, size in enumerate(likelihood.cells.sizes):
        rest[place][[0, size - 1]] = math.log(LEAST)  # below and above all values
    for classes in rest[len(likelihood.cells.sizes) :]:
        classes[-1] = math.log(LEAST)  # of values that aren't known
    told = [*(pair[1:] - pair[:1] for pair in pairs), *(_centred(each) for each in rest)]
    return torch.cat([before[: numbers + own], *(each.to(before) for each in told)])


def _centred(logs: Tensor) -> Tensor:
    """Logits of the same probabilities, near 0 as a network's are."""
    return logs - logs.mean()
