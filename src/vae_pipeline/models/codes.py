"""Codes: latents that take a few values each, by finite scalar quantisation, and the distributions over them.

A number y of a channel of L levels is bounded and rounded to one of L whole numbers, which floor(L / 2) divides:

    b = tanh(y + s) h - o,    h = (L - 1) (1 - 0.001) / 2,    o = 1/2 for even L and 0 for odd,    s = tan(o / h)

A code is a latent that was made so: from -1 to 1, or to 1 - 2 / L where L is even. To a gradient, rounding changes
nothing. The codebook is every combination of levels, of which none has to be learned.

p(z) is uniform over the codes and q(z|x) is all at one of them, so that KL(q ‖ p) = Σ log L, whatever x is. Densities
are probabilities here: log q(z|x) is 0 at the code and -inf elsewhere.

Source: Mentzer, Minnen, Agustsson and Tschannen, Finite Scalar Quantization: VQ-VAE Made Simple, 2023, appendix A.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl

from vae_pipeline.models.draw import Draw, Posterior

SHRUNK = 1e-3  # by which the bound keeps from the outermost levels' far edges
SUREST = -30.0
"""The log-variance that stands for a point's, which has none: that of the surest Gaussian of a map."""
Levels = Float[Tensor, "*latents"]


def bounded(y: Float[Tensor, "*batch_latents"], levels: Levels) -> Float[Tensor, "*batch_latents"]:
    """`y` between the outermost levels, as it is before it is rounded."""
    reach = 0.5 * (levels - 1) * (1 - SHRUNK)
    offset = 0.5 * ((levels + 1) % 2)
    return (y + (offset / reach).tan()).tanh() * reach - offset


def half(levels: Levels) -> Levels:
    """The whole number that stands for 1."""
    return (0.5 * levels).floor()


def rounded(within: Float[Tensor, "*batch_latents"], levels: Levels) -> Float[Tensor, "*batch_latents"]:
    """The codes of numbers that are `bounded`; their gradient is that of these numbers."""
    unmoved = within - within.detach()  # exactly 0, so that the codes are exact too
    return (within.round() + unmoved) / half(levels)


def nearest(z: Float[Tensor, "*batch_latents"], levels: Levels) -> Float[Tensor, "*batch_latents"]:
    """The codes next to any numbers."""
    one = half(levels)
    return torch.minimum(torch.maximum((z * one).round(), -one), levels - 1 - one) / one


class CodePosterior(Posterior):
    """q(z|x) that is one code."""

    def __init__(self, code: Float[Tensor, "*batch latents"]) -> None:
        self._code = code
        super().__init__(code.shape[:-1], code.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The code."""
        return self._code

    @property
    def variance(self) -> Tensor:
        """None of any dimension: 0."""
        return torch.zeros_like(self._code)

    @property
    def log_variance(self) -> Tensor:
        """`SUREST`, since the logarithm of 0 is no number."""
        return torch.full_like(self._code, SUREST)

    @property
    def like(self) -> Tensor:
        """The code."""
        return self._code

    def draw(self, noise: Tensor) -> Draw:
        """The code, whatever the noise."""
        z = self._code.expand(noise.shape)
        return Draw(z, self, lambda: z.new_zeros(z.shape[:-1]))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability: 0 of the code, -inf of all else."""
        same = (value == self._code).all(-1)
        return torch.where(same, 0.0, -torch.inf).to(self._code)


class UniformCodes(Distribution):
    """p(z): every code as likely as the others."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, levels: Float[Tensor, " latents"]) -> None:
        self.levels = levels
        super().__init__(torch.Size(), levels.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[z] of each dimension."""
        return 0.5 * (self.levels - 1) / half(self.levels) - 1

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension."""
        return (self.levels.square() - 1) / (12 * half(self.levels).square())

    @property
    def rates(self) -> Float[Tensor, " latents"]:
        """The cost of each dimension's level in nats: the log of their number."""
        return self.levels.log()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of a code in nats."""
        return -self.rates.sum().expand(value.shape[:-1])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws."""
        share = torch.rand(*sample_shape, *self.levels.shape, device=self.levels.device)
        one = half(self.levels)
        return (torch.minimum((share * self.levels).floor(), self.levels - 1) - one) / one


@register_kl(CodePosterior, UniformCodes)  # type: ignore[untyped-decorator]
def _kl(q: CodePosterior, p: UniformCodes) -> Tensor:
    return p.rates.sum().expand(q.batch_shape)
