"""Images to standardised features, as a model sees them; a scaling, and so part of every exported graph."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vae_pipeline.models.features.places import View
from vae_pipeline.system.errors import RecipeError

LEAST = 0.01  # of the deviation that features have on the whole: one that hardly varies isn't blown up beyond it


class FeatureScaling(nn.Module):
    """Raw images to features of mean 0 at each place, and of deviation 1 over the places of a channel.

    A channel has one unit, as its values are of one kind: where they happen not to vary in training, as at an edge of
    the image, they aren't divided by nearly nothing.
    """

    view: View
    centre: Tensor
    """[features, rows, columns]."""
    unit: Tensor
    """[features, 1, 1]."""

    def __init__(self, view: View) -> None:
        """Until `begin` features are as the view has them."""
        super().__init__()
        self.view = view
        self.register_buffer("centre", torch.zeros(view.shape))
        self.register_buffer("unit", torch.ones(view.shape[0], 1, 1))

    def forward(self, x: Shaped[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features rows columns"]:
        """Standardised features."""
        return (self.view(x) - self.centre) * (1 / self.unit)

    def begin(self, parts: Iterable[Tensor]) -> None:
        """Take the mean and the deviations from these raw images, some [batch, channels, height, width] at a time.

        Raises:
            RecipeError: a feature isn't finite.
        """
        count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for x in parts:
            found = self.view(x).double()
            count, total, squares = count + len(x), total + found.sum(0), squares + found.square().sum(0)
        centre = total / count
        if not squares.isfinite().all():
            bad = int((~squares.isfinite()).flatten(1).any(1).sum())
            raise RecipeError(
                f"model.view gives numbers that aren't finite, in {bad} of {len(squares)} features of training images: "
                "take another network, or another view"
            )
        deviation = (squares / count - centre.square()).clamp_min(0).mean((1, 2), keepdim=True).sqrt()
        on_the_whole = deviation.square().mean().sqrt()
        self.centre.copy_(centre)
        self.unit.copy_(deviation.clamp_min(LEAST * on_the_whole) if on_the_whole > 0 else torch.ones_like(deviation))

    def inverse(self, x: Tensor) -> Tensor:
        """Nothing: no image is made of features; what would ask for one, a recipe and the export refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"features of shape {list(x.shape)} were given to be made an image, which can't be done")
