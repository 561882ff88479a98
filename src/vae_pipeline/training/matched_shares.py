"""The offset of a table's logits by which drawn rows have each class, cell and gap as often as the training part.

What a decoder makes of draws of a sampler has other shares than what it was trained on: the sampler isn't quite the
aggregate posterior, and rare classes are what a decoder is least sure of. The offset is the one of the model that is
nearest to it, in Kullback and Leibler's sense, among those with the wanted shares at the same latents: it is found by
iterative scaling (Csiszár, I-divergence geometry of probability distributions and minimization problems, 1975).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.table import TableVAE
from vae_pipeline.numerics.device import one_thread
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.system.progress import counted

DRAWS, LEAST, OUTPUTS = 20_000, 4_096, 20_000_000
"""Latents that are drawn: fewer, but not fewer than the least, where they would make more outputs than these."""
BATCH = 1_024
ROUNDS, NEAR = 50, 0.01
"""Rounds at most, and the error of a share, or of its odds, at which they end: a hundredth of it."""
Chances = tuple[Tensor, Tensor, Tensor, list[Tensor]]
"""Chances, or 0 and 1, of a value's being there [batch, columns], of booleans, of cells and of classes."""


@one_thread()
@torch.no_grad()
def match_shares(model: TableVAE, train: Split, seed: int) -> None:
    """Find the offset anew, for the sampler that the model has; a model that draws without one stays as it is."""
    rows, likelihood = model.rows, _likelihood(model)
    if rows.offset is None:
        return
    rows.offset.zero_()
    wanted = _logarithms(likelihood, _observed(model, train)).to(rows.offset)
    met = wanted.isfinite()  # neither what never was seen, nor what always was
    count = min(DRAWS, max(LEAST, OUTPUTS // likelihood.outputs))
    with evaluating(model), seeded(derive(seed, "shares")):
        z = model.draw(torch.randn(count, model.noise).to(rows.offset))
        for _ in counted("match of drawn shares", range(ROUNDS)):
            found = _logarithms(likelihood, _drawn(model, z)).to(rows.offset)
            step = torch.where(met, wanted - found, 0.0)
            rows.offset += step
            if step.abs().max() < NEAR:
                break


def _observed(model: TableVAE, train: Split) -> Iterator[Chances]:
    """The training rows as they are."""
    likelihood = _likelihood(model)
    layout, device = likelihood.layout, next(model.parameters()).device
    for start in range(0, len(train), BATCH):
        values, present = model.scaling(torch.from_numpy(train.x[start : start + BATCH]).to(device)).unbind(1)
        classes = [one_hot(pool.class_of(values[:, index]), pool.classes) for index, pool in layout.categories]
        cells = likelihood.cells.members(layout.take(values, "histogram")).to(values)
        yield present, layout.take(values, "boolean"), cells, classes


def _drawn(model: TableVAE, z: Tensor) -> Iterator[Chances]:
    """The chances that are decoded of latents, with the offset."""
    layout = model.rows.layout
    for some in z.split(BATCH):
        rows = model.decoded_rows(some)
        present = torch.ones(len(some), len(layout.kinds), device=z.device)
        if rows.presence is not None:
            present = layout.among_all(rows.presence.sigmoid(), 1.0)
        histogram = rows.histogram
        cells = present.new_zeros(len(some), 0, 0) if histogram is None else model.rows.cell_shares(histogram)
        yield present, rows.logits.sigmoid(), cells, [model.rows.class_shares(each) for each in rows.log_probabilities]


def _logarithms(likelihood: MixedLikelihood, batches: Iterator[Chances]) -> Tensor:
    """The logarithms of shares and of odds, each in the place that it has in a decoder's output; 0 in other places.

    Shares are those among the values that are there.
    """
    layout, count = likelihood.layout, 0
    totals: list[Tensor] = []
    for present, booleans, cells, classes in batches:
        sums = [
            present.sum(0),
            (booleans * layout.take(present, "boolean")).sum(0),
            (cells * layout.take(present, "histogram").unsqueeze(-1)).sum(0),
            *(
                (each * present[:, index, None]).sum(0)
                for (index, _), each in zip(layout.categories, classes, strict=True)
            ),
        ]
        sums = [each.double().cpu() for each in sums]
        totals = [total + each for total, each in zip(totals, sums, strict=True)] if totals else sums
        count += len(present)
    there, booleans, cells, *classes = totals
    numbers, own, _, gaps, _, counts, *_ = likelihood.parts
    found = [
        torch.zeros(numbers + own),
        (booleans / layout.take(there, "boolean")).logit(),
        (there[layout.gaps] / count).logit() if gaps else torch.zeros(0),
        (cells / layout.take(there, "histogram").unsqueeze(-1)).log().flatten(),
        torch.zeros(counts),
    ]
    for (index, _), each in zip(layout.categories, classes, strict=True):
        found += [(each / there[index]).log(), torch.zeros(1)]  # of a class that training never saw, none is drawn
    return torch.cat(found)


def _likelihood(model: TableVAE) -> MixedLikelihood:
    assert isinstance(model.likelihood, MixedLikelihood)  # the builder says so
    return model.likelihood
