"""The gradient of a dense VAE, written out: of kernels as small as these autograd takes a third of the time.

    x ── encoder ── mean, log-variance ──> z ── decoder ── output ── likelihood ──> distortion

The chain rule is written out from `x` to `output`; through the likelihood, which may be any, it is autograd's. The
kernels are those that autograd calls, and sums have its order, so that the gradients have its bits. What lies between
the kernels, such as the calls of modules and the making of distributions, took a fifth of a step, and is left out.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

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
        and isinstance(encoder, DenseEncoder)
        and type(posterior) is GaussianPosterior
        and isinstance(model.latent_prior, StandardNormalPrior)
        and isinstance(decoder, DenseDecoder)
        and encoder.shortcut == (decoder.shortcut is not None)
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
        self.model, self.likelihood, self.control = model, model.likelihood, control
        model.zero_grad()
        self.ends = (_Linear(posterior.mean), _Linear(posterior.log_variance))
        self.planes = decoder.shape
        self.shortcut = None if decoder.shortcut is None else _Linear(decoder.shortcut)  # of either net, or neither
        self.encoder, self.decoder = _Stack([*encoder.layers]), _Stack([*decoder.layers, decoder.output])
        self.others = [parameter for parameter in model.parameters() if parameter.grad is None]
        """Parameters outside linear layers, such as a likelihood's scale: autograd adds to their gradients."""
        # Operations cost least in inference mode, where autograd can't be asked for a likelihood's slope.
        self.mode = torch.inference_mode if isinstance(self.likelihood, BernoulliLikelihood) else torch.no_grad
        self.room: list[Tensor] = []

    def __call__(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The loss and the sums of distortion and rate over the rows; each parameter has its gradient in its `grad`."""
        with self.mode():
            return self._gradient(rows)

    def _gradient(self, rows: Rows) -> tuple[Tensor, Tensor]:
        scaled, label = self.model.scaling(rows.x), self.model.one_hot(rows.label)
        features = self._features(scaled.flatten(1), label)
        mean, log_variance = (layer(features) for layer in self.ends)
        log_variance = nn.functional.hardtanh(log_variance, *LOG_VARIANCE)
        variance, scale = log_variance.exp(), (0.5 * log_variance).exp()
        noise = standard_normal((), mean)
        z = _joined(torch.addcmul(mean, scale, noise), label)
        output = self._output(z)
        distortion, slope = self._distortion(output, scaled if rows.target is None else self.model.scaling(rows.target))
        rate = mean.square().add_(variance).sub_(1).sub_(log_variance).mul_(0.5).sum(-1)
        sums = torch.stack([distortion, rate]).sum(1)
        beta, means = self.control.beta, sums / len(rate)

        slope = self._back_to_z(slope, z)[:, : mean.shape[1]]
        share = beta / len(rate)  # of half of mean² + variance - log_variance in the loss
        by_mean = slope + share * mean
        by_log_variance = (share * variance).sub_(share).add_((slope * noise).mul_(scale)).mul_(0.5)
        by_log_variance = aten.hardtanh_backward(by_log_variance, log_variance, *LOG_VARIANCE)
        self._back_to_x(features, by_mean, by_log_variance)
        return means[0] + beta * means[1], sums

    def _features(self, flat: Tensor, label: Tensor | None) -> Tensor:
        features = self.encoder(_joined(flat, label))
        return features if self.shortcut is None else torch.cat([features, flat], 1)

    def _output(self, z: Tensor) -> Tensor:
        flat = self.decoder(z)
        return flat if self.shortcut is None else flat + self.shortcut(z)

    def _distortion(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x|z) of each row, and the slope of their mean by the decoder's output."""
        if isinstance(self.likelihood, BernoulliLikelihood):
            if not self.room or self.room[0].shape != output.shape:  # the last batch of an epoch may be smaller
                self.room = [torch.empty_like(output) for _ in range(3)]
            by_element, slope = log_prob_and_slope(output, target.view_as(output), self.room)
            return -by_element.sum(-1), slope.mul_(-1 / len(output))
        for parameter in self.others:
            parameter.grad = None
        with torch.enable_grad():
            leaf = output.view(1, len(output), *self.planes).requires_grad_()
            distortion: Tensor = -self.likelihood(leaf).log_prob(target)
            distortion.mean().backward()
        assert leaf.grad is not None
        return distortion.detach().squeeze(0), leaf.grad.view_as(output)

    def _back_to_z(self, slope: Tensor, z: Tensor) -> Tensor:
        """The slope by the decoder's input, from that by its output."""
        by_layers = self.decoder.backward(slope)
        if self.shortcut is None:
            return by_layers
        self.shortcut.learn(z, slope)
        return by_layers + slope.mm(self.shortcut.weight)

    def _back_to_x(self, features: Tensor, *slopes: Tensor) -> None:
        """Go on from the slopes by mean and log-variance to the encoder's first layer."""
        for layer, slope in zip(self.ends, slopes, strict=True):
            layer.learn(features, slope)
        first, second = (slope.mm(layer.weight) for layer, slope in zip(self.ends, slopes, strict=True))
        self.encoder.backward((first + second)[:, : self.encoder.width], to_input=False)


class _Linear:
    """A linear layer by its numbers alone: tensors that autograd could follow cost more, whether it does or not.

    Its parameters have the same memory for their `grad` in all steps.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.by_weight = _with_gradient(layer.weight)
        self.bias, self.by_bias = (None, None) if layer.bias is None else _with_gradient(layer.bias)

    def __call__(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    def learn(self, x: Tensor, slope: Tensor) -> None:
        """Write the parameters' gradients, by the slope of the loss by the output."""
        torch.mm(slope.t(), x, out=self.by_weight)
        if self.by_bias is not None:
            torch.sum(slope, 0, out=self.by_bias)


class _Stack:
    """Linear layers and activations in turn, which keep what the way back needs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = [_Linear(module) if isinstance(module, nn.Linear) else module for module in modules]
        self.between: list[Tensor] = []
        """The input, and the output of each module."""

    @property
    def width(self) -> int:
        """The number of outputs, once there was an input."""
        return self.between[-1].shape[1]

    def __call__(self, x: Tensor) -> Tensor:
        self.between = [x]
        for module in self.modules:
            x = module(x) if isinstance(module, _Linear) else module.forward(x)  # without the search for hooks
            self.between.append(x)
        return x

    def backward(self, slope: Tensor, to_input: bool = True) -> Tensor:
        """Give each layer its gradient by the slope at the end; returns the slope at the beginning, where wanted."""
        for place in reversed(range(len(self.modules))):
            module, before, after = self.modules[place], *self.between[place : place + 2]
            if not isinstance(module, _Linear):
                slope = BACKWARD[type(module)](slope, before, after)
                continue
            module.learn(before, slope)
            if place or to_input:
                slope = slope.mm(module.weight)
        return slope


def _with_gradient(parameter: Tensor) -> tuple[Tensor, Tensor]:
    """A parameter's numbers, and the tensor that is its `grad` from now on."""
    parameter.grad = torch.empty_like(parameter)
    return parameter.detach(), parameter.grad


def _joined(x: Tensor, label: Tensor | None) -> Tensor:
    return x if label is None else torch.cat([x, label], 1)
