"""Baselines, which know less than a model: one ignores z, and one is linear."""

import copy
from collections.abc import Iterator
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.images import psnr
from vae_pipeline.metrics.parts import at_once, batches, subset, viewed
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.likelihoods.values import Values
from vae_pipeline.models.scaling import AnyScaling, TableScaling
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
CPU = torch.device("cpu")

EXAMPLES = 10_000  # of training, where they are needed at once
VALUES = 2**25  # likewise, in all
ROWS = 4096  # examples read at a time, at most
WHAT = "the baseline of independent values"


def baseline_elbo(
    likelihood: Likelihood, train: Split, test: Split, spec: DataSpec, seed: int, scaling: AnyScaling | None = None
) -> float:
    """log p(x) of the test part, in nats an example, by independent values of the likelihood's family.

    They are fitted to the training part: what a decoder could reach that is told nothing by z. Sound has no values but
    in the view of the model's `scaling`, and of images features may be seen.
    """
    family = copy.deepcopy(likelihood)
    assert isinstance(family, nn.Module)  # as the protocol says
    family.to(CPU)  # where the values are
    return family.independent(_values(train, spec, seed, scaling), _values(test, spec, seed, scaling))


def _values(split: Split, spec: DataSpec, seed: int, scaling: AnyScaling | None) -> Values:
    """Give some examples at a time of images and sound, and all at once of what is smaller."""
    if isinstance(spec, AudioSpec):
        assert scaling is not None
        some = subset(split, max(1, min(EXAMPLES, VALUES // spec.dimensions)), seed)
        return Values(
            len(split), lambda: viewed(split, scaling, WHAT), lambda: np.concatenate([*viewed(some, scaling, WHAT)])
        )
    if isinstance(spec, ImageSpec):
        return Values(len(split), lambda: scaled(split, spec, scaling), lambda: fitted(split, spec, seed, scaling))
    return Values(len(split), lambda: iter([_whole(split, spec)]), lambda: _whole(split, spec))


def _whole(split: Split, spec: TableSpec | TextSpec) -> Array:
    match spec:
        case TableSpec():
            rows: Tensor = TableScaling.of(spec)(torch.from_numpy(split.x[:]))
            return rows.double().numpy()
        case TextSpec():
            return split.x[:]
        case _:
            assert_never(spec)


def baseline_psnr(train: Split, test: Split, spec: ImageSpec, latents: int, seed: int) -> float | None:
    """PSNR in dB of the test part by as many principal components of the training part as there are latents.

    None if there are more latents than examples or values.
    """
    images = fitted(train, spec, seed).astype(np.float32)
    if latents > min(images.shape):
        return None
    components = PCA(latents, svd_solver="randomized", random_state=derive(seed, "pca") % 2**32).fit(images)
    squares = []
    for rows in batches(test, CPU, "the linear baseline", at_once(test, ROWS)):
        given = _on_unit_range(rows.x, spec).astype(np.float32)
        output = components.inverse_transform(components.transform(given)).clip(0, 1)
        squares.append(((_on_unit_range(rows.original, spec) - output) ** 2).mean(axis=1))
    return float(psnr(np.concatenate(squares)).mean())


def fitted(train: Split, spec: ImageSpec, seed: int, scaling: AnyScaling | None = None) -> Array:
    """Training examples, as many as may be in memory at once: [examples, values], as `scaled` gives them."""
    some = subset(train, max(1, min(EXAMPLES, VALUES // spec.dimensions)), seed)
    return np.concatenate([*scaled(some, spec, scaling)])


def scaled(split: Split, spec: ImageSpec, scaling: AnyScaling | None = None) -> Iterator[Array]:
    """The values that a decoder is to explain, some examples at a time: [examples, values] on [0, 1].

    Where `scaling` gives features, these in their place.
    """
    if isinstance(scaling, FeatureScaling):
        yield from viewed(split, scaling, WHAT)
        return
    for rows in batches(split, CPU, WHAT, at_once(split, ROWS)):
        yield _on_unit_range(rows.explained, spec)


def _on_unit_range(x: Tensor, spec: ImageSpec) -> Array:
    values: Array = (x.flatten(1).numpy().astype(np.float64) - spec.low) / (spec.high - spec.low)
    return values
