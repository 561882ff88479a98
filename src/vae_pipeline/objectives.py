"""Objectives: functions of one Inference and beta, minimised; nats, averaged over the batch."""

from collections.abc import Callable
from typing import assert_never

from torch import Tensor

from vae_pipeline.models.vae import Inference
from vae_pipeline.recipe import ElboObjective

Objective = Callable[[Inference, Tensor], Tensor]


def build_objective(objective: ElboObjective) -> Objective:
    """What is minimised, given an Inference and the step's beta."""
    match objective:
        case ElboObjective():
            return elbo
        case _:
            assert_never(objective)


def elbo(inference: Inference, beta: Tensor | float) -> Tensor:
    """distortion + beta * rate (Higgins et al., 2017, eq. 4; the negative ELBO at beta = 1)."""
    return (inference.distortion() + beta * inference.rate()).mean()


def beta_at(objective: ElboObjective, step: int, steps: int) -> float:
    """beta at `step`: it rises linearly from 0 over the first `warm_up` of all steps (Bowman et al., 2016)."""
    rising = objective.warm_up * steps
    return objective.beta * min(1.0, step / rising) if rising > 0 else objective.beta
