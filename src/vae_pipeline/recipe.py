"""Recipe: all that changes the numbers, in one YAML file of five sections, every field of it written out.

Sections are frozen; where there is a choice of kinds, the key `kind` makes it. Nothing here is read from
the environment, and nothing has a default: a recipe says what it does.
"""

from pathlib import Path
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vae_pipeline.reading import parse, read_yaml

Fraction = Annotated[float, Field(ge=0, lt=1)]
SomeFraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Layers = Annotated[tuple[Count, ...], Field(min_length=1)]
Shape = tuple[Count, Count, Count]
Place = Annotated[str, Field(min_length=1)]
Activation = Literal["relu", "tanh", "silu", "gelu"]
METRICS = Literal[
    "elbo",
    "distortion",
    "rate",
    "bits_per_dimension",
    "importance_bound",
    "active_units",
    "mse",
    "psnr",
    "ssim",
]


class Section(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ── data ──────────────────────────────────────────────────────────────────────────────────────────────


class File(Section):
    """A file of arrays: at a `path`, or at a `url` with the `digest` that it must have."""

    path: str | None = None
    url: str | None = Field(None, pattern=r"^(https?|ftp|file)://")
    digest: str | None = Field(None, pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")
    key: str | None = Field(None, description="which array of an .npz")

    @model_validator(mode="after")
    def _one_origin(self) -> "File":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path, or url and digest")
        if (self.url is None) != (self.digest is None):
            raise ValueError("a url needs the digest of what it delivers (sha256:... or md5:...)")
        return self


class ArrayPart(Section):
    """Images, and their labels if there are any."""

    images: File
    labels: File | None


class SyntheticData(Section):
    """Grey bars on a dark ground, drawn from the seed: needs no file. The label says upright or lying."""

    kind: Literal["synthetic"]
    examples: Count
    side: Annotated[int, Field(ge=4)]
    valid: Fraction
    test: SomeFraction


class DigitsData(Section):
    """The 1,797 real 8x8 digits that scikit-learn carries (UCI Optical Recognition, values 0..16)."""

    kind: Literal["digits"]
    valid: Fraction
    test: SomeFraction


class ArraysData(Section):
    """IDX, .npy, .npz or .amat files, gzipped or not; `valid` and `test` are files, or a fraction of train."""

    kind: Literal["arrays"]
    shape: Shape
    """Channels, height, width of one image."""
    range: tuple[Finite, Finite]
    """The lowest and highest value that can occur; the model maps them to 0 and 1."""
    train: ArrayPart
    valid: Fraction | ArrayPart
    test: SomeFraction | ArrayPart

    @field_validator("range")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] >= bounds[1]:
            raise ValueError("the lowest value must be under the highest")
        return bounds


class FolderData(Section):
    """PNG or JPEG files in a folder, a .zip or a .tar; `valid` and `test` are paths, or a fraction of train."""

    kind: Literal["folder"]
    shape: Shape
    """Channels (1: grey, 3: RGB), height, width that every image is brought to."""
    resize: Literal["none", "stretch", "crop", "pad"]
    labels: Literal["none", "folders"]
    """`folders`: the name of the folder that an image lies in is its class."""
    corrupt: Literal["fail", "drop"]
    train: Place
    valid: Fraction | Place
    test: SomeFraction | Place

    @field_validator("shape")
    @classmethod
    def _grey_or_rgb(cls, shape: Shape) -> Shape:
        if shape[0] not in (1, 3):
            raise ValueError("a picture has 1 channel (grey) or 3 (RGB)")
        return shape


Data = Annotated[SyntheticData | DigitsData | ArraysData | FolderData, Field(discriminator="kind")]


# ── model ─────────────────────────────────────────────────────────────────────────────────────────────


class DenseNet(Section):
    """Fully connected layers, in the order in which they are passed."""

    kind: Literal["dense"]
    layers: Layers
    activation: Activation


class ConvolutionNet(Section):
    """Convolutions of stride 2, in the order in which they are passed (a decoder's: transposed)."""

    kind: Literal["convolution"]
    channels: Layers
    activation: Activation


class GaussianPosterior(Section):
    """Diagonal Gaussian q(z|x)."""

    kind: Literal["gaussian"]
    latents: Count


class StandardNormalPrior(Section):
    """p(z) = N(0, I)."""

    kind: Literal["standard_normal"]


class BernoulliLikelihood(Section):
    """Bernoulli p(x|z) from logits; on grey pixels its log is a cross-entropy, and is reported as such."""

    kind: Literal["bernoulli"]


class GaussianLikelihood(Section):
    """Gaussian p(x|z) on values scaled to [0, 1], with one scale: a number, or learned."""

    kind: Literal["gaussian"]
    scale: Positive | Literal["learned"]


Net = Annotated[DenseNet | ConvolutionNet, Field(discriminator="kind")]
Likelihood = Annotated[BernoulliLikelihood | GaussianLikelihood, Field(discriminator="kind")]


class Model(Section):
    """Encoder, posterior, prior, decoder, likelihood."""

    encoder: Net
    posterior: GaussianPosterior
    prior: StandardNormalPrior
    decoder: Net
    likelihood: Likelihood
    conditional: bool
    """Whether the label is one more input of encoder and decoder."""


# ── objective, train, evaluate, export ────────────────────────────────────────────────────────────────


class ElboObjective(Section):
    """distortion + beta * rate; beta rises from 0 over the first `warm_up` of all steps."""

    kind: Literal["elbo"]
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    warm_up: Annotated[float, Field(ge=0, le=1)]


class Train(Section):
    """Adam with decoupled weight decay."""

    epochs: Count
    max_minutes: Positive | None
    """End after so long, wherever the epoch is; the time of interrupted parts counts."""
    batch: Count
    """Examples a step, over all processes."""
    accumulate: Count
    """Pieces that a batch is computed in, one after the other, where the memory doesn't hold it whole."""
    precision: Literal["float32", "bfloat16"]
    """Of the networks on a GPU; loss and rate are float32 always, and so is all on a CPU, where that is faster."""
    learning_rate: Positive
    schedule: Literal["constant", "cosine", "one_cycle"]
    warm_up: Annotated[float, Field(ge=0, le=1)]
    """Share of all steps in which the learning rate rises linearly from 0 to what the schedule says."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    clip: Positive | None
    """Largest norm of the gradient."""
    ema: SomeFraction | None
    """Decay of a moving average of the weights, which is then what is validated and kept."""
    keep: Literal["best", "last"]
    """Which epoch's weights are the result; the best is the one with the highest validation ELBO (beta = 1)."""
    patience: Count | None
    """Stop after so many epochs without a better validation ELBO."""


class Gate(Section):
    """Bounds that a metric must keep."""

    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> "Gate":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        return self


class Evaluate(Section):
    """What is measured on the test set."""

    samples: Count
    """K of the importance bound."""
    examples: Count | None
    """Test examples for the importance bound; all if null."""
    gates: dict[METRICS, Gate]


class Export(Section):
    """The ONNX bundle."""

    tolerance: Positive
    """Largest |difference| of a graph's answer from the model's, relative to 1 + |answer|, with values of the data
    taken on [0, 1]."""
    licence: str
    intended_use: str


class Recipe(Section):
    """One experiment."""

    about: str
    data: Data
    model: Model
    objective: ElboObjective
    train: Train
    evaluate: Evaluate
    export: Export

    @model_validator(mode="after")
    def _sections_agree(self) -> "Recipe":
        no_valid = isinstance(self.data.valid, float | int) and self.data.valid == 0
        if no_valid and (self.train.keep == "best" or self.train.patience is not None):
            raise ValueError(
                "train.keep: best and train.patience need a validation set, but data.valid is 0: "
                "set data.valid, or train.keep: last and train.patience: null"
            )
        if self.model.conditional and not _has_labels(self.data):
            raise ValueError(
                "model.conditional is true, but the data section names no labels: set it to false, or name the labels"
            )
        fractions = [part for part in (self.data.valid, self.data.test) if isinstance(part, float | int)]
        if sum(fractions) >= 1:
            raise ValueError("data.valid and data.test leave nothing to train on: together they must be under 1")
        return self

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe.

        Raises:
            RecipeError: no such file, not YAML, or not a recipe; names the file, the key and the valid ones.
        """
        return parse(cls, read_yaml(path), path)


def _has_labels(data: Data) -> bool:
    match data:
        case ArraysData():
            return data.train.labels is not None
        case FolderData():
            return data.labels != "none"
        case SyntheticData() | DigitsData():
            return True
        case _:
            assert_never(data)


class TrainedRecipe(Section):
    """The sections that made a model's weights; `train` keeps them beside the weights."""

    about: str
    model: Model
    objective: ElboObjective
    train: Train
    seed: int
