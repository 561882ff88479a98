"""The sampler's arithmetic beside the flow that is known in closed form: between N(0, 1) and N(0, s²)."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import linregress

from vae_pipeline.models.flow_matching import FlowMatchingSampler, on_the_way
from vae_pipeline.models.nets.velocity import FREQUENCIES, moments
from vae_pipeline.models.samplers import FlowSampler, skeleton

WIDE = 3.0


def slope(sine, cosine):
    """Of the regression of dz/da on z, where z = cos(a) ε + sin(a) x and x is of N(0, s²)."""
    return (WIDE**2 - 1) * sine * cosine / (cosine**2 + WIDE**2 * sine**2)


class Exact(torch.nn.Module):
    def forward(self, z, moment):
        return slope(moment[:, :1], moment[:, FREQUENCIES : FREQUENCIES + 1]) * z


def shaken(shape):
    torch.manual_seed(0)
    sampler = FlowMatchingSampler(shape, 2, 8, 3)
    for parameter in sampler.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return sampler


def error(steps):
    sampler, noise = FlowMatchingSampler((2,), 1, 4, steps), torch.linspace(-2, 2, 10).view(5, 2)
    sampler.velocity = Exact()
    return (sampler(noise) - WIDE * noise).abs().max().item()


def test_many_steps_are_the_exact_flow_and_twice_as_many_err_by_a_quarter():
    assert error(512) < 1e-4
    assert error(32) / error(64) == pytest.approx(4, rel=0.15)


def test_the_way_back_is_the_exact_flow_too_and_a_known_flow_is_followed_back():
    sampler, z = FlowMatchingSampler((2,), 1, 4, 512), torch.linspace(-2, 2, 10).view(5, 2)
    sampler.velocity = Exact()
    torch.testing.assert_close(sampler.inverse(WIDE * z), z, atol=1e-4, rtol=0)
    flow = FlowSampler(3, 4, 8)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    noise = torch.randn(5, 3)
    torch.testing.assert_close(flow.inverse(flow(noise)), noise)


@pytest.mark.parametrize("angle", [0.2, 0.8, 1.4])
def test_the_mean_movement_of_the_pairs_is_the_exact_velocity(angle):
    draw = torch.Generator().manual_seed(0)
    noise, x = torch.randn(2, 50_000, 1, generator=draw)
    z, movement = on_the_way(noise, WIDE * x, torch.full((50_000,), angle))
    found = linregress(z[:, 0], movement[:, 0])
    assert found.slope == pytest.approx(slope(math.sin(angle), math.cos(angle)), abs=5 * found.stderr)


def test_the_way_leads_from_the_noise_to_the_latents():
    noise, x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(on_the_way(noise, x, torch.zeros(4)), (noise, x))
    torch.testing.assert_close(on_the_way(noise, x, torch.full((4,), 0.5 * math.pi)), (x, -noise))


@pytest.mark.parametrize("shape", [(3,), (2, 9, 5)], ids=str)
def test_a_fresh_sampler_answers_its_noise_stretched_and_moved(shape):
    sampler = FlowMatchingSampler(shape, 2, 8, 3)
    sampler.mean.add_(1.0), sampler.scale.mul_(2.0)
    noise = torch.randn(4, sampler.noise, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sampler(noise), 2 * noise + 1)


@pytest.mark.parametrize("shape", [(3,), (1,), (2, 9, 5), (3, 1, 1)], ids=str)
def test_a_sampler_keeps_its_contract(shape):
    sampler = shaken(shape)
    noise = torch.randn(4, sampler.noise, generator=torch.Generator().manual_seed(0))
    z = sampler(noise)
    assert z.shape == (4, np.prod(shape)) and z.isfinite().all()
    z.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in sampler.parameters())
    again = skeleton(sampler.state_dict())
    again.load_state_dict(sampler.state_dict())
    assert torch.equal(again(noise), z)


@pytest.mark.parametrize("shape", [(3,), (2, 9, 5)], ids=str)
def test_rows_have_moments_of_their_own(shape):
    velocity = shaken(shape).double().velocity
    z, told = torch.randn(2, math.prod(shape)).double(), moments(torch.tensor([0.1, 1.2]).double())
    one_by_one = torch.cat([velocity(z[i : i + 1], told[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(velocity(z, told), one_by_one)
    assert not torch.allclose(velocity(z, told[:1]), one_by_one)
