"""The section `objective`, which is minimised, and `rate_control`, which holds the rate where it is wanted."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Finite, Positive, Section, later

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
    """The importance-weighted bound of `samples` draws; not with the rate controls free_bits and capacity."""

    kind: Literal["importance_weighted"]
    samples: Annotated[Count, Field(ge=2)]
    """K, the draws of z for each example."""
    doubly_reparameterised: bool
    """The gradient whose noise doesn't drown the encoder's as the samples grow; it needs a posterior of kind gaussian
    or normalised_gaussian."""


class DiscrepancyObjective(Section):
    """distortion + penalty of the rate + weight * MMD² between aggregate posterior and prior."""

    kind: Literal["mmd"]
    weight: Positive
    """The weight of MMD²."""


class TotalCorrelationObjective(Section):
    """distortion + penalty of the rate + (weight - 1) * total correlation of the aggregate posterior; it needs a
    posterior of kind gaussian or normalised_gaussian."""

    kind: Literal["total_correlation"]
    weight: Positive
    """The weight of the total correlation; 1 is the ELBO."""


Objective = Annotated[
    ElboObjective | TrimmedObjective | ImportanceObjective | DiscrepancyObjective | TotalCorrelationObjective,
    Field(discriminator="kind"),
]


class ConstantControl(Section):
    """beta * rate."""

    kind: Literal["constant"]
    beta: NotNegative
    """Weight of the rate; 1 is the ELBO."""


class WarmUpControl(Section):
    """beta * rate, where beta rises linearly from 0 over the first `share` of all steps."""

    kind: Literal["warm_up"]
    beta: NotNegative
    """Its last value."""
    share: Share
    """The share of all steps in which beta rises."""
    balanced: bool = later(False)
    """True if, while beta rises, a nat of a ladder's level costs the more, the more nats the level has, so that all
    levels come into use; not with the objective importance_weighted."""


class CyclicalControl(Section):
    """beta * rate, where beta rises from 0 in the first `share` of each of `cycles`, and then stays."""

    kind: Literal["cyclical"]
    beta: NotNegative
    """Its highest value."""
    cycles: Count
    """The number of times that beta starts from 0."""
    share: Share
    """The share of each cycle in which beta rises."""


class FreeBitsControl(Section):
    """The rate of each dimension (the whole, where it has no closed form) costs nothing under `nats`; the rest warms up
    over `share` of all steps."""

    kind: Literal["free_bits"]
    nats: Positive
    """Nats that cost nothing."""
    share: Share
    """The share of all steps in which the cost rises."""
    per: Literal["dimension", "level"] = later("dimension")
    """The part of the rate that has these nats for nothing: a dimension, or a level of a ladder."""


class CapacityControl(Section):
    """weight * |rate - capacity|, where the capacity rises from 0 to `nats` over `share` of all steps."""

    kind: Literal["capacity"]
    nats: Positive
    """The rate that is wanted at last."""
    weight: Positive
    """The weight of the distance from the capacity."""
    share: Share
    """The share of all steps in which the capacity rises."""


class TargetRateControl(Section):
    """beta is steered so that the rate becomes `nats`."""

    kind: Literal["target_rate"]
    nats: Positive
    """The rate that is wanted."""


class TargetDistortionControl(Section):
    """beta is steered so that the distortion becomes `nats`, or the reconstructions reach `psnr` dB."""

    kind: Literal["target_distortion"]
    nats: Finite | None
    """The distortion that is wanted, or null."""
    psnr: Finite | None
    """The PSNR that reconstructions are to reach, in dB, or null."""

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
