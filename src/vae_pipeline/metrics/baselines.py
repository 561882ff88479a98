"""What a model reaches that knows less: one that ignores z, and one that is linear."""

import math
from collections.abc import Iterator
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from sklearn.decomposition import PCA
from torch.distributions import Normal

from vae_pipeline.kinds.spec import DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.images import psnr
from vae_pipeline.metrics.parts import at_once, subset
from vae_pipeline.models import likelihoods
from vae_pipeline.models.autoregressive import AutoregressiveLikelihood
from vae_pipeline.models.columns import RowDistribution
from vae_pipeline.models.discretised import Discretised
from vae_pipeline.models.likelihoods import LEAST_LOG_SCALE
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]

EXAMPLES = 10_000  # of training, where they are needed at once
VALUES = 2**25  # likewise, in all
ROWS = 4096  # examples read at a time, at most


def baseline_elbo(likelihood: likelihoods.Likelihood, train: Split, test: Split, spec: DataSpec, seed: int) -> float:
    """log p(x) of the test part, in nats an example, by independent values of the likelihood's family.

    They are fitted to the training part: what a decoder could reach that is told nothing by z. A Gaussian or Laplace
    has a location a value and one scale, which is the recipe's where that fixes it.
    """
    if isinstance(likelihood, likelihoods.MixedLikelihood):
        assert isinstance(spec, TableSpec)  # the builder says so
        return _columns(likelihood, train, test, spec)
    if isinstance(likelihood, AutoregressiveLikelihood):
        assert isinstance(spec, TextSpec)  # likewise
        return _tokens(train, test, spec)
    assert isinstance(spec, ImageSpec)
    match likelihood:
        case likelihoods.BernoulliLikelihood():
            return _bernoulli(train, test, spec)
        case likelihoods.LocationScaleLikelihood(levels=int()):
            return _discretised(likelihood, train, test, spec)
        case likelihoods.LocationScaleLikelihood():
            return _location_scale(likelihood, train, test, spec, seed)
        case likelihoods.LogisticLikelihood():
            return _categorical(train, test, spec, likelihood.levels)
        case likelihoods.CategoricalLikelihood():
            return _categorical(train, test, spec, likelihood.planes)
        case _:
            assert_never(likelihood)


def baseline_psnr(train: Split, test: Split, spec: ImageSpec, latents: int, seed: int) -> float | None:
    """PSNR in dB of the test part by as many principal components of the training part as there are latents.

    None if there are more latents than examples or values.
    """
    images = fitted(train, spec, seed).astype(np.float32)
    if latents > min(images.shape):
        return None
    components = PCA(latents, svd_solver="randomized", random_state=derive(seed, "pca") % 2**32).fit(images)
    squares = []
    for x in scaled(test, spec):
        output = components.inverse_transform(components.transform(x.astype(np.float32))).clip(0, 1)
        squares.append(((x - output) ** 2).mean(axis=1))
    return float(psnr(np.concatenate(squares)).mean())


def _bernoulli(train: Split, test: Split, spec: ImageSpec) -> float:
    # Half a one and half a nought are added to what was seen (Krichevsky and Trofimov, 1981), here and below.
    p = (_sum(scaled(train, spec)) + 0.5) / (len(train) + 1)
    x = _sum(scaled(test, spec)) / len(test)
    return float((x * np.log(p) + (1 - x) * np.log1p(-p)).sum())


def _location_scale(
    likelihood: likelihoods.LocationScaleLikelihood, train: Split, test: Split, spec: ImageSpec, seed: int
) -> float:
    gaussian = likelihood.family is Normal
    power, normaliser = (2, 0.5 * math.log(2 * math.pi)) if gaussian else (1, math.log(2))
    location = _sum(scaled(train, spec)) / len(train) if gaussian else np.median(fitted(train, spec, seed), axis=0)

    def away(split: Split) -> float:
        """Σ |x - location|^power over values, averaged over examples."""
        return float(_sum(np.abs(x - location) ** power for x in scaled(split, spec)).sum()) / len(split)

    if isinstance(likelihood.kind, str):
        likeliest = math.pow(away(train) / spec.dimensions, 1 / power)
        scale = max(likeliest, math.exp(likelihoods.LEAST_LOG_SCALE))
    else:
        scale = likelihood.kind
    return -away(test) / (power * math.pow(scale, power)) - spec.dimensions * (math.log(scale) + normaliser)


