"""Weights on disk: safetensors, marked as ours. A pickle is never opened."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae_pipeline.models.samplers import skeleton
from vae_pipeline.models.vae import VAE
from vae_pipeline.system.errors import WeightsError
from vae_pipeline.system.files import replace_file

FORMAT = 1


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write a model's state; equal weights give equal bytes."""
    tensors = {name: weights[name].detach().cpu().contiguous() for name in sorted(weights)}
    # One key of metadata: the order of several isn't kept.
    replace_file(path, save(tensors, metadata={"vae_pipeline": json.dumps({"format": FORMAT})}))


def load_weights(model: VAE, path: Path) -> None:
    """Read what `save_weights` wrote into `model`, its fitted sampler if there is one.

    Raises:
        WeightsError: there is no such file, it isn't ours, or it belongs to another model.
    """
    tensors, metadata = read_safetensors(path)
    if "vae_pipeline" not in metadata:
        raise WeightsError(f"{path} wasn't written by vae-pipeline: name a folder that `vae-pipeline train` filled")
    try:
        written = int(json.loads(metadata["vae_pipeline"])["format"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsError(f"{path} says nothing readable of its format ({error}): train again") from error
    if written > FORMAT:
        raise WeightsError(f"{path} has format {written}, this version reads up to {FORMAT}: update vae-pipeline")
    fitted = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith("sampler.")}
    if fitted:
        try:
            model.sampler = skeleton(fitted)
        except (KeyError, IndexError) as error:
            raise WeightsError(f"{path} holds a sampler that isn't one ({error}): train again") from error
    require_fit(tensors, model.state_dict(), path)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path} holds NaN or infinity in {name}: train again")
    model.load_state_dict(tensors)


def require_fit(tensors: dict[str, Tensor], model: dict[str, Tensor], path: Path) -> None:
    """Compare names, shapes and types.

    Raises:
        WeightsError: they differ; names the first that does.
    """
    given = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    wanted = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.items()}
    for name in sorted(given.keys() | wanted.keys()):
        if given.get(name) != wanted.get(name):
            raise WeightsError(
                f"{path} doesn't fit its recipe: {name} is {_say(given.get(name))}, "
                f"wanted {_say(wanted.get(name))}; train again"
            )


def _say(kind: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return "missing" if kind is None else f"{kind[0]} {str(kind[1]).removeprefix('torch.')}"


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: there is no such file, or it is truncated or of another kind.
    """
    if not path.is_file():
        raise WeightsError(f"{path} isn't there: run `vae-pipeline train` first")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} isn't a whole safetensors file ({error}); pickles and other formats are never opened"
        ) from error
