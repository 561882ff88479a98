"""Independent variables of Student's t: like a Gaussian's, with tails in which a value far off is not so unlikely.

Source: Lange, Little and Taylor, Robust Statistical Modeling Using the t Distribution, 1989.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.distributions import StudentT as TorchStudentT

from vae_pipeline.models.likelihoods.location_scale import (
    LEAST_LOG_SCALE,
    ContinuousLikelihood,
    MeanKind,
    ScaleKind,
)
from vae_pipeline.models.likelihoods.values import Array, Values

LEAST_DEGREES, MOST_DEGREES = 1.0, 1000.0
"""Learned degrees of freedom are more than the one, where there is no mean, and a fit's less than the other."""
FIRST_EXCESS = math.log(4.0)  # learned degrees start at 5
SHIFT = 6  # steps up to where the series of gamma functions is exact to float32
ROUNDS = 30  # of the likeliest scale of a batch
MOST_ROUNDS, SETTLED = 200, 1e-4  # of an independent fit
FITTED = 2**20  # values that it goes through so often


class StudentTLikelihood(ContinuousLikelihood):
    """Student's t of each value, of degrees of freedom that are fixed or learned."""

    fixed_degrees: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        scale: float | ScaleKind,
        mean: MeanKind,
        degrees: float | Literal["learned"],
    ) -> None:
        super().__init__(shape, scale, mean)
        self.known = None if isinstance(degrees, str) else degrees
        """The degrees of freedom, where the recipe says them."""
        if self.known is None:
            self.log_excess = nn.Parameter(torch.tensor(FIRST_EXCESS))
        else:
            self.register_buffer("fixed_degrees", torch.tensor(self.known), persistent=False)

    @property
    def degrees(self) -> Tensor:
        """Degrees of freedom."""
        return degrees_of(self.log_excess) if self.known is None else self.fixed_degrees

    def real(self, mean: Tensor, scale: Tensor) -> "StudentT":
        """The distribution of each value."""
        return StudentT(self.degrees, mean, scale)

    @torch.no_grad()
    def likeliest(self, away: Tensor) -> Tensor:
        """The scale by EM, from the one that is remembered; at a maximum it has no gradient."""
        degrees, squares = self.degrees, away.square()
        variance = (2 * self.log_scale).exp()
        for _ in range(ROUNDS):
            variance = ((degrees + 1) * squares / (degrees + squares / variance)).mean()
        return 0.5 * variance.log()

    def figures(self) -> dict[str, float]:
        """The mean of its scales, unless the decoder gives them, and its degrees of freedom."""
        return {**super().figures(), "degrees": float(self.degrees.detach())}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is a location a value, one scale, and one number of degrees of freedom."""
        some = train.some()
        every = -(-some.size // FITTED)  # the examples are in their order: none is favoured
        found = fitted(some[::every], self.fixed, self.known)
        location, *others = (torch.as_tensor(part, dtype=torch.float64) for part in found)
        values = StudentT(others[1], location, others[0])
        return sum(float(values.log_prob(torch.from_numpy(x)).sum()) for x in test) / test.count


class StudentT(Distribution):
    """Student's t at a location and a scale; in place of a mean, which few degrees lack, stands the location.

    log p(x) = -(ν + 1) / 2 log(1 + ((x - m) / s)² / ν) - log s + log Γ((ν + 1) / 2) - log Γ(ν / 2) - log(π ν) / 2
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, degrees: Tensor, location: Tensor, scale: Tensor) -> None:
        """`degrees` and `scale` may be fewer than the locations: they are spread over these."""
        self.degrees, self.location, self.scale = degrees, location, scale
        super().__init__(location.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The location: mean, median and mode."""
        return self.location

    @property
    def variance(self) -> Tensor:
        """s² ν / (ν - 2); infinite up to ν = 2."""
        return TorchStudentT(self.degrees, self.location, self.scale, validate_args=False).variance

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of each value."""
        away = (value - self.location) / self.scale
        tails = 0.5 * (self.degrees + 1) * torch.log1p(away.square() / self.degrees)
        return _normaliser(self.degrees) - self.scale.log() - tails

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """torch's draws."""
        torchs = TorchStudentT(self.degrees, self.location, self.scale, validate_args=False)
        return torchs.sample(torch.Size(sample_shape))


def degrees_of(log_excess: Tensor) -> Tensor:
    """Degrees of freedom that a parameter means."""
    return LEAST_DEGREES + log_excess.exp()


def _normaliser(degrees: Tensor) -> Tensor:
    """log Γ(a + 1/2) - log Γ(a) - log(2π a) / 2 of a = ν / 2, in operators that every ONNX runtime has.

    By Γ(a + 1) = a Γ(a) it is taken to an a over SHIFT, where a series is within 1e-8 of it. A difference of two
    logarithms of gamma functions would cancel in float32 where they are large.

    Source: Tricomi and Erdélyi, The Asymptotic Expansion of a Ratio of Gamma Functions, 1951.
    """
    a = 0.5 * degrees
    shifted = a + SHIFT
    r = 1 / shifted
    found = 0.5 * shifted.log() - r / 8 + r * r * r / 192 - r * r * r * r * r / 640 - 0.5 * (2 * math.pi * a).log()
    for step in range(SHIFT):
        found = found - torch.log1p(0.5 / (a + step))
    return found


class Fitted(NamedTuple):
    """The likeliest location of each value, their scale, and their degrees of freedom."""

    location: Array
    scale: float
    degrees: float


def fitted(x: Array, scale: float | None = None, degrees: float | None = None) -> Fitted:
    """Maximum likelihood of independent values [examples, values], with what is given kept; by EM.

    Source: Liu and Rubin, ML Estimation of the t Distribution Using EM and Its Extensions, ECM and ECME, 1995.
    """
    location = np.median(x, axis=0)
    nu = 5.0 if degrees is None else degrees
    least = math.exp(LEAST_LOG_SCALE)
    s = max(float(np.median(np.abs(x - location))), least) if scale is None else scale
    for _ in range(MOST_ROUNDS):
        before = (location, s, nu)
        weight = (nu + 1) / (nu + (x - location) ** 2 / s**2)
        location = (weight * x).sum(axis=0) / weight.sum(axis=0)
        if scale is None:
            s = max(math.sqrt(float((weight * (x - location) ** 2).mean())), least)
        if degrees is None:
            nu = _likeliest_degrees((x - location) / s)
        moved = np.abs(location - before[0]).max() / s
        if max(moved, abs(math.log(s / before[1])), abs(math.log(nu / before[2]))) < SETTLED:
            break
    return Fitted(location, s, nu)


def _likeliest_degrees(away: Array) -> float:
    """The likeliest degrees of freedom of values at these distances from the location, in scales."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 (training loads no scipy)
    from scipy.special import gammaln  # noqa: PLC0415

    squares = away**2

    def cost(log_excess: float) -> float:
        nu = LEAST_DEGREES + math.exp(log_excess)
        constant = float(gammaln((nu + 1) / 2) - gammaln(nu / 2)) - 0.5 * math.log(math.pi * nu)
        return 0.5 * (nu + 1) * float(np.log1p(squares / nu).mean()) - constant

    bounds = (-6.0, math.log(MOST_DEGREES))
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return LEAST_DEGREES + math.exp(float(found.x))
