"""Residual nets: against torch's own operators put together by hand, and what they promise of places."""

import math

import pytest
import torch
from torch.nn import functional as F

from vae_pipeline.models.nets.residual import ResidualDecoder, ResidualEncoder
from vae_pipeline.models.nets.residual_blocks import Style, groups_of

LOCAL = Style("silu", None, attention=False, checkpointing=False)
GROUP = Style("silu", 2, attention=True, checkpointing=False)


def encoder(shape=(3, 8, 12), labels=0, channels=(4, 6), blocks=1, style=LOCAL, flat=False, shortcut=False):
    torch.manual_seed(0)
    net = ResidualEncoder(shape, labels, channels, blocks, style, flat, shortcut)
    return shaken(net)


def decoder(latent_shape=(2, 4, 6), labels=0, shape=(3, 8, 12), planes=2, channels=(6, 4), blocks=1, style=LOCAL):
    torch.manual_seed(0)
    return shaken(ResidualDecoder(latent_shape, labels, shape, planes, channels, blocks, style))


def test_a_shortcut_passes_the_pixels_of_each_place():
    x = torch.rand(2, 3, 8, 12)
    plain, passed = encoder()(x, None), encoder(shortcut=True)(x, None)
    assert torch.equal(passed[:, :6], plain)
    torch.testing.assert_close(passed[:, 6:], F.pixel_unshuffle(2 * x - 1, 2), rtol=0, atol=0)


def test_a_shortcut_adds_a_linear_function_of_a_place_which_is_0_at_first():
    torch.manual_seed(0)
    net = ResidualDecoder((12, 4, 6), 0, (3, 8, 12), 1, (6, 4), 1, LOCAL, shortcut=True)
    z = torch.randn(2, 12, 4, 6)
    before = net.map(z, None)
    assert not net.shortcut.weight.any()
    with torch.no_grad():
        net.shortcut.weight.copy_(torch.eye(12).unflatten(1, (3, 2, 2)))
    torch.testing.assert_close(net.map(z, None) - before, F.pixel_shuffle(z, 2).unsqueeze(1), rtol=1e-5, atol=1e-5)


