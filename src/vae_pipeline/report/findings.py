"""What a report is written from: plain values, and the bytes of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vae_pipeline.spec import DataSpec


@dataclass(frozen=True)
class Findings:
    """All that the page says; equal findings give an equal page."""

    name: str
    """The recipe's."""
    recipe: Mapping[str, Any]
    """The sections that made the weights and the figures, `about` and `seed` among them."""
    seed: int
    """Of the evaluation."""
    spec: DataSpec
    card: Mapping[str, Any]
    """The data's, as `prepare` wrote it."""
    metrics: Mapping[str, Any]
    """As in metrics.json; a figure that isn't there is left out."""
    breaches: Mapping[str, str]
    """The gates that aren't kept, each with what is wrong."""
    waived: Mapping[str, str]
    """Those that the recipe does without, likewise."""
    history: Sequence[Mapping[str, float | None]]
    """Of the training, an epoch each."""
    kept_epoch: int
    active: Sequence[bool]
    """Whether each latent dimension is."""
    pictures: Mapping[str, bytes]
    """PNG files by name."""
    digests: Mapping[str, str]
    """sha256 of what went in, by name."""
    versions: Mapping[str, str]

    @property
    def gates(self) -> Mapping[str, Mapping[str, float | None]]:
        """Bounds of figures, as the recipe sets them."""
        gates: Mapping[str, Mapping[str, float | None]] = self.recipe["evaluate"]["gates"]
        return gates

    @property
    def alarms(self) -> Sequence[Mapping[str, Any]]:
        """What was raised, cleared or not."""
        return list(self.metrics.get("alarms", ()))

    @property
    def standing(self) -> Sequence[Mapping[str, Any]]:
        """The alarms that there is still reason for."""
        return [alarm for alarm in self.alarms if alarm.get("cleared") is None]
