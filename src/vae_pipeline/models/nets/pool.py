"""The classes that a model tells the values of a category by: one each, and one for all values that are pooled.

Codes of frequent values are their classes. Those of pooled values come after these, and the code of a value that
training never saw after all: so the class of a code is a matter of comparisons, which every runtime computes alike.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Pool:
    """The values of one category."""

    values: int
    """The number of known values."""
    shares: tuple[float, ...] = ()
    """Shares of the pooled ones among themselves."""

    @property
    def frequent(self) -> int:
        """The number of values with a class of their own."""
        return self.values - len(self.shares)

    @property
    def classes(self) -> int:
        """Classes of values that are known, that of the pool with them."""
        return self.frequent + bool(self.shares)

    def class_of(self, codes: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The class of each code; `classes` of a value that training never saw."""
        if not self.shares:
            return codes
        return codes.clamp_max(self.frequent) + (codes - self.values >= 0).float()

    def log_share(self, codes: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The logarithm of a value's share of its class: 0 where it has one of its own."""
        pooled = torch.arange(self.frequent, self.values, dtype=torch.float32, device=codes.device)
        logs = torch.tensor(self.shares, device=codes.device).log()
        shares: Tensor = (((codes.unsqueeze(-1) - pooled).abs() < 0.5).float() * logs).sum(-1)
        return shares

    def with_share(self, log_probability: Float[Tensor, "*batch classes"]) -> Float[Tensor, "*batch classes"]:
        """Log-probabilities of each class's likeliest value."""
        if not self.shares:
            return log_probability
        most = torch.zeros(log_probability.shape[-1], device=log_probability.device)
        most[self.frequent] = torch.tensor(self.shares).max().log()
        return log_probability + most

    def likeliest(self, classes: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The code of each class's likeliest value."""
        most = self.frequent + int(torch.tensor(self.shares).argmax()) if self.shares else 0
        return self._code(classes, torch.full_like(classes, most))

    def drawn(self, classes: Float[Tensor, "*batch"], even: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """A code of each class; of the pool the one in whose part of [0, 1] the even number lies."""
        if not self.shares:
            return classes
        bounds = torch.tensor(self.shares, dtype=torch.float64).cumsum(0)[:-1].float().to(even.device)
        within = (even.unsqueeze(-1) - bounds >= 0).float().sum(-1)
        return self._code(classes, self.frequent + within)

    def near(self, even: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The distance of an even number from where `drawn` takes another code."""
        bounds = torch.tensor(self.shares, dtype=torch.float64).cumsum(0)[:-1].float().to(even.device)
        return (even.unsqueeze(-1) - bounds).abs().amin(-1)

    def _code(self, classes: Tensor, of_pool: Tensor) -> Tensor:
        if not self.shares:
            return classes
        pool, beyond = (classes - self.frequent).abs() < 0.5, classes - self.classes >= 0
        return torch.where(pool, of_pool, torch.where(beyond, torch.full_like(classes, self.values), classes))
