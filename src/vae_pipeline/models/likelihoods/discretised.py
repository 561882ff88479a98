"""Gaussian and Laplace variables rounded to whole numbers: a probability for data of so many levels."""

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from numpy.polynomial import Chebyshev, Polynomial
from torch import Tensor
from torch.distributions import Laplace, Normal, constraints

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.location_scale import (
    LEAST_LOG_SCALE,
    LocationScaleLikelihood,
    MeanKind,
    ScaleKind,
)
from vae_pipeline.models.likelihoods.values import Array, Values

FAR = 50.0  # standard units past which no tail has a mass that float32 can hold beside 1
REACH, DEGREE = 2.0, 10  # of the normal tail's series: where its variable is one half, and its highest power
BEYOND = 8  # scales beyond either end, within which an independent centre is sought
GAIN = 10.0  # Adam moves a parameter by its rate at most: a scale must shrink tenfold in hundreds of steps


class DiscretisedLikelihood(LocationScaleLikelihood):
    """Independent variables of a location and a scale, rounded to `levels` whole numbers."""

    gain = GAIN

    def __init__(
        self, tail: "Tail", shape: tuple[int, ...], scale: float | ScaleKind, mean: MeanKind, levels: int
    ) -> None:
        super().__init__(shape, scale, mean)
        self.tail, self.levels = tail, levels

    def given(self, mean: Tensor, scale: Tensor) -> "Discretised":
        """The distribution of that centre and scale."""
        return Discretised(self.tail, mean, scale, self.levels, self.rank)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "mass"

    def independent(self, train: Values, test: Values) -> float:
        """Centres are sought among the levels and some scales beyond their ends; the scale by itself."""
        from scipy.optimize import minimize_scalar  # noqa: PLC0415 (training loads no scipy)

        levels = torch.linspace(0, 1, self.levels, dtype=torch.float64)
        trained, tested = train.levels(self.levels), test.levels(self.levels)

        def by_centre(scale: float) -> Array:
            """log P of each level by each centre: [levels, centres]."""
            beyond = scale * torch.arange(1, BEYOND + 1, dtype=torch.float64)
            centres = torch.cat([levels, -beyond, 1 + beyond])
            width = torch.tensor(scale, dtype=torch.float64)
            return Discretised(self.tail, centres, width, len(levels), 1).log_prob_by_element(levels[:, None]).numpy()

        def cost(log_scale: float) -> float:
            return -float((trained @ by_centre(math.exp(log_scale))).max(axis=1).sum())

        scale = self.fixed
        if scale is None:
            bounds = (LEAST_LOG_SCALE, 1.0)
            scale = math.exp(minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 0.01}).x)
        table = by_centre(scale)
        chosen = table[:, (trained @ table).argmax(axis=1)]
        return float((tested * chosen.T).sum() / test.count)


class Tail(ABC):
    """A symmetric distribution of centre 0 and scale 1, by its tail, in operators that every ONNX runtime has."""

    @abstractmethod
    def sample(self, location: Tensor, scale: Tensor, shape: torch.Size) -> Tensor:
        """Draws [*shape, ...] of the distribution at that location and scale."""

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

    def sample(self, location: Tensor, scale: Tensor, shape: torch.Size) -> Tensor:
        """torch's."""
        return Laplace(location, scale, validate_args=False).sample(shape)

    def log_tail(self, x: Tensor) -> Tensor:
        """-x - log 2."""
        return -x - math.log(2)

    def excess(self, x: Tensor) -> Tensor:
        """exp(-x) / 2."""
        return 0.5 * (-x).exp()


class NormalTail(Tail):
    """N(0, 1), by a series: Erf isn't exact far out, and some ONNX runtimes lack it."""

    def sample(self, location: Tensor, scale: Tensor, shape: torch.Size) -> Tensor:
        """torch's."""
        drawn: Tensor = Normal(location, scale, validate_args=False).sample(shape)
        return drawn

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


class Discretised(ObservedDistribution):
    """P(x) of x in {0, 1 / (levels - 1), ..., 1}: a real variable's mass within half a level of x; tails at the ends.

    Source: Salimans, Karpathy, Chen and Kingma, PixelCNN++, 2017, eq. 2 (there of a logistic variable).
    """

    arg_constraints = {}  # noqa: RUF012
    location: Tensor
    scale: Tensor

    def __init__(self, tail: Tail, location: Tensor, scale: Tensor, levels: int, rank: int) -> None:
        """`location` has the shape [*batch, *event], and `scale` one that fits; the last `rank` axes are one event."""
        self.tail, self.levels, self.rank = tail, levels, rank
        shape = torch.broadcast_shapes(location.shape, scale.shape)
        self.location, self.scale = location.expand(shape), scale.expand(shape)
        split = self.location.ndim - rank
        super().__init__(self.location.shape[:split], self.location.shape[split:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The levels, on [0, 1]."""
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        """E of the variable clipped to [0, 1] but not yet rounded: within half a level of the exact mean."""
        low, high = (self.tail.excess((self.location - edge).abs() / self.scale) for edge in (0, 1))
        return self.location.clamp(0, 1) + self.scale * (low - high)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        half = 0.5 / (self.levels - 1)
        centre, scale = self.location, self.scale
        below, above = (centre - value + half) / scale, (value + half - centre) / scale
        far = below.abs() + above.abs() + FAR
        return self.tail.log_mass(torch.where(value < half, far, below), torch.where(value > 1 - half, far, above))

    def log_prob_expected(self, value: Tensor) -> Tensor:
        """log p of each value where it is the centre."""
        centred = Discretised(self.tail, value.expand_as(self.location), self.scale, self.levels, self.rank)
        return centred.log_prob_by_element(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        drawn = self.tail.sample(self.location, self.scale, torch.Size(sample_shape))
        return (drawn.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


def _one_less_exp(x: Tensor) -> Tensor:
    """1 - exp(-x) of x of 0 or more, exact near 0 (ONNX has no Expm1)."""
    t = (0.5 * x.clamp_max(FAR)).tanh()  # OpenCV's is no number from 44 on
    return 2 * t / (1 + t)
