"""The generator of a repeat: the recipe's VAE, conditional on the label, trained on the labelled set alone."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import taken
from vae_pipeline.models.build import build
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.system.progress import counted
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.length import Length
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.principal import begin_linear


def fit_generator(recipe: TrainedRecipe, spec: ImageSpec, labelled: Split, device: torch.device) -> VAE:
    """A VAE of the labelled set; it sees nothing else, and its last step's weights are kept.

    Raises:
        RecipeError: the model doesn't fit the data.
        TrainingError: the loss isn't finite.
    """
    nothing = taken(labelled, torch.zeros(0, dtype=torch.int64).numpy())
    train = recipe.train
    with seeded(derive(recipe.seed, "weights")):
        model = build(recipe.model, spec).to(device)
    if model.latents < len(labelled):  # else there are too few components to start from
        begin_linear(model, labelled, recipe.seed)
    with seeded(derive(recipe.seed, "noise")):
        training = Training.start(model, train, recipe.rate_control)
        batches = Batches(labelled, train.batch, recipe.seed, device, train.accumulate, augment=train.augment)
        assert train.steps is not None  # as a study's generator has them
        once = Length(train.steps, train.steps)  # what is measured after an epoch would cost more than the steps
        steps = fit(training, train, recipe.objective, batches, nothing, recipe.seed, length=once)
        for _ in counted("training of the generator", steps, train.steps):
            pass
    return training.judged.requires_grad_(False).eval()


def new_images(model: VAE, label: Int[Tensor, " batch"]) -> Float[Tensor, "batch channels height width"]:
    """E[x|z] on [0, 1] of z from the prior, one for each label."""
    noise = torch.randn(len(label), model.noise).to(label.device)
    return _decoded(model, model.draw(noise), label)


def variants(
    model: VAE, x: Tensor, label: Int[Tensor, " batch"], spread: float
) -> Float[Tensor, "batch channels height width"]:
    """E[x'|z] on [0, 1] of draws around raw images `x`, `spread` times as far from the mean as the posterior's own."""
    posterior = model.encode(x, label)
    z = posterior.rsample()
    return _decoded(model, posterior.mean + spread * (z - posterior.mean), label)


def between(
    model: VAE, x: Tensor, other: Tensor, label: Int[Tensor, " batch"]
) -> Float[Tensor, "batch channels height width"]:
    """E[x'|z] on [0, 1] of a z on the line between the means of two raw images of one label."""
    one, two = (model.encode(each, label).mean for each in (x, other))
    return _decoded(model, one.lerp(two, torch.rand(len(x), 1).to(x.device)), label)


def _decoded(model: VAE, z: Tensor, label: Tensor) -> Tensor:
    mean: Tensor = model.decode(z, label).mean
    return mean.clamp(0, 1)
