"""The way from a recipe's section `sharpness` to the terms of a run."""

from collections.abc import Callable
from pathlib import Path

import torch

from vae_pipeline.kinds.spec import AudioSpec, ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.classifier import digest
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.training.sharpness.adversary import Adversary
from vae_pipeline.training.sharpness.discriminator import PatchDiscriminator
from vae_pipeline.training.sharpness.distance import PerceptualDistance
from vae_pipeline.training.sharpness.features import trained_features
from vae_pipeline.training.sharpness.network import read_network
from vae_pipeline.training.sharpness.sharpener import Sharpener
from vae_pipeline.training.sharpness.waveforms import WaveformDistance

TRIED = 4  # images that a user's network is tried on


def build_sharpener(
    recipe: TrainedRecipe, prepared: Prepared, home: Path, device: torch.device, warn: Callable[[str], None]
) -> tuple[Sharpener | None, TrainedRecipe]:
    """The terms that a recipe asks for; and the recipe, with the digest of the network behind them.

    Raises:
        RecipeError: the network can't be used, or is another than the recipe says.
    """
    sharpness = recipe.train.sharpness
    if sharpness is None:
        return None, recipe
    spec, perceptual, adversary = prepared.spec, None, None
    if isinstance(spec, AudioSpec):
        assert sharpness.perceptual is not None  # a recipe says so
        distance = WaveformDistance(spec.length).to(device)
        return Sharpener((distance, sharpness.perceptual.weight), None, device), recipe
    assert isinstance(spec, ImageSpec)  # a recipe says so
    if sharpness.perceptual is not None:
        weight = sharpness.perceptual.weight
        if sharpness.network is None:
            classifier = trained_features(prepared, home, device, warn)
            perceptual, sharpness = (PerceptualDistance(classifier), weight), sharpness.pinned(digest(classifier))
        else:
            tried = Scaling(spec.low, spec.high)(torch.from_numpy(prepared.train.x[:TRIED]))
            perceptual = PerceptualDistance(read_network(Path(sharpness.network), tried).to(device)), weight
    if sharpness.adversarial is not None:
        with seeded(derive(recipe.seed, "discriminator")):
            discriminator = PatchDiscriminator(spec.event_shape, sharpness.adversarial.channels)
        adversary = Adversary(sharpness.adversarial, discriminator.to(device), recipe.train.learning_rate)
    train = recipe.train.model_copy(update={"sharpness": sharpness})
    return Sharpener(perceptual, adversary, device), recipe.model_copy(update={"train": train})
