"""The adversarial term: a discriminator that learns while the model does, and begins after it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.recipe.sharpness import Adversarial
from vae_pipeline.training.sharpness.discriminator import CHANCE, PatchDiscriminator, hinge

PACE = 0.05  # of the moving average of the discriminator's loss


class Adversary:
    """A discriminator with the state of its learning."""

    def __init__(self, recipe: Adversarial, discriminator: PatchDiscriminator, learning_rate: float) -> None:
        """`learning_rate` is the model's highest; the discriminator's follows its schedule."""
        self.recipe, self.discriminator = recipe, discriminator
        self.optimizer = AdamW(discriminator, weight_decay=0.0)
        self.pace = recipe.learning_rate / learning_rate
        self.begun = False
        self.loss = torch.full((), CHANCE, device=next(discriminator.parameters()).device)
        """The discriminator's loss, as a moving average."""
        self.shown: tuple[Tensor, Tensor] | None = None
        """The images of the last term, real and made, which the discriminator is yet to learn by."""

    @property
    def weight(self) -> Tensor:
        """The recipe's weight times how well the discriminator tells: all of it at a loss of 0, nothing at chance.

        A discriminator at chance has next to no gradient, and one that is made long is noise.
        """
        return self.recipe.weight * (1 - self.loss / CHANCE).clamp_min(0)

    def advance(self, share: float) -> None:
        """Begin once a share of the steps is over."""
        self.begun = share >= self.recipe.start

    def term(self, model: VAE, inference: Inference, label: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """-D(E[x|z]), averaged over patches and images, and the decoder's outputs that it is a function of."""
        assert inference.output is not None
        outputs, images = [inference.output], [inference.likelihood.mean[0]]
        if self.recipe.samples:
            with torch.no_grad():
                z = model.prior().sample(torch.Size([len(inference.target)]))
            outputs.append(model.decoded(z, label))
            images.append(model.likelihood(outputs[1]).mean)
        made = torch.cat(images)
        self.shown = inference.target, made.detach()
        return -self.discriminator(made).mean(), outputs

    def learn(self, weight: float) -> Tensor:
        """The hinge loss of the images that were shown last, whose gradient is gathered `weight` times."""
        assert self.shown is not None
        real, made = self.shown
        scores = self.discriminator(torch.cat([real, made]))
        loss = hinge(*scores.split([len(real), len(made)]))
        (weight * loss).backward()
        self.loss.lerp_(loss.detach(), weight * PACE)
        self.shown = None
        return loss.detach()

    def step(self, rate: Tensor) -> None:
        """Move the discriminator by what was gathered; `rate` is the model's learning rate."""
        self.optimizer.step(rate * self.pace)
        for parameter in self.optimizer.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs; to be copied into."""
        moments: Sequence[Tensor] = self.optimizer.state()
        optimizer = {f"optimizer.{at}": each for at, each in enumerate(moments)}
        return {"loss": self.loss, **self.discriminator.state_dict(), **optimizer}
