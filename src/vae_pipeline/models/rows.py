"""Rows: the observations that a model is given at once."""

from dataclasses import dataclass

from jaxtyping import Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Raw observations, as they lie on disk, and what belongs to each."""

    x: Shaped[Tensor, "batch *event"]
    label: Int[Tensor, " batch"] | None = None
    """The class of each, where there are classes."""
    target: Shaped[Tensor, "batch *event"] | None = None
    """The target that the decoder is to explain, where it isn't `x` itself."""

    @property
    def explained(self) -> Shaped[Tensor, "batch *event"]:
        """The raw values that the decoder is to explain."""
        return self.x if self.target is None else self.target
