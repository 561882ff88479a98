"""The findings that a report is written from: plain values, and the bytes of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vae_pipeline.kinds.spec import DataSpec, ImageSpec
from vae_pipeline.kinds.words import Wording, words_of


@dataclass(frozen=True)
class Findings:
    """The findings that a page is made of; equal findings give an equal page."""

    name: str
    """The recipe's."""
    recipe: Mapping[str, Any]
    """The sections that made the weights and the figures, `about` and `seed` among them."""
    seed: int
    """The seed of the evaluation."""
    spec: DataSpec
    card: Mapping[str, Any]
    """The data's, as `prepare` wrote it."""
    metrics: Mapping[str, Any]
    """Figures by their names in metrics.json; one that isn't there is left out."""
    breaches: Mapping[str, str]
    """The gates that aren't kept, each with what is wrong."""
    waived: Mapping[str, str]
    """Gates that aren't kept and that the recipe waives, likewise."""
    history: Sequence[Mapping[str, float | None]]
    """The history of the training, an epoch each."""
    kept_epoch: int
    active: Sequence[bool]
    """True for each latent dimension that is active."""
    pictures: Mapping[str, bytes]
    """PNG files by name."""
    digests: Mapping[str, str]
    """sha256 of what went in, by name."""
    versions: Mapping[str, str]
    sounds: Mapping[str, bytes] = field(default_factory=dict)
    """.wav files by name, where the observations are sound."""

    @property
    def words(self) -> Wording:
        """The names of the observations."""
        words = words_of(self.spec)
        return words.of_features() if self.features else words

    @property
    def features(self) -> bool:
        """True if the model sees features of images, and makes none."""
        return isinstance(self.spec, ImageSpec) and self.recipe["model"].get("view") is not None

    @property
    def gates(self) -> Mapping[str, Mapping[str, float | None]]:
        """Bounds of figures, as the recipe sets them."""
        gates: Mapping[str, Mapping[str, float | None]] = self.recipe["evaluate"]["gates"]
        return gates

    @property
    def alarms(self) -> Sequence[Mapping[str, Any]]:
        """Alarms that were raised, cleared or not."""
        return list(self.metrics.get("alarms", ()))

    @property
    def standing(self) -> Sequence[Mapping[str, Any]]:
        """The alarms that there is still reason for."""
        return [alarm for alarm in self.alarms if alarm.get("cleared") is None]
