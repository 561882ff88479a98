"""A draw of a posterior, and what is asked of the distribution that it is of."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from vae_pipeline.numerics.randomness import standard_normal


@dataclass(frozen=True)
class Draw:
    """A draw of q(z|x), with what was found on the way to it: an inverse or a second walk would find it again."""

    z: Float[Tensor, "*batch latents"]
    posterior: Distribution
    """q(z|x); of levels, that of each given the levels above it as they were drawn."""
    log_q: Callable[[], Float[Tensor, "*batch"]]
    """Computes log q(z|x) in nats: few ask for it where the rate has a closed form."""
    state: Tensor | None = None
    """The decoder's last state, one row for each z, where the posterior walks down it."""


class Posterior(Distribution, ABC):
    """q(z|x): a distribution over latents, the last axis, that turns noise into draws."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[z], or what stands for it."""

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """Var[z] of each dimension."""

    @property
    @abstractmethod
    def like(self) -> Float[Tensor, "*batch latents"]:
        """A tensor of the shape and kind of one draw."""

    @abstractmethod
    def draw(self, noise: Float[Tensor, "*samples latents"]) -> Draw:
        """The draw that `noise` of N(0, I) becomes."""

    @abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats, of a z from anywhere."""

    def drawn(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Draw:
        """A reparameterised draw (Kingma and Welling, 2014)."""
        return self.draw(standard_normal(sample_shape, self.like))

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """The z of such a draw."""
        return self.drawn(sample_shape).z
