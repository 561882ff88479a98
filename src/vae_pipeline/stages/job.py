"""Job: the recipe and settings that every stage is given besides its paths."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.recipe.model import AnyModel, OnnxView
from vae_pipeline.recipe.train import Train
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.tracker import Tracker


@dataclass(frozen=True)
class Job:
    """One recipe, one seed, and where they run."""

    name: str
    """The recipe's: pipeline/digits.yaml is `digits`."""
    recipe: Recipe
    seed: int
    settings: Settings
    console: Console

    @classmethod
    def of(cls, recipe: Path, seed: int, console: Console) -> "Job":
        """Read the recipe and the settings.

        Raises:
            RecipeError, SettingsError: they don't validate.
        """
        return cls(recipe.stem, Recipe.load(recipe), seed, Settings.load(), console)

    def tracker(self) -> Tracker:
        """A tracker that warns on the console."""
        return Tracker(self.settings, self.warn)

    def warn(self, text: str) -> None:
        """Say something that doesn't end the stage."""
        self.console.print(f"warning: {redacted(text)}", style="yellow")


def sections_of(job: Job) -> TrainedRecipe:
    """The sections of a recipe that make a job's model.

    Raises:
        RecipeError: a network that the recipe names isn't there, or is another.
    """
    recipe = job.recipe
    return TrainedRecipe(
        about=recipe.about,
        model=_seen(recipe.model),
        objective=recipe.objective,
        rate_control=recipe.rate_control,
        train=_pinned(recipe.train),
        sampler=recipe.sampler,
        seed=job.seed,
    )


def _seen(model: AnyModel) -> AnyModel:
    """The section with the digest of the user's network whose features are seen."""
    view = model.view
    if not isinstance(view, OnnxView) or view.sha256 is not None:
        return model
    try:
        sha256 = sha256_of(Path(view.file))
    except OSError as error:
        raise RecipeError(f"model.view.file: {view.file} can't be read ({error.strerror})") from error
    return model.model_copy(update={"view": view.model_copy(update={"sha256": sha256})})


def _pinned(train: Train) -> Train:
    """The section with the digest of the user's network of features, which makes the weights as the data do."""
    sharpness = train.sharpness
    if sharpness is None or sharpness.network is None:
        return train
    try:
        return train.model_copy(update={"sharpness": sharpness.pinned(sha256_of(Path(sharpness.network)))})
    except OSError as error:
        raise RecipeError(
            f"train.sharpness.perceptual.features: {sharpness.network} can't be read ({error})"
        ) from error
