"""The cost of the rate in the loss, step by step: a schedule, a floor, or a controller that steers it.

A control's buffers are its state: they live on the model's device and in the checkpoints. The loop calls `advance`
before each step and `observe` after it, with the whole batch's means over all processes.
"""

import math
from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from vae_pipeline.models.vae import Terms
from vae_pipeline.recipe import objective as recipe

LEAST_RATE = 0.01  # nats, in the balance: a level without any must cost something, or its first nat would be free


def build_rate_control(control: recipe.RateControl) -> "RateControl":
    """A control in its first state."""
    match control:
        case recipe.ConstantControl():
            return RateControl(control.beta)
        case recipe.WarmUpControl():
            build = Balanced if control.balanced else WarmUp
            return build(control.beta, control.share)
        case recipe.CyclicalControl():
            return Cyclical(control.beta, control.cycles, control.share)
        case recipe.FreeBitsControl():
            return FreeBits(control.nats, control.share, control.per)
        case recipe.CapacityControl():
            return Capacity(control.nats, control.weight, control.share)
        case recipe.TargetRateControl():
            return TargetRate(control.nats)
        case recipe.TargetDistortionControl():
            return TargetDistortion(control.nats, control.psnr)
        case _:
            assert_never(control)


class RateControl(nn.Module):
    """beta * rate."""

    beta: Tensor
    feedback = False
    """True if `observe` is to be called."""
    squared_error = False
    """True if `observe` wants the mean squared error too, which images have alone."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta))

    def cost(self, inference: Terms) -> Tensor:
        """The cost of the rate, averaged over the batch."""
        return self.beta * inference.rate().mean()

    def advance(self, progress: float) -> None:
        """Before the step that comes after the share `progress` of all steps."""

    def observe(self, distortion: Tensor, rate: Tensor, mse: Tensor | None = None) -> None:
        """After a step: its means over the batch."""


class WarmUp(RateControl):
    """beta * rate, where beta rises linearly from 0 (Bowman et al., 2016)."""

    def __init__(self, beta: float, share: float) -> None:
        super().__init__(beta)
        self.final, self.share = beta, share

    def advance(self, progress: float) -> None:
        """Set beta."""
        self.beta.fill_(self.final * _risen(progress, self.share))


class Balanced(WarmUp):
    """beta Σ weight_l rate_l: while beta rises the weight is the level's rate in proportion to their mean, then 1.

    Source: Vahdat and Kautz, NVAE, 2020, appendix A, where the weights follow the sizes of the levels' maps too.
    """

    rising: Tensor

    def __init__(self, beta: float, share: float) -> None:
        super().__init__(beta, share)
        self.register_buffer("rising", torch.tensor(True), persistent=False)  # it follows from the step

    def advance(self, progress: float) -> None:
        """Set beta, and end the balance with its rise."""
        super().advance(progress)
        self.rising.fill_(progress < self.share)

    def cost(self, inference: Terms) -> Tensor:
        """The levels' rates, weighted."""
        rates = inference.level_rates().mean((0, 1))
        given = rates.detach().clamp_min(0) + LEAST_RATE
        return self.beta * (torch.where(self.rising, given / given.mean(), torch.ones_like(given)) * rates).sum()


class Cyclical(WarmUp):
    """beta rises and stays, again and again.

    Source: Fu, Li, Liu, Gao, Celikyilmaz and Carin, Cyclical Annealing Schedule, 2019, eq. 6.
    """

    def __init__(self, beta: float, cycles: int, share: float) -> None:
        super().__init__(beta, share)
        self.cycles = cycles

    def advance(self, progress: float) -> None:
        """Set beta."""
        super().advance(progress * self.cycles % 1)


class FreeBits(WarmUp):
    """Σ max(nats, rate_j), each rate averaged over the batch first; j are the dimensions, or the levels of a ladder.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling, Inverse Autoregressive Flow, 2016, eq. 15.
    """

    def __init__(self, nats: float, share: float, per: Literal["dimension", "level"] = "dimension") -> None:
        super().__init__(1.0, share)
        self.nats, self.per = nats, per

    def cost(self, inference: Terms) -> Tensor:
        """The rate over the floor, and the floor."""
        rates = inference.rates() if self.per == "dimension" else inference.level_rates()
        return self.beta * rates.mean((0, 1)).clamp_min(self.nats).sum()


