"""The terms of one run: what they add to the loss of a batch, and their figures."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_pipeline.metrics.bounds import widest
from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.training.sharpness.adversary import Adversary
from vae_pipeline.training.sharpness.balance import balanced
from vae_pipeline.training.sharpness.distance import Distance


@dataclass(frozen=True)
class SharpnessFigures:
    """Means over an epoch's training examples, at a drawn z; None of a term that isn't there or has not begun."""

    perceptual: float | None
    perceptual_weight: float | None
    adversarial: float | None
    adversarial_weight: float | None
    discriminator: float | None


class Sharpener:
    """Pulls E[x|z] towards sharp images, beside what the objective asks for."""

    def __init__(
        self, perceptual: tuple[Distance, float] | None, adversary: Adversary | None, device: torch.device
    ) -> None:
        """`perceptual` is the distance with the recipe's weight."""
        self.perceptual, self.adversary = perceptual, adversary
        self.totals = torch.zeros(7, dtype=widest(device), device=device)

    def pull(self, model: VAE, inference: Inference, label: Tensor | None) -> Tensor:
        """Σ weight * term of one batch, whose gradient reaches the decoder's output as `balanced` makes it.

        A term is counted once for each value of an image, as the distortion is summed over them.
        """
        target, count = inference.target, len(inference.target)
        values = target[0].numel()
        assert inference.output is not None
        (distortion,) = torch.autograd.grad(inference.distortion()[0].mean(), inference.output, retain_graph=True)

        def weighed(term: Tensor, outputs: list[Tensor], share: float | Tensor, place: int) -> Tensor:
            gradients = torch.autograd.grad(values * term, outputs, retain_graph=True)
            pulls, weight = balanced(distortion, gradients, share)
            self.totals[place : place + 3] += count * torch.stack([term.detach(), weight, torch.ones_like(weight)])
            pulled = torch.stack([(pull * output).sum() for pull, output in zip(pulls, outputs, strict=True)]).sum()
            return weight * values * term.detach() + (pulled - pulled.detach())

        terms = []
        if self.perceptual is not None:
            distance, share = self.perceptual
            terms.append(weighed(distance(inference.likelihood.mean[0], target), [inference.output], share, 0))
        if self.adversary is not None and self.adversary.begun:
            term, outputs = self.adversary.term(model, inference, label)
            terms.append(weighed(term, outputs, self.adversary.weight, 3))
        return torch.stack(terms).sum() if terms else torch.zeros((), device=target.device)

    def advance(self, share: float) -> None:
        """Say which share of the steps is over."""
        if self.adversary is not None:
            self.adversary.advance(share)

    def learn(self, weight: float) -> None:
        """Let the discriminator gather what the last batch teaches, by the weight of that batch in the step."""
        if self.adversary is not None and self.adversary.shown is not None:
            count = len(self.adversary.shown[0])
            self.totals[6] += count * self.adversary.learn(weight)

    def step(self, rate: Tensor) -> None:
        """Move the discriminator; `rate` is the model's learning rate."""
        if self.adversary is not None and self.adversary.begun:
            self.adversary.step(rate)

    def figures(self) -> SharpnessFigures:
        """The figures since they were asked for last."""
        distance, distance_weight, distances, score, score_weight, scores, hinges = self.totals.tolist()
        self.totals.zero_()

        def mean(total: float, count: float) -> float | None:
            return total / count if count else None

        return SharpnessFigures(
            mean(distance, distances),
            mean(distance_weight, distances),
            mean(score, scores),
            mean(score_weight, scores),
            mean(hinges, scores),
        )

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs; to be copied into."""
        adversary = {} if self.adversary is None else self.adversary.state()
        return {"totals": self.totals, **{f"adversary.{name}": tensor for name, tensor in adversary.items()}}
