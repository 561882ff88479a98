"""A user's network as a view: its one output is what a model sees."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.features.gradient import Images
from vae_pipeline.models.features.places import FeatureShape, parts
from vae_pipeline.models.onnx_net import OnnxNet
from vae_pipeline.system.errors import RecipeError

TRIED = 2  # images


class Backbone(nn.Module):
    """Raw images to the network's maps, whose places are even parts of the image; a vector is a map of one place."""

    def __init__(self, shape: tuple[int, int, int], scaling: nn.Module, file: Path, sha256: str | None) -> None:
        """`shape` is that of an image, which `scaling` brings to [0, 1]; `sha256` the digest that the file must have.

        Raises:
            RecipeError: the network can't be read, is another one, takes images of another shape, or doesn't give one
                map or vector.
        """
        super().__init__()
        self.scaling, self.net = scaling, OnnxNet(file, "model.view.file")
        found_sha256 = hashlib.sha256(self.net.content).hexdigest()
        if sha256 not in (None, found_sha256):
            raise RecipeError(
                f"{self.net.where} has the digest {found_sha256}, and is to have {sha256}: give that file, or set "
                "model.view.sha256 to null"
            )
        if len(self.net.outputs) != 1:
            raise RecipeError(
                f"{self.net.where} has the outputs {', '.join(self.net.outputs)}: save the network with one, the maps "
                "or the vector that is to be seen"
            )
        _require_fit(self.net, shape)
        images = torch.rand(TRIED, *shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            (found,) = self.net.tried(images)
        if found.ndim not in (2, 4) or len(found) != TRIED:
            raise RecipeError(
                f"{self.net.where} gives {list(found.shape)} of {TRIED} images; wanted [batch, features, rows, "
                "columns] or [batch, features]"
            )
        self.shape: FeatureShape = (found.shape[1], *found.shape[2:]) if found.ndim == 4 else (found.shape[1], 1, 1)
        self.rows, self.columns = (parts(side, count) for side, count in zip(shape[1:], self.shape[1:], strict=True))

    def forward(self, x: Images) -> Float[Tensor, "batch features rows columns"]:
        """Features of raw images."""
        found: Tensor = self.net(self.scaling(x))[0]
        return found.unflatten(1, self.shape) if found.ndim == 2 else found

    def laid(self, values: Float[Tensor, "batch features rows columns"]) -> Float[Tensor, "batch rows columns"]:
        """The sum over the features of a place."""
        return values.sum(1)


def _require_fit(net: OnnxNet, shape: tuple[int, int, int]) -> None:
    given = [0, net.channels if shape[0] == 1 and net.channels else shape[0], *shape[1:]]
    fits = [wanted in (0, side) for wanted, side in zip(net.sides, given, strict=False)]
    if len(net.sides) != 4 or not all(fits):
        wanted = ", ".join(str(side or "any") for side in net.sides)
        raise RecipeError(
            f"{net.where} takes an input of [{wanted}], and the data's images are [any, "
            f"{', '.join(map(str, shape))}]: set data.shape, or save the network for any batch and these sides"
        )
