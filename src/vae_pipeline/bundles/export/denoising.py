"""A bundle's record of its denoiser."""

from dataclasses import dataclass

from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.runtime.denoising_entry import DenoisingEntry, StreamEntry


@dataclass(frozen=True)
class Denoising:
    """A denoiser, the section that it was trained by, and the images that its intervals were calibrated on."""

    denoiser: Denoiser | SoundDenoiser
    section: Denoise
    examples: int

    def entry(self) -> DenoisingEntry:
        """The entry in bundle.json."""
        each = self.denoiser
        stream = StreamEntry(each.hop, each.latency, each.context) if isinstance(each, SoundDenoiser) else None
        return DenoisingEntry(
            mode=self.section.mode,
            corruption=tuple(step.told for step in self.section.corruption),
            draws=self.section.draws,
            coverage=self.section.coverage,
            factor=self.denoiser.intervals.factor,
            examples=self.examples,
            stream=stream,
        )
