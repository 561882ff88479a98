"""The importance bound for several K in one pass, and how far its weights can be trusted."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import PerExample, evaluating, widest
from vae_pipeline.metrics.pareto import pareto_shape, tail_length
from vae_pipeline.metrics.parts import at_once, batches
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

DECODES = 4096  # (example, sample) pairs decoded at a time, at most
COUNTS = (1, 10, 100, 1000, 5000)
SHORTEST = 5  # weights, of which a shape can be told


@dataclass(frozen=True)
class ImportanceBound:
    """log 1/K Σ w of each example, and its weights w = p(x, z) / q(z|x)."""

    bounds: dict[int, PerExample]
    """The bound of the first K draws, for K in `COUNTS` and for all."""
    effective_sample_size: PerExample
    """(Σ w)² / Σ w²: how many equal weights would be as good; from 1 to K (Kong, 1992)."""
    shape: PerExample | None
    """The Pareto k̂ of each example's weights; None where K is too small for it."""

    @property
    def samples(self) -> int:
        """The largest K."""
        return max(self.bounds)

    @property
    def bound(self) -> PerExample:
        """The bound of all draws."""
        return self.bounds[self.samples]

    def of_all(self, elbo: PerExample, rows: npt.NDArray[np.int64]) -> dict[int, "Estimate"]:
        """The mean bound of all examples, of which the `rows` were bounded, for each K."""
        return {count: _controlled(elbo, bound, rows) for count, bound in self.bounds.items()}


@dataclass(frozen=True)
class Estimate:
    """A mean over examples."""

    mean: float
    standard_error: float | None
    """The standard error; None for a single example."""


def _controlled(elbo: PerExample, bound: PerExample, rows: npt.NDArray[np.int64]) -> Estimate:
    """The mean ELBO of all, and the mean gap between it and the bound on some: the ELBO is a control variate.

    Of an ELBO that is mostly the noise of its one draw a share is taken, as regression of the bound on it says.

    Source: Cochran, Sampling Techniques, 1977, section 7.
    """
    if len(rows) < 2:
        return Estimate(float(elbo.mean() + (bound - elbo[rows]).mean()), None)
    (common, together), (_, own) = np.cov(elbo[rows], bound)
    share = min(max(together / common, 0.0), 1.0) if common > 0 else 0.0
    gap = own - 2 * share * together + share**2 * common  # its variance
    paired = share * (together - share * common)  # its covariance with the share of the ELBO
    variance = (share**2 * elbo.var(ddof=1) + 2 * paired) / len(elbo) + gap / len(rows)
    mean = share * elbo.mean() + (bound - share * elbo[rows]).mean()
    return Estimate(float(mean), math.sqrt(max(variance, 0.0)))


@torch.inference_mode()
def importance_bound(model: VAE, split: Split, samples: int, seed: int, device: torch.device) -> ImportanceBound:
    """log 1/K Σ p(x, z_k) / q(z_k|x) of each example, for K up to `samples`.

    Each example is encoded once; its draws are decoded a few at a time into a running logsumexp, and of the weights
    the largest alone are kept, so that memory doesn't grow with K.

    Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016, eq. 8.
    """
    counts = [*(count for count in COUNTS if count < samples), samples]
    # Filled batch by batch: small arrays that stay, between large ones that go, would keep their memory from reuse.
    found = np.empty((len(counts) + 2, len(split)))
    start = 0
    with seeded(derive(seed, "importance")), evaluating(model):
        decodes = at_once(split, DECODES)
        for rows in batches(split, device, "importance bound", rows=max(1, decodes // 32)):
            chunk = max(1, decodes // len(rows.x))
            weights = _log_weights(model, rows, samples, chunk)
            found[:, start : start + len(rows.x)] = _summed(weights, counts)
            start += len(rows.x)
    *bounds, effective, shape = found
    known = tail_length(samples) >= SHORTEST
    return ImportanceBound(dict(zip(counts, bounds, strict=True)), effective, shape if known else None)


def _log_weights(model: VAE, rows: Rows, samples: int, chunk: int) -> Iterator[Float[Tensor, "draws batch"]]:
    """log p(x, z) / q(z|x) of `samples` draws, `chunk` at a time."""
    posterior, target = model.encode(rows.x, rows.label), model.scaling(rows.explained)
    for start in range(0, samples, chunk):
        draw = posterior.drawn(torch.Size([min(chunk, samples - start)]))
        yield model.explain(target, draw, rows.label).log_weight().to(widest(rows.x.device))


def _summed(chunks: Iterator[Tensor], counts: Sequence[int]) -> npt.NDArray[np.float64]:
    """Sum up a batch of examples: the bound of each count, the effective sample size, the shape (NaN if not known)."""
    largest = tail_length(counts[-1]) + 1
    done, bounds = 0, {}
    for weight in chunks:
        if not done:
            total = squares = torch.full_like(weight[0], -math.inf)
            tail = torch.full((weight.shape[1], largest), -math.inf).to(weight)
        for count in counts:
            if done < count <= done + len(weight):
                bounds[count] = torch.logaddexp(total, weight[: count - done].logsumexp(0)) - math.log(count)
        total = torch.logaddexp(total, weight.logsumexp(0))
        squares = torch.logaddexp(squares, (2 * weight).logsumexp(0))
        tail = torch.cat([tail, weight.mT], 1).topk(largest, sorted=False).values
        done += len(weight)
    effective = (2 * total - squares).exp()
    shape = pareto_shape(_array(tail)) if largest > SHORTEST else np.full(len(total), np.nan)
    return np.stack([*(_array(bounds[count]) for count in counts), _array(effective), shape])


def _array(values: Tensor) -> PerExample:
    return values.cpu().double().numpy()
