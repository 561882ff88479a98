"""The section `study`: the ways to enlarge a small labelled set that are compared, and the classifiers."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from vae_pipeline.recipe.section import Count, Place, Positive, Section, SomeFraction, later
from vae_pipeline.recipe.train import Augment

Arm = Literal[
    "class_weights",
    "oversampling",
    "geometric",
    "mixup",
    "vae_prior",
    "vae_posterior",
    "vae_interpolation",
    "geometric_vae",
]
ARMS: tuple[Arm, ...] = get_args(Arm)
GENERATED: tuple[Arm, ...] = ("vae_prior", "vae_posterior", "vae_interpolation", "geometric_vae")
"""The arms with images of a generator."""
Metric = Literal["accuracy", "balanced_accuracy", "auc"]


class Study(Section):
    """The comparison that `study` makes: classifiers with and without augmentation, all of equal steps."""

    sizes: Annotated[tuple[Count | Literal["all"], ...], Field(min_length=1)] = (50, 100, 200, 500, "all")
    """The numbers of labelled training images; `all` is the whole training part."""
    repeats: Annotated[int, Field(ge=2, le=10_000, strict=True)] = 10
    """The repeats of each size, each with a labelled set and initial weights of its own, which all arms share."""
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] = ARMS
    """The ways that are compared with none: class_weights (a loss by class), oversampling (classes drawn alike),
    geometric (mirrored and moved), mixup, images of a VAE that has seen the labelled set alone (vae_prior: new ones;
    vae_posterior: variants of labelled ones; vae_interpolation: between two of a class), and geometric_vae (geometric
    and vae_posterior)."""
    folds: Annotated[int, Field(ge=2, le=1000, strict=True)] | None = later(None)
    """The folds into which the training part is divided, by class and with images of one group together: each repeat
    holds one back, draws its labelled set from the others, and the fold takes the place of the validation part in
    choosing the arm. Null, which isn't stored, for the validation part."""
    metric: Metric = "balanced_accuracy"
    """The figure that decides."""
    steps: Count = 300
    """Updates of the classifier, the same in every arm."""
    batch: Annotated[int, Field(ge=2, le=10**6, strict=True)] = 64
    """Images of an update."""
    share: SomeFraction = 0.25
    """The part of a batch that is a VAE's images, in the arms that have any."""
    spread: Positive = 1.0
    """The distance of a variant's latents from their mean, in standard deviations of the posterior's own draws."""
    generator_steps: Count = 1000
    """Updates of the VAE, which is the recipe's model, made conditional on the label."""
    classifier: Place | None = later(None)
    """`FILE.py:NAME`: a function or class in a file of yours, which makes a torch.nn.Module of an image's shape and the
    number of classes; it gives logits of images on [0, 1]. Null, which isn't stored, for the pipeline's network."""
    geometric: Augment = Augment(shift=2)
    """The changes of the arms geometric and geometric_vae."""

    @property
    def overlap(self) -> float:
        """The ratio n2 / n1 of images that are held back to those that aren't; 0 without folds."""
        return 0.0 if self.folds is None else 1 / (self.folds - 1)

    @field_validator("sizes", "arms")
    @classmethod
    def _each_once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(values)) < len(values):
            raise ValueError("one is named twice: name each once")
        return values

    @field_validator("classifier")
    @classmethod
    def _a_name_in_a_file(cls, named: str | None) -> str | None:
        path, _, name = ("x.py", "", "x") if named is None else named.rpartition(":")
        if not (path.endswith(".py") and name.isidentifier()):
            raise ValueError("FILE.py:NAME is wanted, such as nets.py:resnet")
        return named

    @field_validator("geometric")
    @classmethod
    def _of_images(cls, augment: Augment) -> Augment:
        if augment.of_sound or not augment.of_images:
            raise ValueError("geometric is for images: set mirror or shift, and no key of sound")
        return augment
