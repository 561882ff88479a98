"""Gaussian and Laplace variables rounded to whole numbers: a probability for data of so many levels."""

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from numpy.polynomial import Chebyshev, Polynomial
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal, constraints

FAR = 50.0  # standard units past which no tail has a mass that float32 can hold beside 1
REACH, DEGREE = 2.0, 10  # of the normal tail's series: where its variable is one half, and its highest power


class Tail(ABC):
    """A symmetric distribution of centre 0 and scale 1, by its tail, in operators that every ONNX runtime has."""

    @abstractmethod
    def log_tail(self, x: Tensor) -> Tensor:
        """log P(T > x) of x of 0 or more."""

    @abstractmethod
    def excess(self, x: Tensor) -> Tensor:
        """E[max(T - x, 0)] of x of 0 or more."""

    def log_mass(self, below: Tensor, above: Tensor) -> Tensor:
        """log P(-below < T < above), with below + above > 0.

        An interval that holds the centre has a piece on either side of it; another is one piece, which begins
        `away` from the centre. A piece of width w has the mass P(T > away) (1 - P(T > away + w) / P(T > away)).
        """
        away = (-below).relu() + (-above).relu()
        start = self.log_tail(away)
        left, right = below.relu() - (-above).relu(), above.relu() - (-below).relu()
        pieces = [_one_less_exp(start - self.log_tail(away + width)) for width in (left, right)]
        return start + (pieces[0] + pieces[1]).log()


class LaplaceTail(Tail):
    """The density exp(-|x|) / 2."""

    def log_tail(self, x: Tensor) -> Tensor:
        """-x - log 2."""
        return -x - math.log(2)

    def excess(self, x: Tensor) -> Tensor:
        """exp(-x) / 2."""
        return 0.5 * (-x).exp()


class NormalTail(Tail):
    """N(0, 1), by a series: Erf isn't exact far out, and some ONNX runtimes lack it."""

    def log_tail(self, x: Tensor) -> Tensor:
        """-x² / 2 + log t + a polynomial of t = 1 / (1 + x / REACH); within 1e-6 of the exact one at every x."""
        t = 1 / (1 + x / REACH)
        series = torch.full_like(t, _SERIES[-1])
        for coefficient in _SERIES[-2::-1]:
            series = series * t + coefficient
        return series + t.log() - 0.5 * x * x

    def excess(self, x: Tensor) -> Tensor:
        """The density at x, less x P(T > x)."""
        return (-0.5 * x * x).exp() / math.sqrt(2 * math.pi) - x * self.log_tail(x).exp()


def _series() -> list[float]:
    """The polynomial's coefficients, from t to the power of 0 on: interpolated at Chebyshev's points."""

    def left(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x = REACH * (1 / t - 1)
        scaled: Tensor = torch.special.erfcx(torch.from_numpy(x / math.sqrt(2)))
        return np.log(0.5 * np.asarray(scaled) / t)

    found = Chebyshev.interpolate(left, DEGREE, domain=(0, 1)).convert(kind=Polynomial)
    others = [float(coefficient) for coefficient in found.coef[1:]]
    return [-math.log(2) - sum(others), *others]  # at the centre it is exact, so that masses sum to one


_SERIES = _series()
TAILS: dict[type[Distribution], Tail] = {Laplace: LaplaceTail(), Normal: NormalTail()}


class Discretised(Distribution):
    """P(x) of x in {0, 1 / (levels - 1), ..., 1}: a real variable's mass within half a level of x; tails at the ends.

    Source: Salimans, Karpathy, Chen and Kingma, PixelCNN++, 2017, eq. 2 (there of a logistic variable).
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, real: Normal | Laplace, levels: int, rank: int) -> None:
        """`real` has the shape [*batch, *event]; the last `rank` axes are one event."""
        self.real, self.levels, self.rank, self.tail = real, levels, rank, TAILS[type(real)]
        split = real.loc.ndim - rank
        super().__init__(real.loc.shape[:split], real.loc.shape[split:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The levels, on [0, 1]."""
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        """E of the variable clipped to [0, 1] but not yet rounded: within half a level of the exact mean."""
        low, high = (self.tail.excess((self.real.loc - edge).abs() / self.real.scale) for edge in (0, 1))
        return self.real.loc.clamp(0, 1) + self.real.scale * (low - high)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, summed over the event, of values that are levels on [0, 1]."""
        return self.log_prob_by_element(value).flatten(-self.rank).sum(-1)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        half = 0.5 / (self.levels - 1)
        centre, scale = self.real.loc, self.real.scale
        below, above = (centre - value + half) / scale, (value + half - centre) / scale
        far = below.abs() + above.abs() + FAR
        return self.tail.log_mass(torch.where(value < half, far, below), torch.where(value > 1 - half, far, above))

    def expecting(self, value: Tensor) -> "Discretised":
        """The same, centred at a value."""
        real = type(self.real)(value.expand_as(self.real.loc), self.real.scale, validate_args=False)
        return Discretised(real, self.levels, self.rank)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        drawn = self.real.sample(torch.Size(sample_shape))
        return (drawn.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


def _one_less_exp(x: Tensor) -> Tensor:
    """1 - exp(-x) of x of 0 or more, exact near 0 (ONNX has no Expm1)."""
    t = (0.5 * x.clamp_max(FAR)).tanh()  # OpenCV's is no number from 44 on
    return 2 * t / (1 + t)