class Capacity(RateControl):
    """weight * |rate - capacity| (Burgess et al., Understanding disentangling in beta-VAE, 2018, eq. 5)."""

    capacity: Tensor

    def __init__(self, nats: float, weight: float, share: float) -> None:
        super().__init__(weight)
        self.nats, self.share = nats, share
        self.register_buffer("capacity", torch.zeros(()))

    def advance(self, progress: float) -> None:
        """Set the capacity."""
        self.capacity.fill_(self.nats * _risen(progress, self.share))

    def cost(self, inference: Terms) -> Tensor:
        """The distance of the rate from the capacity."""
        return self.beta * (inference.rate().mean() - self.capacity).abs()


# The controllers' gains, for errors of 1 (an e-fold of the target): found on several data sets, and not to be tuned.
PROPORTIONAL, INTEGRAL = 1.0, 0.1
SMOOTHING = 0.8
RANGE = (math.log(0.01), math.log(100.0))  # of beta


class Controller(RateControl):
    """beta * rate; log beta follows an error's change (proportional) and its sum since the first arrival (integral)."""

    feedback = True
    smoothed: Tensor
    last_error: Tensor
    seen: Tensor
    arrived: Tensor
    """True if the target was reached once."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.register_buffer("smoothed", torch.zeros(()))
        self.register_buffer("last_error", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("arrived", torch.zeros((), dtype=torch.bool))

    def steer(self, measured: Tensor, target: float, unit: float) -> None:
        """Raise beta where `measured` is over its target."""
        self.seen.add_(1)
        # An average of the last few steps, without the weight of its first value.
        self.smoothed.lerp_(measured.to(self.smoothed), (1 - SMOOTHING) / (1 - SMOOTHING**self.seen))
        error = ((self.smoothed - target) / unit).clamp(-1, 1)
        change = torch.where(self.seen > 1, error - self.last_error, torch.zeros_like(error))
        arrives = (self.last_error * error < 0) & ~self.arrived
        self.last_error.copy_(error)
        log_beta = self.beta.log() + PROPORTIONAL * change + INTEGRAL * error
        # On the way there the error was the network's, which had yet to learn: what it summed up to is forgotten.
        log_beta = torch.where(arrives, torch.zeros_like(log_beta), log_beta)
        self.arrived.logical_or_(arrives)
        self.beta.copy_(log_beta.clamp(*RANGE).exp())


class TargetRate(Controller):
    """Holds the rate at a target (after Shao et al., ControlVAE, 2020; here on logarithms, free of units)."""

    def __init__(self, nats: float) -> None:
        super().__init__()
        self.target = math.log(nats)

    def observe(self, distortion: Tensor, rate: Tensor, mse: Tensor | None = None) -> None:  # noqa: ARG002
        """Steer by the rate."""
        self.steer(rate.clamp_min(1e-3).log(), self.target, 1.0)


class TargetDistortion(Controller):
    """Holds the distortion, or the reconstructions' PSNR, at a target and lowers the rate as far as that allows.

    Source: Rezende and Viola, Taming VAEs, 2018, algorithm 1; there a multiplier of the distortion, here its inverse.
    """

    def __init__(self, nats: float | None, psnr: float | None) -> None:
        super().__init__()
        self.nats, self.psnr = nats, psnr
        self.squared_error = psnr is not None

    def observe(self, distortion: Tensor, rate: Tensor, mse: Tensor | None = None) -> None:  # noqa: ARG002
        """Steer by the distortion or the mean squared error."""
        if self.nats is not None:
            self.steer(-distortion, -self.nats, 0.25 * max(1.0, abs(self.nats)))
        elif self.psnr is not None and mse is not None:
            self.steer(-mse.log(), self.psnr * math.log(10) / 10, 0.5)


def _risen(progress: float, share: float) -> float:
    return min(1.0, progress / share) if share > 0 else 1.0
