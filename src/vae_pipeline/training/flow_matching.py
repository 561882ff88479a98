"""The fit of a flow-matching sampler to draws of the aggregate posterior."""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.models.flow_matching import FlowMatchingSampler, on_the_way
from vae_pipeline.models.nets.velocity import moments
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.device import one_thread
from vae_pipeline.recipe.sampler import FlowMatching
from vae_pipeline.system.progress import counted

DRAWS, NUMBERS = 100_000, 2**27  # the most draws, and numbers in all of them: 512 MiB, of which the fit has copies
WARM_UP, DECAY = 200, 0.999
CALIBRATED, CHUNK, RIDGE = 50_000, 5_000, 1e-4
HELD_OUT, CHECK_EVERY = 0.1, 200


class _Usual(NamedTuple):
    """The size of a fit, where the recipe leaves it open."""

    width: int
    batch: int
    updates: int
    learning_rate: float
    held_out: int
    """The most draws on which an average of the weights is judged."""


VECTOR, MAP = _Usual(256, 512, 8000, 4e-3, 2048), _Usual(32, 64, 2000, 1.5e-3, 512)


def draws_of(latents: int) -> int:
    """The number of draws to fit to: fewer of large maps, so that they fit into memory."""
    return min(DRAWS, NUMBERS // latents)


def fit_flow_matching(
    z: Float[Tensor, "draws latents"], shape: Sequence[int], asked: FlowMatching
) -> FlowMatchingSampler:
    """The moving average of the weights that was best on the draws held out; z is flat, of latents of such a shape.

    It runs where z lies, a vector's small products on one thread. What is random comes from torch's global generator on
    the CPU, the same for every device.
    """
    if len(shape) == 1:
        with one_thread():
            return _fitted(z, shape, asked, VECTOR)
    return _fitted(z, shape, asked, MAP)


def _fitted(z: Tensor, shape: Sequence[int], asked: FlowMatching, usual: _Usual) -> FlowMatchingSampler:
    updates = asked.updates or usual.updates
    sampler = FlowMatchingSampler(shape, asked.layers, asked.width or usual.width, asked.steps).to(z.device)
    sampler.mean.copy_(z.mean(0).view(*shape))
    sampler.scale.copy_(z.std(0).clamp_min(1e-6).view(*shape))
    draws = ((z - sampler.mean.flatten()) / sampler.scale.flatten())[torch.randperm(len(z)).to(z.device)]
    held_out, draws = draws.tensor_split([min(usual.held_out, math.ceil(HELD_OUT * len(z)))])
    others = _pairs(held_out)
    averaged = copy.deepcopy(sampler).requires_grad_(False)
    optimizer = AdamW(sampler, weight_decay=0.0)
    best, kept = math.inf, averaged.state_dict()
    for step in counted("fit of the sampler flow_matching", range(updates)):
        loss = _error(sampler, *_pairs(draws[torch.randint(len(draws), (usual.batch,)).to(z.device)]))
        sampler.zero_grad()
        loss.backward()
        fallen = 0.5 * (1 + math.cos(math.pi * step / updates))
        optimizer.step(torch.tensor(usual.learning_rate * min(1.0, (step + 1) / WARM_UP) * fallen))
        with torch.no_grad():
            weight = 1 - min(DECAY, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(averaged.parameters()), list(sampler.parameters()), weight)
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == updates:
                reached = _error(averaged, *others).item()
                if reached < best:
                    best, kept = reached, copy.deepcopy(averaged.state_dict())
    averaged.load_state_dict(kept)
    if not averaged.is_map:
        _calibrate(averaged, draws)
    return averaged


@torch.no_grad()
def _calibrate(sampler: FlowMatchingSampler, draws: Float[Tensor, "draws latents"]) -> None:
    """Bring mean and covariance of what is drawn to those of the latents: of a network that errs
    the variance is too small.

    Of a map there would be as many numbers as pairs of its latents.
    """
    found = torch.cat([sampler.follow(torch.randn(CHUNK, sampler.noise).to(draws)) for _ in range(CALIBRATED // CHUNK)])
    wanted, had = (_root(each) for each in (draws, found))
    sampler.stretch.copy_((wanted @ had.inverse()).to(draws))
    sampler.shrink.copy_((had @ wanted.inverse()).to(draws))
    sampler.mean.sub_((found.mean(0) @ sampler.stretch.mT) * sampler.scale)


def _root(points: Float[Tensor, "points latents"]) -> Float[Tensor, "latents latents"]:
    """The triangular root of their covariance, in float64 on the CPU; a dimension that is always the same has a bit."""
    away = (points - points.mean(0)).cpu().double()
    covariance = away.mT @ away / len(points)
    root: Tensor = torch.linalg.cholesky(covariance + RIDGE * torch.eye(len(covariance), dtype=torch.float64))
    return root


def _pairs(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noise for each draw, the draws, and times that fill the way evenly."""
    share = (torch.arange(len(x)) + torch.rand(len(x))) / len(x)
    return torch.randn(x.shape).to(x), x, (0.5 * math.pi * share).to(x)


def _error(sampler: FlowMatchingSampler, noise: Tensor, x: Tensor, angle: Tensor) -> Tensor:
    """Mean squared error of the velocity."""
    z, velocity = on_the_way(noise, x, angle)
    error: Tensor = (sampler.velocity(z, moments(angle)) - velocity).square().mean()
    return error
