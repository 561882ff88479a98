"""Flow matching: noise moves to latents in a fixed number of steps, along a velocity that a network has learned.

With noise ε of N(0, I) and standardised latents x, a point is on its way at

    z(a) = cos(a) ε + sin(a) x,        0 <= a <= pi/2,

and the velocity v(z, a) is the mean of dz/da = cos(a) x - sin(a) ε over all pairs whose way leads through z. These ways
are the straight ones of Lipman et al., brought to one variance at all times: both flows end at the same x. Of
latents that are themselves of N(0, I) the velocity is 0, so that a few steps have little to err by.

Source: Lipman, Chen, Ben-Hamu, Nickel and Le, Flow Matching for Generative Modeling, 2023, eq. 14; the way is that of
Albergo and Vanden-Eijnden, Building Normalizing Flows with Stochastic Interpolants, 2023, eq. 5.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.velocity import DenseVelocity, MapVelocity, moments


class FlowMatchingSampler(nn.Module):
    """`steps` steps of the two-step method of Adams and Bashforth, then the latents' own deviation and mean.

    A vector's draws pass `stretch` between the two, which brings their covariance to that of the latents.
    """

    moments: Tensor
    """The beginning of each step, as the network is told it."""
    back: Tensor
    """The same of the way back."""
    mean: Tensor
    scale: Tensor
    stretch: Tensor
    shrink: Tensor
    """The inverse of `stretch`."""

    def __init__(self, shape: Sequence[int], layers: int, width: int, steps: int) -> None:
        super().__init__()
        self.noise = math.prod(shape)
        self.velocity = MapVelocity(shape, layers, width) if len(shape) > 1 else DenseVelocity(shape[0], layers, width)
        self.register_buffer("moments", moments(torch.arange(steps) * (0.5 * math.pi / steps)))
        self.register_buffer("back", moments(torch.arange(steps, 0, -1) * (0.5 * math.pi / steps)), persistent=False)
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        self.register_buffer("scale", torch.ones(tuple(shape)))
        self.is_map = len(shape) > 1
        if not self.is_map:
            self.register_buffer("stretch", torch.eye(shape[0]))
            self.register_buffer("shrink", torch.eye(shape[0]))

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        z = self.follow(noise)
        return (z if self.is_map else z @ self.stretch.mT) * self.scale.flatten() + self.mean.flatten()

    def inverse(self, z: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch noise"]:
        """The noise of which z is made, but for the error of the steps: the same way, followed back."""
        place = (z - self.mean.flatten()) / self.scale.flatten()
        return self._followed(place if self.is_map else place @ self.shrink.mT, self.back, -1.0)

    def follow(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """The end of the way from `noise`: latents as the network was fitted to them, standardised."""
        return self._followed(noise, self.moments, 1.0)

    def _followed(self, place: Tensor, times: Tensor, direction: float) -> Tensor:
        step, before = direction * 0.5 * math.pi / len(times), None
        for index in range(len(times)):
            now = self.velocity(place, times[index : index + 1])
            place = place + step * (now if before is None else 1.5 * now - 0.5 * before)
            before = now
        return place


def on_the_way(
    noise: Float[Tensor, "batch latents"], x: Float[Tensor, "batch latents"], angle: Float[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch latents"], Float[Tensor, "batch latents"]]:
    """The point of each pair at its time, and its velocity there."""
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
    return cosine * noise + sine * x, cosine * x - sine * noise
