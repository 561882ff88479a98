"""A bundle's denoiser: its graph, and its record."""

from dataclasses import dataclass

from torch import Tensor, nn

from vae_pipeline.bundles.export.graph import Tensors, TracedGraph
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.runtime.denoising_entry import DenoisingEntry, StreamEntry
from vae_pipeline.runtime.signatures import DENOISING, GraphName


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


class DenoiseGraph(TracedGraph):
    """The calibrated denoiser of a model that was trained to denoise."""

    name = GraphName.DENOISE
    about = "clean values of corrupted ones, and the intervals that hold a share of them"
    signature = DENOISING[name]

    def __init__(self, denoiser: Denoiser | SoundDenoiser) -> None:
        self.denoiser = denoiser

    def module(self, frozen: VAE) -> nn.Module:  # noqa: ARG002
        """The denoiser, which has a model of its own."""
        return self.denoiser.frozen().eval()

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        clean, low, high = self.denoiser(inputs["x"], inputs.get("label"))
        return {"x_clean": clean, "x_low": low, "x_high": high}