def _discretised(likelihood: likelihoods.LocationScaleLikelihood, train: Split, test: Split, spec: ImageSpec) -> float:
    """Centres are sought among the levels and up to eight scales beyond their ends; the scale by itself."""
    assert likelihood.levels is not None
    levels = torch.linspace(0, 1, likelihood.levels, dtype=torch.float64)
    trained, tested = (_counts(part, spec, len(levels)).reshape(-1, len(levels)) for part in (train, test))

    def by_centre(scale: float) -> Array:
        """log P of each level by each centre: [levels, centres]."""
        beyond = scale * torch.arange(1, 9, dtype=torch.float64)
        centres = torch.cat([levels, -beyond, 1 + beyond])
        real = likelihood.family(centres, torch.tensor(scale, dtype=torch.float64))
        return Discretised(real, len(levels), 1).log_prob_by_element(levels[:, None]).numpy()

    if isinstance(likelihood.kind, str):
        bounds = (likelihoods.LEAST_LOG_SCALE, 1.0)
        cost = lambda log_scale: -(trained @ by_centre(math.exp(log_scale))).max(axis=1).sum()  # noqa: E731
        scale = math.exp(minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 0.01}).x)
    else:
        scale = likelihood.kind
    table = by_centre(scale)
    chosen = table[:, (trained @ table).argmax(axis=1)]
    return float((tested * chosen.T).sum() / len(test))


def _categorical(train: Split, test: Split, spec: ImageSpec, levels: int) -> float:
    p = (_counts(train, spec, levels) + 0.5) / (len(train) + 0.5 * levels)
    return float((_counts(test, spec, levels) * np.log(p)).sum() / len(test))


def _columns(likelihood: likelihoods.MixedLikelihood, train: Split, test: Split, spec: TableSpec) -> float:
    scaling, layout = TableScaling([column.knots for column in spec.columns]), likelihood.layout
    values, present = scaling(torch.from_numpy(train.x[:])).double().unbind(1)
    count = present.sum(0)
    mean = (values * present).sum(0) / count
    scale = (((values - mean).square() * present).sum(0) / count).sqrt().clamp_min(math.exp(LEAST_LOG_SCALE))
    # Half a one and half a nought are added to what was seen, here too.
    odds = ((values.sum(0) + 0.5) / (count + 1)).logit()
    log_odds = [
        ((one_hot(values[:, index].float(), size) * present[:, index, None]).sum(0) + 0.5).log()
        for index, size in zip(layout.of("category"), layout.category_sizes, strict=True)
    ]
    numbers, booleans = layout.of("number"), layout.of("boolean")
    presence = ((count + 0.5) / (len(values) + 1)).logit()[layout.gaps] if likelihood.modelled else None
    independent = RowDistribution(layout, mean[numbers], scale[numbers], odds[booleans], log_odds, presence)
    return float(independent.log_prob(scaling(torch.from_numpy(test.x[:])).double()).mean())


def _tokens(train: Split, test: Split, spec: TextSpec) -> float:
    """The ELBO of tokens drawn by their frequencies, whatever came before."""
    counts = [np.bincount(split.x[:].ravel(), minlength=spec.vocabulary)[spec.end :] for split in (train, test)]
    p = (counts[0] + 0.5) / (counts[0] + 0.5).sum()
    return float((counts[1] * np.log(p)).sum() / len(test))


def _counts(split: Split, spec: ImageSpec, levels: int) -> Array:
    """How often each level occurs: [values, levels], flat."""
    first = np.arange(spec.dimensions) * levels
    size = spec.dimensions * levels
    whole = (np.rint(x * (levels - 1)).astype(np.int64) + first for x in scaled(split, spec))
    return _sum(np.bincount(x.ravel(), minlength=size)[None] for x in whole)


def fitted(train: Split, spec: ImageSpec, seed: int) -> Array:
    """Training examples, as many as may be in memory at once: [examples, values] on [0, 1]."""
    some = subset(train, max(1, min(EXAMPLES, VALUES // spec.dimensions)), seed)
    return np.concatenate([*scaled(some, spec)])


def scaled(split: Split, spec: ImageSpec) -> Iterator[Array]:
    """[examples, values] on [0, 1], some at a time."""
    rows = at_once(split, ROWS)
    for start in range(0, len(split), rows):
        x = split.x[start : start + rows].astype(np.float64)
        yield (x.reshape(len(x), -1) - spec.low) / (spec.high - spec.low)


def _sum(parts: Iterator[Array]) -> Array:
    """The sum over examples."""
    return np.asarray(sum(part.sum(axis=0) for part in parts))
