import pytest
import torch
from torch import nn

from vae_pipeline.models.nets.convolution import FEW, ConvolutionDecoder, ConvolutionEncoder, ToFewChannels, fitting


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


def test_a_shortcut_adds_averages_of_the_image_to_the_features():
    image = torch.rand(2, 3, 24, 16)
    torch.manual_seed(0)
    plain = ConvolutionEncoder((3, 24, 16), 0, [8], "silu")
    torch.manual_seed(0)
    shortcut = ConvolutionEncoder((3, 24, 16), 0, [8], "silu", shortcut=True)
    averages = image.reshape(2, 3, 8, 3, 8, 2).mean((3, 5)).flatten(1)
    assert torch.equal(shortcut(image, None)[:, : plain.features], plain(image, None))
    torch.testing.assert_close(shortcut(image, None)[:, plain.features :], averages)


@pytest.mark.parametrize("side", [1, 7, 9, 33, 100])
def test_a_shortcut_counts_the_features_of_images_of_any_side(side):
    encoder = ConvolutionEncoder((1, side, 12), 0, [8], "silu", shortcut=True)
    assert encoder(torch.rand(2, 1, side, 12), None).shape == (2, encoder.features)


def test_a_shortcut_adds_a_linear_function_of_the_latents_that_is_0_at_first():
    z = torch.randn(5, 4)
    torch.manual_seed(0)
    plain = ConvolutionDecoder(4, (1, 6, 7), 2, [8], "silu")
    torch.manual_seed(0)
    shortcut = ConvolutionDecoder(4, (1, 6, 7), 2, [8], "silu", shortcut=True)
    assert torch.equal(shortcut(z), plain(z))
    torch.nn.init.ones_(shortcut.shortcut.weight)
    added = z.sum(1)[:, None, None, None, None].expand(5, 2, 1, 6, 7)
    torch.testing.assert_close(shortcut(z) - plain(z), added)
