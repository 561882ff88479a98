import pytest
import torch
from torch import nn

from vae_pipeline.nets.convolution import FEW, ToFewChannels, fitting


@pytest.mark.parametrize(
    ("side", "smallest", "layers"), [(8, 4, 1), (28, 4, 3), (96, 4, 4), (28, 8, 1), (28, None, 4), (3, 4, 1)]
)
def test_layers_that_an_image_is_too_small_for_are_left_out(side, smallest, layers):
    assert fitting((side, side), 4, smallest) == layers
    assert fitting((96, side), 4, smallest) == layers


@pytest.mark.parametrize("outputs", [1, FEW, FEW + 1])
@pytest.mark.parametrize("side", [(7, 5), (1, 4)])
def test_to_few_channels_is_torchs_convolution(outputs, side):
    torch.manual_seed(0)
    ours, torchs = ToFewChannels(6, outputs), nn.Conv2d(6, outputs, 3, padding=1)
    torchs.load_state_dict(ours.state_dict())
    x = [torch.randn(3, 6, *side) for _ in range(2)]
    x[1] = x[0].clone()
    direction = torch.randn(3, outputs, *side)
    for layer, given in zip((ours, torchs), x, strict=True):
        (layer(given.requires_grad_()) * direction).sum().backward()
    torch.testing.assert_close(ours(x[0]), torchs(x[1]))
    torch.testing.assert_close(x[0].grad, x[1].grad)
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, torchs.bias.grad)
