"""The graphs of a model whose latents are a map: images and maps of any size.

    map_encoder  x [batch, channels, height, width]   -> mean, log_variance [batch, latent channels, rows, columns]
    map_decoder  z [batch, latent channels, rows, columns]  -> x_mean [batch, channels, height, width]
    map_denoise  x [batch, channels, height, width]   -> x_clean, x_low, x_high, as x     of a denoiser without draws

Heights and widths are the map's rows and columns times the factor.
"""

from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from vae_pipeline.bundles.export.graph import Tensors, TracedGraph
from vae_pipeline.bundles.export.parity import BATCHES, GOLDEN, Arrays
from vae_pipeline.bundles.export.rounding import either
from vae_pipeline.models.denoiser import Denoiser, DenoiserOutputs
from vae_pipeline.models.spatial import QuantisedVAE, SpatialVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import MAPS, GraphName

SIDES = {
    "x": ("height", "width"),
    **dict.fromkeys(("x_mean", "x_clean", "x_low", "x_high"), ("height", "width")),
    "z": ("rows", "columns"),
    "mean": ("rows", "columns"),
    "log_variance": ("rows", "columns"),
}
"""The names of the free sides of inputs and outputs, as bundle.json has them."""


class _MapEncoder(nn.Module):
    def __init__(self, model: SpatialVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.model.encode_map(x, label)


class _MapDecoder(nn.Module):
    def __init__(self, model: SpatialVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.scaling.inverse(self.model.decode_map(z, label).mean)


class _MapDenoiser(nn.Module):
    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: Tensor, label: Tensor | None = None) -> DenoiserOutputs:
        return self.denoiser.of_any_size(x, label)


class _MapGraph(TracedGraph):
    """A graph of images and maps of any size; what it is asked for parity is of three sizes that weren't trained."""

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The trace, whose free sides bear the names that bundle.json gives them."""
        model = super().proto(frozen, inputs, made, metadata)
        for value in (*model.graph.input, *model.graph.output):
            for side, name in zip(value.type.tensor_type.shape.dim[2:], SIDES.get(value.name, ()), strict=True):
                side.dim_param = name
        del model.graph.value_info[:]  # it names the same sides otherwise
        onnx.checker.check_model(model, full_check=True)
        return model

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Images made of `x` beside itself, and noise as a map."""
        assert isinstance(model, SpatialVAE)
        rows, columns = other_side(len(x), *model.latent_shape[1:])
        height, width = rows * model.factor, columns * model.factor
        times = (1, 1, -(-height // x.shape[2]), -(-width // x.shape[3]))
        noise = torch.randn(len(x), model.latent_shape[0], rows, columns, generator=torch.Generator().manual_seed(seed))
        return {"x": x.tile(times)[:, :, :height, :width].contiguous(), "z": noise}


class MapEncoderGraph(_MapGraph):
    """The posterior of images of any size."""

    name = GraphName.MAP_ENCODER
    about = "q(z|x) of images of any size: maps of its mean and log-variance"
    signature = MAPS[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The encoder after the scaling."""
        assert isinstance(frozen, SpatialVAE)
        return _MapEncoder(frozen)

    def free(self, frozen: VAE) -> Mapping[str, Mapping[int, Any]]:
        """Height and width are multiples of the factor."""
        return _free_image(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:
        assert isinstance(model, SpatialVAE)
        x, label = inputs["x"], inputs.get("label")
        mean, log_variance = model.encode_map(x, label)
        if isinstance(model, QuantisedVAE) and found is not None:
            mean = either(model.within(x, label), torch.from_numpy(found["mean"]), mean, model.posterior.levels)
        return {"mean": mean, "log_variance": log_variance}


class MapDecoderGraph(_MapGraph):
    """The likelihood's mean of maps of any size."""

    name = GraphName.MAP_DECODER
    about = "E[x|z] of maps of any size, in the data's units"
    signature = MAPS[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder before the inverse of the scaling."""
        assert isinstance(frozen, SpatialVAE)
        return _MapDecoder(frozen)

    def free(self, frozen: VAE) -> Mapping[str, Mapping[int, Any]]:  # noqa: ARG002
        """Rows and columns."""
        return {"z": {2: Dim("rows"), 3: Dim("columns")}}

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        assert isinstance(model, SpatialVAE)
        return {"x_mean": model.scaling.inverse(model.decode_map(inputs["z"], inputs.get("label")).mean)}


class MapDenoiseGraph(_MapGraph):
    """The denoiser of images of any size."""

    name = GraphName.MAP_DENOISE
    about = "clean values of corrupted images of any size, and the intervals that hold a share of them"
    signature = MAPS[name]

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser

    def module(self, frozen: VAE) -> nn.Module:  # noqa: ARG002
        """The denoiser, which has a model of its own."""
        return _MapDenoiser(self.denoiser.frozen())

    def free(self, frozen: VAE) -> Mapping[str, Mapping[int, Any]]:
        """Height and width are multiples of the factor."""
        return _free_image(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        clean, low, high = self.denoiser.of_any_size(inputs["x"], inputs.get("label"))
        return {"x_clean": clean, "x_low": low, "x_high": high}


def _free_image(frozen: VAE) -> Mapping[str, Mapping[int, Any]]:
    assert isinstance(frozen, SpatialVAE)
    sides = Dim("rows"), Dim("columns")
    return {"x": dict(enumerate(sides if frozen.factor == 1 else (frozen.factor * side for side in sides), 2))}


def other_side(batch: int, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns that aren't the trained ones: larger maps for few examples, and a small one for many."""
    if batch == BATCHES[0]:
        return 2 * rows + 1, columns + 1
    if batch <= GOLDEN:
        return rows + 1, columns + 2
    return rows + 1, columns // 2 + 1


WHOLE_IMAGES = (MapEncoderGraph(), MapDecoderGraph())
"""The graphs that a model of maps has beside the others."""
