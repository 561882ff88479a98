"""The places of features in an image: the pixels that each row and each column of a map of features is of."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Shaped
from torch import Tensor

from vae_pipeline.system.errors import RecipeError

FeatureShape = tuple[int, int, int]
"""Features, rows and columns of a map."""
Span = tuple[float, float]
"""The first pixel, and the end: the one after the last."""


@runtime_checkable
class View(Protocol):
    """A module that makes maps of features of raw images, and knows where in an image they lie."""

    shape: FeatureShape
    rows: list[Span]
    """The pixels of each row of what `laid` gives."""
    columns: list[Span]

    def __call__(
        self, x: Shaped[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """Features of raw images."""
        ...

    def laid(self, values: Float[Tensor, "batch features rows columns"]) -> Float[Tensor, "batch down right"]:
        """Numbers that were found of each feature, summed over those that are of the same pixels."""
        ...


def cells(side: int, cell: int) -> list[Span]:
    """Cells of so many pixels along a side; what is left over at its end belongs to none.

    Raises:
        RecipeError: there is room for none.
    """
    if side < cell:
        raise RecipeError(
            f"model.view.cell is {cell} pixels, and the images have a side of {side}: set it to {side} or less"
        )
    return [(float(start * cell), float((start + 1) * cell)) for start in range(side // cell)]


def parts(side: int, count: int) -> list[Span]:
    """A side in so many equal parts."""
    return [(side * place / count, side * (place + 1) / count) for place in range(count)]