def shaken(net):
    """No parameter is at a value, such as a norm's 1, that would hide that it is left out."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return net


def norm(w, name, x):
    return F.group_norm(x, 2, w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)


def conv(w, name, x, **given):
    return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **given)


def block(w, name, x):
    state = conv(w, f"{name}.layers.2", F.silu(norm(w, f"{name}.layers.0", x)), padding=1)
    state = conv(w, f"{name}.layers.5", F.silu(norm(w, f"{name}.layers.3", state)), padding=1)
    return state + (conv(w, f"{name}.shortcut", x) if f"{name}.shortcut.weight" in w else x)


def attention(w, name, x):
    places = norm(w, f"{name}.norm", x).flatten(2).mT
    q, k, v = (
        F.linear(places, w[f"{name}.{each}.weight"], w[f"{name}.{each}.bias"]) for each in ("query", "key", "value")
    )
    seen = (q @ k.mT / math.sqrt(x.shape[1])).softmax(-1) @ v
    return x + F.linear(seen, w[f"{name}.output.weight"], w[f"{name}.output.bias"]).mT.reshape(x.shape)


def middle(w, x):
    return block(w, "middle.2", attention(w, "middle.1", block(w, "middle.0", x)))


def test_an_encoder_is_the_blocks_of_autoencoderkl():
    net, x = encoder(style=GROUP), torch.rand(2, 3, 8, 12)
    w = net.state_dict()
    state = block(w, "levels.0.0", conv(w, "input", 2 * x - 1, padding=1))
    state = conv(w, "levels.0.1", F.pad(state, (0, 1, 0, 1)), stride=2)
    state = middle(w, block(w, "levels.1.0", state))
    torch.testing.assert_close(net(x, None), F.silu(norm(w, "output.0", state)), rtol=1e-4, atol=1e-5)


def test_a_decoder_is_the_blocks_of_autoencoderkl():
    net, z = decoder(style=GROUP), torch.randn(2, 2, 4, 6)
    w = net.state_dict()
    state = middle(w, conv(w, "input", z, padding=1))
    state = block(w, "levels.0.1", block(w, "levels.0.0", state))
    state = conv(w, "levels.0.2", state.repeat_interleave(2, 2).repeat_interleave(2, 3), padding=1)
    state = block(w, "levels.1.1", block(w, "levels.1.0", state))
    wanted = conv(w, "output.2", F.silu(norm(w, "output.0", state)), padding=1).unflatten(1, (2, 3))
    torch.testing.assert_close(net(z.flatten(1)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "groups"), [((32, 64), 32), ((48, 96), 16), ((8, 12), 4), ((3, 5), 1)])
def test_groups_divide_the_channels_of_every_level(channels, groups):
    assert groups_of(channels) == groups


def test_sides_that_the_factor_does_not_divide_repeat_the_edge_and_are_cropped():
    net = encoder(shape=(1, 7, 10), channels=(4, 4, 4))
    x = torch.rand(2, 1, 7, 10)
    repeated = F.pad(x, (0, 2, 0, 1), mode="replicate")
    assert net.side == (2, 3)
    torch.testing.assert_close(net(x, None), net.map(repeated, None))
    back = decoder(latent_shape=(2, 2, 3), shape=(1, 7, 10), channels=(4, 4, 4))
    z = torch.randn(2, 12)
    assert torch.equal(back(z), back.map(z.unflatten(1, (2, 2, 3)), None)[..., :7, :10])


def test_a_vector_of_latents_passes_a_linear_layer():
    assert encoder(flat=True)(torch.rand(2, 3, 8, 12), None).shape == (2, 6 * 4 * 6)
    assert decoder(latent_shape=(5,), labels=2)(torch.randn(2, 7)).shape == (2, 2, 3, 8, 12)


def test_a_label_is_constant_channels():
    x, label = torch.rand(2, 3, 8, 12), torch.eye(2)
    net, plain = encoder(labels=2), encoder()
    with torch.no_grad():
        net.input.weight[:, :3] = plain.input.weight
        net.input.weight[:, 3:] = 0
        rest = {name: value for name, value in plain.state_dict().items() if name != "input.weight"}
        net.load_state_dict(net.state_dict() | rest)
    torch.testing.assert_close(net(x, label), plain(x, None))
    with torch.no_grad():
        net.input.weight[:, 3:] = 1
    assert (net(x, label) - plain(x, None)).abs().max() > 1e-3


@pytest.mark.parametrize("style", [LOCAL, GROUP], ids=["local", "group"])
def test_a_shifted_image_has_shifted_features_by_a_local_norm_alone(style):
    net = encoder(shape=(1, 56, 56), channels=(4, 4), style=style)
    x = torch.zeros(1, 1, 56, 56)
    x[..., 24:32, 24:32] = torch.rand(8, 8)
    with torch.no_grad():
        found, shifted = net(x, None), net(x.roll((2, 4), (2, 3)), None)
    inner = slice(10, -10)  # the image's edges are where they were
    apart = (found.roll((1, 2), (2, 3)) - shifted)[..., inner, inner].abs().max()
    assert (apart < 1e-5) == (style is LOCAL)


@pytest.mark.parametrize(("channels", "blocks"), [((4,), 1), ((4, 4), 1), ((4, 4, 4), 1), ((4, 4), 2)])
def test_an_encoder_sees_its_radius_and_no_more(channels, blocks):
    net = encoder(shape=(1, 8, 8), channels=channels, blocks=blocks)
    factor, moments = net.factor, torch.nn.Conv2d(4, 1, 3, padding=1)
    around = -(-net.radius // factor) + 2  # places on either side, so that all that is seen lies within
    x = torch.rand(1, 1, factor, factor * (2 * around + 1), requires_grad=True)
    moments(net.map(x, None))[0, 0, :, around].sum().backward()
    seen = x.grad.abs().sum((0, 1, 2)).nonzero().flatten() - factor * around
    assert max(-int(seen[0]), int(seen[-1]) - (factor - 1)) == net.radius


@pytest.mark.parametrize(("channels", "blocks"), [((4,), 1), ((4, 4), 1), ((4, 4, 4), 1), ((4, 4), 2)])
def test_a_decoder_sees_its_radius_and_no_more(channels, blocks):
    net = decoder(latent_shape=(2, 4, 4), shape=(1, 8, 8), channels=channels, blocks=blocks)
    around = net.radius + 2
    z = torch.randn(1, 2, 1, 2 * around + 1, requires_grad=True)
    pixels = net.map(z, None)[..., net.factor * around : net.factor * (around + 1)]
    pixels.sum().backward()
    seen = z.grad.abs().sum((0, 1, 2)).nonzero().flatten() - around
    assert max(-int(seen[0]), int(seen[-1])) == net.radius


def test_what_is_normalised_over_the_image_sees_all_of_it():
    assert encoder(style=GROUP).radius is None and decoder(style=GROUP).radius is None
    assert encoder(style=Style("silu", None, attention=True, checkpointing=False)).radius is None


def test_blocks_that_are_computed_again_have_the_same_gradients():
    x, found = torch.rand(2, 3, 8, 12), []
    for checkpointing in (False, True):
        net = encoder(style=Style("silu", None, attention=False, checkpointing=checkpointing))
        net(x, None).square().sum().backward()
        found.append([parameter.grad for parameter in net.parameters()])
    for first, again in zip(*found, strict=True):
        assert torch.equal(first, again)


def test_half_precision_is_near_to_single():
    net, x = encoder(style=GROUP), torch.rand(2, 3, 8, 12)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x, None)
    apart = (half.float() - net(x, None)).abs()
    assert half.dtype == torch.bfloat16 and 0 < apart.max() < 0.1


@pytest.mark.parametrize("style", [LOCAL, GROUP], ids=["local", "group"])
def test_channels_are_the_last_axis_in_memory(style):
    net = encoder(shape=(3, 16, 16), style=style)
    assert net.map(torch.rand(2, 3, 16, 16), None).is_contiguous(memory_format=torch.channels_last)
    assert net.levels[0][0].layers[2].weight.is_contiguous(memory_format=torch.channels_last)
