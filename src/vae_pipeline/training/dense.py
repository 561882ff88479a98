"""The gradient of a dense VAE, written out: of kernels as small as these autograd takes a third of the time.

    x ── encoder ── mean, log-variance ──> z ── decoder ── output ── likelihood ──> distortion

The chain rule is written out from `x` to `output`; through the likelihood, which may be any, it is autograd's. The
kernels are those that autograd calls, and sums have its order, so that the gradients have its bits.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal, rate_per_dimension
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood, log_prob_and_slope
from vae_pipeline.models.nets.dense import DenseDecoder, DenseEncoder
from vae_pipeline.models.posteriors import LOG_VARIANCE, GaussianPosterior
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import standard_normal
from vae_pipeline.training.objectives import Objective, elbo
from vae_pipeline.training.rate_control import RateControl, WarmUp

aten = torch.ops.aten

BACKWARD: dict[type[nn.Module], Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    nn.ReLU: lambda slope, before, after: aten.threshold_backward(slope, after, 0),  # noqa: ARG005
    nn.Tanh: lambda slope, before, after: aten.tanh_backward(slope, after),  # noqa: ARG005
    nn.SiLU: lambda slope, before, after: aten.silu_backward(slope, before),  # noqa: ARG005
    nn.GELU: lambda slope, before, after: aten.gelu_backward(slope, before, approximate="tanh"),  # noqa: ARG005
    nn.GLU: lambda slope, before, after: aten.glu_backward(slope, before, 1),  # noqa: ARG005
}
"""The slope of a loss by an activation's input, from that by its output, the input and the output."""


def dense_gradient(model: VAE, objective: Objective, control: RateControl) -> "DenseGradient | None":
    """The gradient of this model's loss where it is the one that is written out here, or None."""
    encoder, posterior, decoder = model.encoder, model.posterior, model.decoder
    if (
        type(model) is VAE
        and not model.classes
        and isinstance(encoder, DenseEncoder)
        and not encoder.shortcut
        and type(posterior) is GaussianPosterior
        and isinstance(model.latent_prior, StandardNormalPrior)
        and isinstance(decoder, DenseDecoder)
        and decoder.shortcut is None
        and objective is elbo
        and type(control) in {RateControl, WarmUp}
        and all(parameter.requires_grad for parameter in model.parameters())
    ):
        return DenseGradient(model, encoder, posterior, decoder, control)
    return None


class DenseGradient:
    """distortion + beta * rate of a dense VAE with N(0, I) for a prior, and its gradient."""

    def __init__(
        self,
        model: VAE,
        encoder: DenseEncoder,
        posterior: GaussianPosterior,
        decoder: DenseDecoder,
        control: RateControl,
    ) -> None:
        self.model, self.posterior, self.likelihood, self.control = model, posterior, model.likelihood, control
        self.planes = decoder.shape
        self.encoder, self.decoder = _Stack([*encoder.layers]), _Stack([*decoder.layers, decoder.output])

    @torch.no_grad()
    def __call__(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The loss and the sums of distortion and rate over the rows; each parameter gets its `grad`."""
        scaled = self.model.scaling(rows.x)
        features = self.encoder(scaled.flatten(1))
        q: DiagonalGaussian = self.posterior(features)
        noise = standard_normal((), q.mean)
        output = self.decoder(q.transform(noise))
        distortion, slope = self._distortion(output, scaled if rows.target is None else self.model.scaling(rows.target))
        rate = rate_per_dimension(q, StandardNormal(q.mean.shape[-1], like=q.mean)).sum(-1)
        beta = self.control.beta
        self._backward(features, q, noise, self.decoder.backward(slope), beta / len(rate) * 0.5)
        return distortion.mean() + beta * rate.mean(), torch.stack([distortion.sum(), rate.sum()])

    def _distortion(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x|z) of each row, and the slope of their mean by the decoder's output."""
        if isinstance(self.likelihood, BernoulliLikelihood):
            by_element, slope = log_prob_and_slope(output, target.view_as(output))
            return -by_element.sum(-1), slope.mul_(-1 / len(output))
        with torch.enable_grad():
            leaf = output.view(1, len(output), *self.planes).requires_grad_()
            distortion: Tensor = -self.likelihood(leaf).log_prob(target)
            distortion.mean().backward()
        assert leaf.grad is not None
        return distortion.detach(), leaf.grad.view_as(output)

    def _backward(self, features: Tensor, q: DiagonalGaussian, noise: Tensor, slope: Tensor, weight: Tensor) -> None:
        """Go on through the draw from the slope by z and the weight of mean² + variance - log_variance in the loss."""
        by_mean = slope + weight * (2 * q.mean)
        by_log_variance = weight * q.variance - weight + slope * noise * (0.5 * q.log_variance).exp() * 0.5
        by_log_variance = aten.hardtanh_backward(by_log_variance, q.log_variance, *LOG_VARIANCE)
        ends = [(self.posterior.mean, by_mean), (self.posterior.log_variance, by_log_variance)]
        for layer, by_output in ends:
            _learn(layer, features, by_output)
        first, second = (by_output @ layer.weight for layer, by_output in ends)
        self.encoder.backward(first + second, to_input=False)


class _Stack:
    """Linear layers and activations in turn, which keep what the way back needs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules
        self.between: list[Tensor] = []
        """The input, and the output of each module."""

    def __call__(self, x: Tensor) -> Tensor:
        self.between = [x]
        for module in self.modules:
            self.between.append(module(self.between[-1]))
        return self.between[-1]

    def backward(self, slope: Tensor, to_input: bool = True) -> Tensor:
        """Give each layer its gradient by the slope at the end; returns the slope at the beginning, where wanted."""
        for place in reversed(range(len(self.modules))):
            module, before, after = self.modules[place], *self.between[place : place + 2]
            if not isinstance(module, nn.Linear):
                slope = BACKWARD[type(module)](slope, before, after)
                continue
            _learn(module, before, slope)
            if place or to_input:
                slope = slope @ module.weight
        return slope


def _learn(layer: nn.Linear, x: Tensor, slope: Tensor) -> None:
    layer.weight.grad, layer.bias.grad = slope.t() @ x, slope.sum(0)
