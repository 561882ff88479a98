"""Ladders of many levels in training: stable, and told of level by level."""

import pytest
import torch

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.metrics.alarms import alarms_of
from vae_pipeline.metrics.usage import Usage
from vae_pipeline.models.build import build
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.device import one_thread
from vae_pipeline.recipe.model import Ladder
from vae_pipeline.recipe.objective import FreeBitsControl, WarmUpControl
from vae_pipeline.training.objectives import elbo
from vae_pipeline.training.rate_control import build_rate_control


def twelve():
    model = {
        "kind": "ladder",
        "levels": [
            {"stride": 3, "channels": 16, "latents": 4, "blocks": 1, "repeat": 2},
            {"stride": 2, "channels": 12, "latents": 1, "blocks": 1, "repeat": 4},
            {"stride": 2, "channels": 8, "latents": 1, "blocks": 1, "repeat": 6},
        ],
        "activation": "silu",
        "residual": True,
        "likelihood": {"kind": "bernoulli"},
        "conditional": False,
    }
    torch.manual_seed(0)
    return build(Ladder.model_validate(model), ImageSpec((1, 12, 12), "uint8", 0, 1, False, ()))


def bars(count):
    """A bar of each of two directions: 144 images."""
    rows, columns = torch.randint(0, 12, (2, count), generator=torch.Generator().manual_seed(0))
    x = torch.zeros(count, 1, 12, 12, dtype=torch.uint8)
    x[torch.arange(count), 0, rows] = 1
    x[torch.arange(count), 0, :, columns] = 1
    return x


@pytest.mark.slow
@one_thread()
def test_twelve_levels_are_stable():
    model, x = twelve(), bars(32)
    control = build_rate_control(WarmUpControl(kind="warm_up", beta=1, share=0.3, balanced=True))
    optimizer, losses = AdamW(model, 0.0), []
    for step in range(100):
        control.advance(step / 100)
        for parameter in model.parameters():
            parameter.grad = None
        inference = model(x)
        assert torch.isfinite(inference.level_rates()).all()
        elbo(inference, control).backward()
        optimizer.step(torch.tensor(2e-3))
        losses.append((inference.distortion() + inference.rate()).mean().item())
    assert inference.level_rates().shape == (1, 32, 12)
    on = x.double().mean(0).clamp(1e-9, 1 - 1e-9)
    independent = -(on * on.log() + (1 - on) * (1 - on).log()).sum().item()
    assert sum(losses[-5:]) / 5 < independent < losses[0]  # better than pixels that know nothing of each other


def test_while_beta_rises_a_level_with_many_nats_pays_more_and_then_alike():
    class Terms:
        def level_rates(self):
            return torch.tensor([[[3.0, 1.0]]])

    control = build_rate_control(WarmUpControl(kind="warm_up", beta=2, share=0.5, balanced=True))
    control.advance(0.25)
    weights = torch.tensor([3.01, 1.01]) / 2.01
    torch.testing.assert_close(control.cost(Terms()), 1.0 * (weights * torch.tensor([3.0, 1.0])).sum())
    control.advance(0.5)
    assert control.cost(Terms()) == 2 * 4


def test_free_bits_of_levels_are_free_for_a_level_as_a_whole():
    model, x = twelve(), bars(8)
    inference = model(x)
    rates = inference.level_rates().mean((0, 1))
    control = build_rate_control(FreeBitsControl(kind="free_bits", nats=0.05, share=0, per="level"))
    control.advance(0)
    torch.testing.assert_close(control.cost(inference), rates.clamp_min(0.05).sum())


def test_an_idle_level_is_named(smoke):
    used = Usage(active_units=5, mutual_information=3.0, posterior_variance=0.1)
    found = alarms_of(used, None, 7.01, 10, smoke, [3.0, 0.004, 4.0, 0.006])
    assert set(found) == {"idle_levels"}
    assert found["idle_levels"].startswith(
        "2 of 4 levels, the topmost being 1, carry under 0.05 nats: level 2 (0.004 nats), level 4 (0.006 nats): try"
    )
    assert "free_bits per level" in found["idle_levels"]
    assert alarms_of(used, None, 7, 10, smoke, [3.0, 4.0]) == {}
    for per, told in (("level", "a higher rate_control.nats"), ("dimension", "free_bits per level")):
        control = FreeBitsControl(kind="free_bits", nats=1.0, share=0.1, per=per)
        freed = smoke.model_copy(update={"rate_control": control})
        assert told in alarms_of(used, None, 7, 10, freed, [7.0, 0.0])["idle_levels"]
