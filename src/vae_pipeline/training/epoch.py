"""The figures of an epoch: one row of a run's history."""

from dataclasses import asdict, dataclass

from vae_pipeline.metrics.gain import Gain
from vae_pipeline.metrics.usage import Usage
from vae_pipeline.training.trained import LEVEL, SKIPPED


@dataclass(frozen=True)
class Epoch:
    """One row of the history; nats an example. The validation figures are None where there is no such part.

    The use of the latents is that by at most 1,000 examples of the validation part; of training, where there is none.
    """

    epoch: int
    train_distortion: float
    train_rate: float
    valid_distortion: float | None
    valid_rate: float | None
    active_units: int
    mutual_information: float
    posterior_variance: float | None
    learning_rate: float
    beta: float
    decoder_gain: float | None = None
    """The decoder gain in nats; None where there is a single example."""
    decoder_gain_share: float | None = None
    codebook_use: float | None = None
    """The share of the codebook that occurs; None where latents aren't codes."""
    skipped_steps: int | None = None
    """Steps that train.skip_threshold kept from being made; None without it."""
    level_rates: list[float] | None = None
    """The validation rate of each level of a ladder, topmost first; None of a model of one level."""
    perceptual: float | None = None
    """Terms of `train.sharpness`: means over the epoch's training examples, at a drawn z."""
    perceptual_weight: float | None = None
    adversarial: float | None = None
    adversarial_weight: float | None = None
    discriminator: float | None = None
    """The discriminator's own loss: 2 where it can't tell, 0 where it always can."""

    @property
    def train_elbo(self) -> float:
        """The ELBO at beta = 1, averaged over the epoch's steps."""
        return -(self.train_distortion + self.train_rate)

    @property
    def valid_elbo(self) -> float | None:
        """The ELBO at beta = 1, at the epoch's end."""
        if self.valid_distortion is None or self.valid_rate is None:
            return None
        return -(self.valid_distortion + self.valid_rate)

    @property
    def rate(self) -> float:
        """On the validation part, or in training where there is none."""
        return self.train_rate if self.valid_rate is None else self.valid_rate

    @property
    def distortion(self) -> float:
        """On the validation part, or in training where there is none."""
        return self.train_distortion if self.valid_distortion is None else self.valid_distortion

    @property
    def used(self) -> Usage:
        """The use of the latents at the end of the epoch."""
        return Usage(self.active_units, self.mutual_information, self.posterior_variance, self.codebook_use)

    @property
    def gain(self) -> Gain | None:
        """The decoder's, by latents."""
        if self.decoder_gain is None or self.decoder_gain_share is None:
            return None
        return Gain(self.decoder_gain, None, self.decoder_gain_share)

    def further(self) -> dict[str, float]:
        """Figures that not every history has: skipped steps, and the rates of a ladder's levels, topmost first."""
        skipped = {} if self.skipped_steps is None else {SKIPPED: float(self.skipped_steps)}
        return skipped | {f"{LEVEL}{number}": rate for number, rate in enumerate(self.level_rates or (), 1)}

    def figures(self) -> dict[str, float]:
        """Numbers by their names, as far as there are any."""
        named = {**asdict(self), "train_elbo": self.train_elbo, "valid_elbo": self.valid_elbo}
        del named["epoch"], named["level_rates"]
        return {name: value for name, value in named.items() if value is not None} | self.further()
