"""The section `train`: the search for the weights."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from vae_pipeline.recipe.corruption import rising
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.recipe.private import Private
from vae_pipeline.recipe.section import Count, Place, Positive, Section, SomeFraction, later
from vae_pipeline.recipe.sharpness import Sharpness
from vae_pipeline.recipe.sound_corruption import Decibels


class DiffusersStart(Section):
    """The weights of an AutoencoderKL of diffusers, whose structure the model must have (docs/diffusers.md)."""

    kind: Literal["diffusers"]
    folder: Place
    """A folder that `save_pretrained` filled: config.json and diffusion_pytorch_model.safetensors."""
    part: Literal["whole", "decoder"]
    """The part that is trained. `decoder`: encoder and posterior stay as they are, and so do the latents of every
    image; a learned prior or scale is trained with it."""


class Augment(Section):
    """Changes that each training image or recording goes through, drawn anew in every epoch; no other part is
    changed."""

    mirror: bool = False
    """Left and right are swapped in one half of the images: for what looks as likely the other way round, as faces do
    and digits don't."""
    shift: Annotated[int, Field(ge=0)] = 0
    """The most pixels by which an image is moved, up or down and left or right; its edge is repeated behind it."""
    loudness_db: Annotated[tuple[Decibels, Decibels] | None, AfterValidator(rising)] = later(None)
    """The least and the most by which a recording is made louder, below 0 softer; or null."""
    speed: Annotated[float, Field(ge=1, le=2)] = later(1.0)
    """The factor by which a recording is played faster or slower at most, its pitch with it."""
    octave_db: Annotated[float, Field(ge=0, le=20)] = later(0.0)
    """The standard deviation by which a recording's level changes from an octave to the next, as it does with another
    microphone."""

    @model_validator(mode="after")
    def _changes_one_kind(self) -> "Augment":
        if not self.of_images and not self.of_sound:
            raise ValueError(
                "augment changes nothing: set mirror or shift for images, or loudness_db, speed or octave_db for "
                "sound, or augment to null"
            )
        return self

    @property
    def of_images(self) -> bool:
        """True if it changes images."""
        return self.mirror or self.shift > 0

    @property
    def of_sound(self) -> bool:
        """True if it changes sound."""
        return self.loudness_db is not None or self.speed > 1 or self.octave_db > 0

    @property
    def told(self) -> str:
        """The changes in a sentence."""
        pixels = f"{self.shift} pixel{'s' if self.shift > 1 else ''}"
        ways = ["mirrored at random"] * self.mirror + [f"moved by up to {pixels}"] * (self.shift > 0)
        if self.loudness_db is not None:
            ways.append("made louder by {:g} to {:g} dB".format(*self.loudness_db))
        if self.speed > 1:
            ways.append(f"played up to {self.speed:g} times as fast or as slowly")
        if self.octave_db > 0:
            ways.append(f"coloured by {self.octave_db:g} dB an octave")
        some = "recordings" if self.of_sound else "images"
        return f"In each epoch the training {some} were {' and '.join(ways)}."


class Train(Section):
    """Adam with decoupled weight decay."""

    start: DiffusersStart | None = later(None)
    """Weights to begin with; null, which isn't stored, for fresh ones."""
    epochs: Count | None = None
    """Passes over the training part; each ends with a validation."""
    steps: Count | None = None
    """Instead of `epochs`, for data of any size: updates of the weights. Between two validations lies a pass over the
    training part, or less or more of it where the run would have fewer than 20 validations or more than 100; what
    lies between them is then what is called an epoch."""
    max_minutes: Positive | None
    """End after so long, wherever the epoch is, or null; the time of interrupted parts counts."""
    batch: Count
    """Examples a step, over all processes."""
    augment: Augment | None = later(None)
    """Changes of the training images or recordings, or null, which isn't stored, for none."""
    denoise: Denoise | None = later(None)
    """Corruption of what the encoder sees, whose clean origin is the answer; null, which isn't stored, for none."""
    accumulate: Count
    """Pieces that a batch is computed in, one after the other, where the memory doesn't hold it whole."""
    precision: Literal["float32", "tf32", "bfloat16"]
    """The networks' precision on a GPU: float32 keeps 23 bits of fraction, tf32 10 of what is multiplied, bfloat16 7 of
    everything. Loss and rate are float32 always, and all is on a CPU, where that is faster."""
    learning_rate: Positive
    """The highest learning rate."""
    schedule: Literal["constant", "cosine", "one_cycle"]
    """`constant`; `cosine`, which falls to 0; or `one_cycle`, which rises from 1/25 in the first 30 % of the steps, and
    then falls to 0."""
    warm_up: Annotated[float, Field(ge=0, le=1)]
    """Share of all steps in which the learning rate rises linearly from 0 to what the schedule says."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Decay of weight matrices, kernels and a learned prior's parameters, not of biases or a learned scale; 0 for
    none."""
    clip: Positive | None
    """Largest norm of the gradient, or null."""
    skip_threshold: Positive | None = later(None)
    """Norm of the gradient, before it is clipped, over which a step is skipped, counted and told; or null. The first
    steps of a run have high norms: the threshold must be over these."""
    ema: SomeFraction | None
    """Decay of a moving average of the weights, which is then what is validated and kept; or null."""
    keep: Literal["best", "last"]
    """The epoch whose weights are the result; the best is the one with the highest validation ELBO (beta = 1)."""
    patience: Count | None
    """Stop after so many epochs without a better validation ELBO; null for never."""
    stop_on_alarm: bool
    """End with an error at the first alarm (collapse, idle latents, an autoencoder); else it is told and kept."""
    sharpness: Sharpness | None = later(None)
    """Terms beside the objective that make images sharp, or null: a model that has any isn't trained by the ELBO
    alone."""
    private: Private | None = later(None)
    """Differentially private training, or null: the model tells next to nothing of any one row (docs/synthesis.md)."""

    @model_validator(mode="after")
    def _one_length(self) -> "Train":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("the length is told by one of the keys epochs and steps: give one, and not the other")
        return self

    @model_validator(mode="after")
    def _keeps_what_is_sharp(self) -> "Train":
        adversarial = self.sharpness is not None and self.sharpness.adversarial is not None
        if adversarial and (self.keep == "best" or self.patience is not None):
            raise ValueError(
                "the discriminator of train.sharpness costs ELBO from the step on at which it starts, and keep: best "
                "and patience would choose an epoch before: set train.keep: last and train.patience: null"
            )
        return self

    @model_validator(mode="after")
    def _clips_before_it_skips(self) -> "Train":
        if self.skip_threshold is not None and self.clip is not None and self.skip_threshold <= self.clip:
            raise ValueError(
                f"train.skip_threshold is {self.skip_threshold:g} and train.clip {self.clip:g}, so that no step would "
                "be clipped: set the threshold far over it, such as to five times the clip"
            )
        return self

    @property
    def length(self) -> str:
        """The length in words, as the recipe gives it."""
        return f"{self.epochs} epochs" if self.steps is None else f"{self.steps:,} steps"
