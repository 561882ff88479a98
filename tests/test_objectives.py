from unittest.mock import Mock

import pytest
import torch

from vae_pipeline.models.vae import Inference
from vae_pipeline.objectives import beta_at, build_objective
from vae_pipeline.recipe import ElboObjective


def fixed():
    inference = Mock(spec=Inference)
    inference.distortion.return_value = torch.tensor([[10.0, 20.0]])
    inference.rate.return_value = torch.tensor([[1.0, 3.0]])
    return inference


def test_the_objective_averages_over_the_batch():
    loss = build_objective(ElboObjective(kind="elbo", beta=2.0, warm_up=0.0))
    assert loss(fixed(), torch.tensor(2.0)).item() == pytest.approx(15 + 2 * 2)


def test_beta_warms_up_linearly():
    objective = ElboObjective(kind="elbo", beta=4.0, warm_up=0.5)
    assert [beta_at(objective, step, 100) for step in (0, 25, 50, 99)] == [0, 2, 4, 4]


def test_at_beta_one_the_loss_is_the_negative_elbo():
    loss = build_objective(ElboObjective(kind="elbo", beta=1.0, warm_up=0.0))
    assert loss(fixed(), torch.tensor(1.0)).item() == pytest.approx(17)
