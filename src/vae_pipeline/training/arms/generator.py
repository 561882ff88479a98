"""The generator of a repeat: the recipe's VAE, conditional on the label, trained on the labelled set alone.

Its images are drawn by the network that was just trained; `runtime.augmentation` draws such images by the graphs of a
bundle. To share that code a repeat would need an export (docs/adr/0065-study.md).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import taken
from vae_pipeline.models.build import build
from vae_pipeline.models.ladder import LadderVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.system.progress import counted
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.class_gaussians import fit_class_gaussians
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
    model = training.judged.requires_grad_(False).eval()
    if not (model.is_map or isinstance(model, LadderVAE)):
        model.sampler = fit_class_gaussians(model, labelled, recipe.seed)
    return model


def new_images(model: VAE, label: Int[Tensor, " batch"]) -> Float[Tensor, "batch channels height width"]:
    """E[x|z] on [0, 1] of new z, one for each label, of the Gaussian of its class.

    Few steps leave much of what tells classes apart to the latents. Latents of the prior, which is that of a map and of
    a ladder, would make images that have nothing to do with their label.
    """
    noise = torch.randn(len(label), model.noise).to(label.device)
    return _decoded(model, model.draw(noise, label), label)


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
    """E[x'|z] on [0, 1] of a z on the line between the means of two raw images of one label.

    The line is straight, where `runtime.augmentation` takes the spherical path: the studies in docs/study.md were
    measured so.
    """
    one, two = (model.encode(each, label).mean for each in (x, other))
    return _decoded(model, one.lerp(two, torch.rand(len(x), 1).to(x.device)), label)


def _decoded(model: VAE, z: Tensor, label: Tensor) -> Tensor:
    mean: Tensor = model.decode(z, label).mean
    return mean.clamp(0, 1)
