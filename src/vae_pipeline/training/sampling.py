"""Samplers fitted after training to the posteriors of the training data, and the choice among them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.drawn_rows import draw_rows
from vae_pipeline.metrics.features import Reference, reference
from vae_pipeline.metrics.generation import LEAST, frechet_distance
from vae_pipeline.metrics.mixtures import POINTS, mixture, posterior_draws
from vae_pipeline.metrics.parts import subset
from vae_pipeline.metrics.samples import sample_features
from vae_pipeline.models.samplers import FlowSampler, MixtureSampler, Sampler
from vae_pipeline.models.table import TableVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.device import one_thread
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe.sampler import Asked, FlowMatching, MixtureOf, SamplerKind
from vae_pipeline.system.progress import counted, going
from vae_pipeline.training.class_gaussians import fit_class_gaussians
from vae_pipeline.training.flow_matching import draws_of, fit_flow_matching
from vae_pipeline.training.matched_shares import match_shares

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

COUNTS = (10, 20, 40, 80)
"""Components of the mixture that `choose_sampler` tries, for as long as samples come nearer."""
LAYERS, WIDTH, STEPS, BATCH, LEARNING_RATE = 4, 64, 1000, 512, 3e-3
HELD_OUT, CHECK_EVERY = 0.1, 100
Array = npt.NDArray[Any]
Distance = Callable[[VAE], float]
"""The distance of what a model draws from real observations."""


@dataclass(frozen=True)
class ChosenSampler:
    """The sampler that was taken."""

    kind: SamplerKind
    sampler: Sampler | None
    """None: the prior's own."""
    distances: dict[SamplerKind, float]
    """Distance of each candidate's samples from the validation part; empty where none was measured."""


def fit_sampler(asked: Asked, model: VAE, train: Split, seed: int) -> Sampler | None:
    """Fit what is asked for to draws of q(z|x) of training examples; None for the prior's own."""
    match asked:
        case "prior":
            return None
        case "mixture":
            asked = MixtureOf(kind="mixture")
        case "flow_matching":
            asked = FlowMatching(kind="flow_matching")
    kind = asked if isinstance(asked, str) else asked.kind
    z = posterior_draws(model, train, seed, draws_of(model.latents) if kind == "flow_matching" else POINTS)
    device = next(model.parameters()).device
    with seeded(derive(seed, "sampler", kind)):
        match asked:
            case "gaussian":
                going("fit of the sampler gaussian", 0, 1)
                return _as_sampler(mixture(z, 1, seed)).to(device)
            case MixtureOf(components=components):
                going(f"fit of the sampler mixture of {components}", 0, 1)
                return _as_sampler(mixture(z, components, seed)).to(device)
            case "gaussian_by_class":
                going("fit of the sampler gaussian_by_class", 0, 1)
                return fit_class_gaussians(model, train, seed)
            case "flow":
                return _flow(z).to(device)
            case FlowMatching():
                return fit_flow_matching(torch.from_numpy(z).to(device), model.latent_shape, asked)
            case _:
                assert_never(asked)


def take_sampler(model: VAE, sampler: Sampler | None, train: Split, seed: int) -> None:
    """Give a model its sampler, and a model of rows the shares of the training part, where they are to be matched."""
    model.sampler = sampler
    if isinstance(model, TableVAE):
        match_shares(model, train, seed)


def choose_sampler(
    model: VAE,
    train: Split,
    distance: Distance,
    seed: int,
    among: Sequence[SamplerKind] | None = None,
) -> ChosenSampler:
    """The kind whose samples are nearest to real ones; a mixture of as many components as bring them nearest."""
    kinds = candidates(model) if among is None else among
    before = model.sampler
    fitted: dict[SamplerKind, Sampler | None] = {}
    distances: dict[SamplerKind, float] = {}
    try:
        for kind in kinds:
            counts = [MixtureOf(kind="mixture", components=count) for count in COUNTS]
            for asked in counts if kind == "mixture" else [kind]:
                take_sampler(model, fit_sampler(asked, model, train, seed), train, seed)
                found = distance(model)
                if found >= distances.get(kind, np.inf):
                    break
                fitted[kind], distances[kind] = model.sampler, found
    finally:
        model.sampler = before
    best = min(kinds, key=lambda kind: distances[kind])
    return ChosenSampler(best, fitted[best], distances)


def distance_from(prepared: Prepared, home: Path, device: torch.device, seed: int) -> Distance:
    """The distance that suits the observations; `home` keeps the classifier by whose features images are compared."""
    train, valid = prepared.train, prepared.valid
    if prepared.spec.kind == "table":
        return of_rows(train, valid, seed)
    return of_features(train, valid, reference(prepared, home, device), seed)


def of_features(train: Split, valid: Split, features: Reference, seed: int) -> Distance:
    """The Fréchet distance of samples' features from those of the validation part; of training if it is too small."""
    wanted = features.of(subset(valid if len(valid) >= LEAST else train, POINTS, seed))
    return lambda model: frechet_distance(wanted, sample_features(model, train, features, seed))


def of_rows(train: Split, valid: Split, seed: int) -> Distance:
    """The AUC of boosted trees that tell drawn rows from those of the validation part, or of training likewise."""
    # scikit-learn costs only those who ask for it
    from vae_pipeline.metrics.two_sample import classifier_auc  # noqa: PLC0415

    real = subset(valid if len(valid) >= LEAST else train, POINTS, seed).x[:]

    def auc(model: VAE) -> float:
        assert isinstance(model, TableVAE)  # the builder says so
        return classifier_auc(real, draw_rows(model, len(real), derive(seed, "sampler")), derive(seed, "folds"))

    return auc


def candidates(model: VAE) -> list[SamplerKind]:
    """The kinds that `auto` fits and compares: a map has too many latents for a covariance or a coupling flow."""
    if model.is_map:
        return ["prior", "flow_matching"]
    vectors: list[SamplerKind] = ["prior", "gaussian", "mixture", "flow"]
    return vectors if model.latents > 1 else vectors[:-1]  # a coupling needs two halves


def _as_sampler(fit: "GaussianMixture") -> MixtureSampler:
    tril = np.linalg.cholesky(fit.covariances_)
    return MixtureSampler(*(torch.from_numpy(values).float() for values in (fit.weights_, fit.means_, tril)))


@one_thread()
def _flow(z: Array) -> FlowSampler:
    """Maximum likelihood; the weights are those that were best on the draws held out."""
    sampler = FlowSampler(z.shape[1], LAYERS, WIDTH)
    sampler.mean.copy_(torch.from_numpy(z.mean(0)))
    sampler.scale.copy_(torch.from_numpy(z.std(0)).clamp_min(1e-6))
    draws = torch.from_numpy(z)[torch.randperm(len(z))]
    held_out, draws = draws.split([round(HELD_OUT * len(z)), len(z) - round(HELD_OUT * len(z))])
    optimizer = AdamW(sampler, weight_decay=0.0)
    best, kept = -np.inf, _weights(sampler)
    for step in counted("fit of the sampler flow", range(STEPS)):
        loss = -sampler.log_prob(draws[torch.randint(len(draws), (BATCH,))]).mean()
        sampler.zero_grad()
        loss.backward()
        optimizer.step(torch.tensor(LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))))
        if (step + 1) % CHECK_EVERY == 0:
            with torch.no_grad():
                reached = sampler.log_prob(held_out).mean().item()
            if reached > best:
                best, kept = reached, _weights(sampler)
    sampler.load_state_dict(kept)
    return sampler.requires_grad_(False)


def _weights(sampler: FlowSampler) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in sampler.state_dict().items()}
