"""The section `objective`, which is minimised, and `rate_control`, which holds the rate where it is wanted."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Finite, Positive, Section

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class ElboObjective(Section):
    """distortion + penalty of the rate."""

    kind: Literal["elbo"]


class TrimmedObjective(Section):
    """The ELBO's, of each batch without its worst `share`: for data that may hold anomalies which nothing tells."""

    kind: Literal["trimmed"]
    share: Annotated[float, Field(gt=0, lt=1)]
    """The share of a batch's examples, by distortion + rate."""


class ImportanceObjective(Section):
    """The importance-weighted bound of `samples` draws."""

    kind: Literal["importance_weighted"]
    samples: Annotated[Count, Field(ge=2)]
    doubly_reparameterised: bool
    """The gradient whose noise doesn't drown the encoder's as the samples grow."""


class DiscrepancyObjective(Section):
    """distortion + penalty of the rate + weight * MMD² between aggregate posterior and prior."""

    kind: Literal["mmd"]
    weight: Positive


class TotalCorrelationObjective(Section):
    """distortion + penalty of the rate + (weight - 1) * total correlation of the aggregate posterior."""

    kind: Literal["total_correlation"]
    weight: Positive


Objective = Annotated[
    ElboObjective | TrimmedObjective | ImportanceObjective | DiscrepancyObjective | TotalCorrelationObjective,
    Field(discriminator="kind"),
]


class ConstantControl(Section):
    """beta * rate."""

    kind: Literal["constant"]
    beta: NotNegative


class WarmUpControl(Section):
    """beta * rate, where beta rises linearly from 0 over the first `share` of all steps."""

    kind: Literal["warm_up"]
    beta: NotNegative
    share: Share


class CyclicalControl(Section):
    """beta * rate, where beta rises from 0 in the first `share` of each of `cycles`, and then stays."""

    kind: Literal["cyclical"]
    beta: NotNegative
    cycles: Count
    share: Share


class FreeBitsControl(Section):
    """The rate of each dimension (the whole, where it has no closed form) costs nothing under `nats`; the rest warms up
    over `share` of all steps."""

    kind: Literal["free_bits"]
    nats: Positive
    share: Share


class CapacityControl(Section):
    """weight * |rate - capacity|, where the capacity rises from 0 to `nats` over `share` of all steps."""

    kind: Literal["capacity"]
    nats: Positive
    weight: Positive
    share: Share


class TargetRateControl(Section):
    """beta is steered so that the rate becomes `nats`."""

    kind: Literal["target_rate"]
    nats: Positive


class TargetDistortionControl(Section):
    """beta is steered so that the distortion becomes `nats`, or the reconstructions reach `psnr` dB."""

    kind: Literal["target_distortion"]
    nats: Finite | None
    psnr: Finite | None

    @model_validator(mode="after")
    def _one_target(self) -> "TargetDistortionControl":
        if (self.nats is None) == (self.psnr is None):
            raise ValueError("give either nats or psnr, and null for the other")
        return self


RateControl = Annotated[
    ConstantControl
    | WarmUpControl
    | CyclicalControl
    | FreeBitsControl
    | CapacityControl
    | TargetRateControl
    | TargetDistortionControl,
    Field(discriminator="kind"),
]
