"""The graph of a denoiser of sound that takes a recording in chunks, and gives in them what it gives of the whole.

    denoise_stream   chunk [batch, channels, n hops], state [batch, channels, context]
                     -> clean, low, high [batch, channels, n hops], next_state

The state is the last samples that were heard, silence at first; answers are later than samples by the latency.
"""

from collections.abc import Mapping
from typing import Any

import onnx
from torch import Tensor, nn
from torch.export import Dim

from vae_pipeline.bundles.export.graph import Tensors, TracedGraph
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import STREAM, GraphName


class _Stream(nn.Module):
    def __init__(self, denoiser: SoundDenoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, chunk: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.denoiser.stream(chunk, state)


class DenoiseStreamGraph(TracedGraph):
    """The denoiser of the next samples."""

    name = GraphName.DENOISE_STREAM
    about = "clean samples of the next ones, later by the latency, their intervals, and the state of the next chunk"
    signature = STREAM[name]

    def __init__(self, denoiser: SoundDenoiser) -> None:
        self.denoiser = denoiser

    def module(self, frozen: VAE) -> nn.Module:  # noqa: ARG002
        """The denoiser, which has a model of its own."""
        return _Stream(self.denoiser.frozen()).eval()

    def free(self, frozen: VAE) -> Mapping[str, Mapping[int, Any]]:  # noqa: ARG002
        """A chunk is a multiple of the hop."""
        return {"chunk": {2: self.denoiser.hop * Dim("hops")}}

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The trace, whose free side bears the name that bundle.json gives it."""
        model = super().proto(frozen, inputs, made, metadata)
        for value in (*model.graph.input, *model.graph.output):
            if "state" not in value.name:
                value.type.tensor_type.shape.dim[2].dim_param = "samples"
        del model.graph.value_info[:]  # it names the same side otherwise
        onnx.checker.check_model(model, full_check=True)
        return model

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """Stretches of real recordings, of another number of hops for each number of rows."""
        samples = self.denoiser.hop * (3 + len(x) % 5)
        heard = x.tile(1, 1, -(-(self.denoiser.context + samples) // x.shape[2]))
        end = self.denoiser.context + samples
        return {"state": heard[..., : self.denoiser.context], "chunk": heard[..., self.denoiser.context : end]}

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return self.denoiser.stream(inputs["chunk"], inputs["state"])._asdict()
