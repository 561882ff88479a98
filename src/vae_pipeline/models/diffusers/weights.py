"""Weights of diffusers' AutoencoderKL into a model and out of one.

Both put images on [-1, 1] before the first layer, we inside of the encoder. Its decoder ends on [-1, 1] too, ours on
[0, 1]: the last layer's weights and bias are mapped. All else keeps its numbers.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from vae_pipeline.kinds.spec import DataSpec, ImageSpec
from vae_pipeline.models.diffusers.config import FILE as CONFIG
from vae_pipeline.models.diffusers.config import Config
from vae_pipeline.models.diffusers.names import renewed, theirs
from vae_pipeline.models.vae import VAE
from vae_pipeline.models.weights import read_safetensors
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import WeightsError
from vae_pipeline.system.files import content_key, replace_file, sha256_of, write_json

WEIGHTS = "diffusion_pytorch_model.safetensors"
POINTWISE = {"quant_conv": "posterior.mixed", "post_quant_conv": "decoder.mixed"}
LAST = "decoder.output.2."


def load_into(vae: VAE, model: recipe.AnyModel, spec: DataSpec, folder: Path) -> None:
    """Give a model, built of that section and spec, the weights of a folder that `save_pretrained` filled.

    The scale that a decoder gives for each value isn't among them: its weights stay as they are.

    Raises:
        WeightsError: the folder isn't one, or has another structure than the model; names the first difference.
    """
    config = Config.load(folder)
    _require_same(config, model, spec, folder)
    given = _read(folder)
    _fill_pointwise(given, config, vae, folder)
    state = vae.state_dict()
    names = {name: theirs(name) for name in state}
    wanted = {other: name for name, other in names.items() if other is not None}
    for other in sorted(given.keys() | wanted.keys()):
        found = tuple(given[other].shape) if other in given else "missing"
        shape = tuple(state[wanted[other]].shape) if other in wanted else "none"
        if other in wanted and wanted[other].startswith(LAST):  # the planes after the first are of the scale
            shape = (spec.event_shape[0], *shape[1:])
        if found != shape:
            raise WeightsError(
                f"{folder / WEIGHTS} doesn't fit its {CONFIG}: {other} is {found}, wanted {shape}; fetch it again"
            )
        if not torch.isfinite(given[other]).all():
            raise WeightsError(f"{folder / WEIGHTS} holds NaN or infinity in {other}: fetch it again")
    for other, name in wanted.items():
        values = given[other]
        if name.startswith(LAST):
            values = values / 2 + (0.5 if name.endswith("bias") else 0)
            values = torch.cat([values, state[name][len(values) :]])
        state[name] = values
    vae.load_state_dict(state)


def write(folder: Path, vae: VAE, model: recipe.AnyModel, spec: ImageSpec, scaling_factor: float) -> None:
    """Write config.json and the weights of a model that was built of that section and spec.

    Raises:
        ExportError: diffusers has no such model.
    """
    config = Config.of(model, spec)
    tensors: dict[str, Tensor] = {}
    for name, values in vae.state_dict().items():
        other = theirs(name)
        if other is None:
            continue
        if name.startswith(LAST):
            values = 2 * values[: spec.event_shape[0]] - (1 if name.endswith("bias") else 0)  # noqa: PLW2901
        tensors[other] = values
    for other, channels in (("quant_conv", 2 * config.latent_channels), ("post_quant_conv", config.latent_channels)):
        tensors = _identity(other, channels) | tensors
    tensors = {name: tensors[name].detach().cpu().float().contiguous() for name in sorted(tensors)}
    replace_file(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_json(folder / CONFIG, config.to_json(max(spec.event_shape[1:]), scaling_factor))


def digest(folder: Path) -> str:
    """The sha256 of a folder's config.json and weights.

    Raises:
        WeightsError: one of them isn't there.
    """
    Config.load(folder)
    return content_key([sha256_of(folder / CONFIG), sha256_of(_safetensors(folder))])


def _identity(name: str, channels: int) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.eye(channels)[..., None, None], f"{name}.bias": torch.zeros(channels)}


def _fill_pointwise(given: dict[str, Tensor], config: Config, vae: VAE, folder: Path) -> None:
    """Add 1x1 convolutions that change nothing where the model has some, and take away those where it has none."""
    state = vae.state_dict()
    for other, name in POINTWISE.items():
        channels = config.latent_channels * (2 if other == "quant_conv" else 1)
        identity = _identity(other, channels)
        there = [key for key in identity if key in given]
        if f"{name}.weight" in state:
            given.update({} if there else identity)
        elif there:
            if not all(key in given and torch.equal(given[key], identity[key]) for key in identity):
                raise WeightsError(
                    f"{folder / WEIGHTS} has a 1x1 convolution {other} that isn't the identity: set "
                    "model.posterior.pointwise: true in the recipe"
                )
            for key in there:
                del given[key]


def _require_same(config: Config, model: recipe.AnyModel, spec: DataSpec, folder: Path) -> None:
    """Compare the structure of a folder with a recipe's, in the recipe's words."""
    sections = config.sections()
    fits = "the model of this folder is " + json.dumps(sections).replace('"', "")
    if not isinstance(model, recipe.Model):
        raise WeightsError(f"{folder} is no model of kind {model.kind}: {fits}")
    if model.conditional:
        raise WeightsError(f"{folder} knows no labels: set model.conditional: false")
    for section, wanted in sections.items():
        given = getattr(model, section).model_dump(mode="json")
        for name, value in wanted.items():
            if name != "pointwise" and given.get(name) != value:
                raise WeightsError(f"model.{section}.{name} is {given.get(name)}, and {folder} has {value}: {fits}")
    if getattr(model.likelihood, "mean", "linear") != "linear" or not isinstance(
        model.likelihood, recipe.ContinuousLikelihood
    ):
        raise WeightsError(
            f"{folder} ends in a linear layer whose output is the image: set model.likelihood to gaussian, laplace or "
            "student_t with mean: linear"
        )
    if not isinstance(spec, ImageSpec) or spec.event_shape[0] != config.in_channels:
        raise WeightsError(
            f"{folder} is of images of {config.in_channels} channels, and an observation here is "
            f"{list(spec.event_shape)}: take images of as many channels, or another folder"
        )


def _read(folder: Path) -> dict[str, Tensor]:
    tensors, _ = read_safetensors(_safetensors(folder))
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise WeightsError(f"{folder / WEIGHTS}: {name} is of {tensor.dtype}, and no weight: fetch it again")
    return {renewed(name): tensor.float() for name, tensor in tensors.items()}


def _safetensors(folder: Path) -> Path:
    path = folder / WEIGHTS
    if path.is_file():
        return path
    again = "load it in diffusers, and write it anew by save_pretrained(folder)"
    if (folder / f"{WEIGHTS}.index.json").is_file():
        raise WeightsError(f"{folder} holds weights in several files: {again} with max_shard_size='100GB'")
    others = sorted(file.name for file in folder.glob("diffusion_pytorch_model*"))
    if others:
        raise WeightsError(f"{folder} holds {others[0]}, and {WEIGHTS} is wanted; pickles are never opened: {again}")
    raise WeightsError(f"{path} isn't there: {again}")
