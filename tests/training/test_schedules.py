import pytest
import torch

from vae_pipeline.recipe.train import Train
from vae_pipeline.training.schedules import learning_rate_at

STEPS = 50


def section(schedule, warm_up=0.0):
    return Train.model_construct(learning_rate=0.1, schedule=schedule, warm_up=warm_up)


def torchs(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_constant():
    assert {learning_rate_at(section("constant"), step, STEPS) for step in range(STEPS)} == {0.1}


def test_cosine_is_torchs():
    wanted = torchs(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - 1))
    assert [learning_rate_at(section("cosine"), step, STEPS) for step in range(STEPS)] == pytest.approx(wanted)


def test_one_cycle_rises_to_the_rate_and_falls_to_nothing():
    rates = [learning_rate_at(section("one_cycle"), step, 1001) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1 / 25)
    assert max(rates) == rates[300] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_a_run_of_one_step(schedule):
    assert 0 < learning_rate_at(section(schedule), 0, 1) <= 0.1


def test_warm_up_rises_linearly_to_the_schedule():
    constant = [learning_rate_at(section("constant", 0.2), step, STEPS) for step in range(STEPS)]
    assert constant[:10] == pytest.approx([0.01 * (1 + step) for step in range(10)])
    assert set(constant[10:]) == {0.1}
    cosine = [learning_rate_at(section("cosine", 0.2), step, STEPS) for step in range(STEPS)]
    assert cosine[10:] == [learning_rate_at(section("cosine"), step, STEPS) for step in range(10, STEPS)]
