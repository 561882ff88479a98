"""A user's network whose features a perceptual distance is taken in: one that gives images a gradient."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_pipeline.models.onnx_net import OnnxNet
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.sharpness.distance import Images, Maps


class NetworkOfMaps(nn.Module):
    """Images to those outputs of a network that are maps of features."""

    def __init__(self, net: Callable[[Images], list[Tensor]]) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Images) -> Maps:
        """The maps."""
        return [each for each in self.net(images) if each.ndim == 4]


def read_network(path: Path, images: Images) -> NetworkOfMaps:
    """The network of a file, tried on some images.

    Raises:
        RecipeError: it can't be read, computes otherwise than onnxruntime, gives no maps, or has no gradient.
    """
    net = OnnxNet(path, "train.sharpness.perceptual.features")
    shown = images.clone().requires_grad_()
    maps = [each for each in net.tried(shown) if each.ndim == 4]
    if not maps:
        raise RecipeError(
            f"{net.where} has no output [batch, features, rows, columns]: export the network with maps of its inner "
            "layers as outputs"
        )
    (gradient,) = torch.autograd.grad(torch.stack([each.sum() for each in maps]).sum(), shown, allow_unused=True)
    if gradient is None or not gradient.isfinite().all() or not gradient.any():
        raise RecipeError(f"{net.where} has no gradient for images to learn by: take a network without rounding")
    return NetworkOfMaps(net)
