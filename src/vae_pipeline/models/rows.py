"""Rows: the observations that a model is given at once."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Raw observations, as they lie on disk or corrupted, and what belongs to each."""

    x: Shaped[Tensor, "batch *event"]
    label: Int[Tensor, " batch"] | None = None
    """The class of each, where there are classes."""
    target: Shaped[Tensor, "batch *event"] | None = None
    """The target that the decoder is to explain, where it isn't `x` itself."""
    clean: Shaped[Tensor, "batch *event"] | None = None
    """The observation as it lies on disk, where `x` is a corrupted one."""

    @property
    def explained(self) -> Shaped[Tensor, "batch *event"]:
        """The raw values that the decoder is to explain."""
        return self.x if self.target is None else self.target

    @property
    def original(self) -> Shaped[Tensor, "batch *event"]:
        """The raw values that an answer is compared with: what lies on disk."""
        return self.x if self.clean is None else self.clean

    def map(self, change: Callable[[Tensor], Tensor]) -> "Rows":
        """The rows with each tensor changed."""
        label, target, clean = (
            None if each is None else change(each) for each in (self.label, self.target, self.clean)
        )
        return Rows(change(self.x), label, target, clean)
