"""Samplers: noise of N(0, I) to latents, by arithmetic that every ONNX runtime has.

The prior's own, or one fitted after training to the posteriors of the training data.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vae_pipeline.models.codes import half
from vae_pipeline.models.flow_matching import FlowMatchingSampler
from vae_pipeline.models.nets.coupling import CouplingFlow

FARTHEST = 1e9  # no number of N(0, 1) comes near it


class StandardNormalSampler(nn.Module):
    """The noise itself."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.noise = latents
        """Numbers that one draw needs."""

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        return noise


class CodesSampler(nn.Module):
    """Codes that are all as likely: each number of the noise chooses the level of one latent."""

    thresholds: Tensor
    """[latents, levels - 1]: quantiles of N(0, 1) between the levels; of fewer levels, the rest are out of reach."""
    one: Tensor

    def __init__(self, levels: Float[Tensor, " latents"]) -> None:
        super().__init__()
        self.noise = len(levels)
        share = torch.arange(1, int(levels.max()), device=levels.device).double() / levels[:, None].double()
        ends = torch.special.ndtri(share.clamp_max(1)).clamp_max(FARTHEST)
        self.register_buffer("thresholds", ends.float())
        self.register_buffer("one", half(levels))

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        level = (noise[..., None] > self.thresholds).float().sum(-1)
        return (level - self.one) / self.one


class MixtureSampler(nn.Module):
    """A mixture of Gaussians of full covariance; the first number of the noise chooses the component."""

    thresholds: Tensor
    """The first number's thresholds between components: quantiles of N(0, 1) at their cumulated weights."""
    mean: Tensor
    scale_tril: Tensor

    def __init__(
        self,
        weight: Float[Tensor, " components"],
        mean: Float[Tensor, "components latents"],
        scale_tril: Float[Tensor, "components latents latents"],
    ) -> None:
        super().__init__()
        self.noise = mean.shape[1] + 1
        cumulated = weight.detach().double().cpu().cumsum(0)[:-1].clamp(0, 1)
        self.register_buffer("thresholds", torch.special.ndtri(cumulated).to(mean))
        self.register_buffer("mean", mean)
        self.register_buffer("scale_tril", scale_tril)

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        if not len(self.thresholds):  # OpenVINO and OpenCV can't sum nothing
            return self.mean + noise[:, 1:] @ self.scale_tril[0].T
        chosen = (noise[:, :1] > self.thresholds).long().sum(1)
        away = self.scale_tril[chosen] @ noise[:, 1:, None]
        return self.mean[chosen] + away.squeeze(-1)


class ClassesSampler(nn.Module):
    """A Gaussian of full covariance for each class of a conditional model."""

    mean: Tensor
    scale_tril: Tensor

    def __init__(
        self, mean: Float[Tensor, "classes latents"], scale_tril: Float[Tensor, "classes latents latents"]
    ) -> None:
        super().__init__()
        self.noise = mean.shape[1]
        self.register_buffer("mean", mean)
        self.register_buffer("scale_tril", scale_tril)

    def forward(
        self, noise: Float[Tensor, "batch noise"], label: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch latents"]:
        """z of the classes `label`."""
        away = self.scale_tril[label] @ noise[:, :, None]
        return self.mean[label] + away.squeeze(-1)


class FlowSampler(nn.Module):
    """A coupling flow, then a stretch and a shift of each dimension."""

    mean: Tensor
    scale: Tensor

    def __init__(self, latents: int, layers: int, width: int) -> None:
        super().__init__()
        self.noise = latents
        self.flow = CouplingFlow(latents, layers, width)
        self.register_buffer("mean", torch.zeros(latents))
        self.register_buffer("scale", torch.ones(latents))

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        flowed: Tensor = self.flow(noise)[0]
        return flowed * self.scale + self.mean

    def inverse(self, z: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch noise"]:
        """The noise of which z is made."""
        noise: Tensor = self.flow.inverse((z - self.mean) / self.scale)[0]
        return noise

    def log_prob(self, z: Float[Tensor, "batch latents"]) -> Float[Tensor, " batch"]:
        """Log density of latents, up to the constants of N(0, I) and of the stretch."""
        noise, log_determinant = self.flow.inverse((z - self.mean) / self.scale)
        return log_determinant - 0.5 * noise.square().sum(-1)


class LevelsSampler(nn.Module):
    """A sampler of a ladder's topmost level, and the noise itself for the others."""

    noise: int

    def __init__(self, top: MixtureSampler, rest: StandardNormalSampler) -> None:
        super().__init__()
        self.top, self.noise = top, top.noise + rest.noise

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch latents"]:
        """z."""
        return torch.cat([self.top(noise[:, : self.top.noise]), noise[:, self.top.noise :]], 1)


Invertible = FlowSampler | FlowMatchingSampler
"""The samplers that lead back from latents to noise."""
Fitted = MixtureSampler | ClassesSampler | FlowSampler | FlowMatchingSampler
Sampler = StandardNormalSampler | CodesSampler | LevelsSampler | Fitted


def skeleton(weights: Mapping[str, Tensor]) -> Fitted:
    """The fitted sampler whose state has these names and shapes; its values are yet to be loaded.

    Raises:
        KeyError: they are no sampler's.
    """
    latents = weights["mean"].shape[-1]
    if "scale_tril" in weights and "thresholds" not in weights:
        return ClassesSampler(torch.zeros_like(weights["mean"]), torch.zeros_like(weights["scale_tril"]))
    if "scale_tril" in weights:
        components = weights["mean"].shape[0]
        unit = torch.eye(latents).expand(components, -1, -1).clone()
        return MixtureSampler(torch.full([components], 1 / components), torch.zeros(components, latents), unit)
    if "moments" in weights:
        layers, width = _count(weights, "velocity.layers."), weights["velocity.input.weight"].shape[0]
        return FlowMatchingSampler(weights["mean"].shape, layers, width, len(weights["moments"]))
    return FlowSampler(latents, _count(weights, "flow.layers."), weights["flow.layers.0.input.weight"].shape[0])


def _count(weights: Mapping[str, Tensor], layers: str) -> int:
    """The number of layers whose weights' names begin so."""
    return len({name.removeprefix(layers).split(".")[0] for name in weights if name.startswith(layers)})
