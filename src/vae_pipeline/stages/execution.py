"""The way in which a run's steps are computed: settings, so far as the recipe and the machine allow."""

import torch

from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.settings import Settings
from vae_pipeline.training.processes import Processes
from vae_pipeline.training.step import Execution

WORTH_COMPILING = 20_000  # steps


def execution_of(
    recipe: TrainedRecipe, settings: Settings, device: torch.device, processes: Processes, steps: int
) -> Execution:
    """Compiled, captured, in several processes: as asked for or, where it is left open, as it is faster.

    Raises:
        SettingsError: what is asked for can't be had.
    """
    gpu = device.type == "cuda"
    asking = "train.sharpness" if recipe.train.sharpness is not None else "train.private"
    plain = recipe.train.sharpness is None and recipe.train.private is None
    compiled = settings.compile == "on" or (settings.compile == "auto" and gpu and plain and steps >= WORTH_COMPILING)
    capturable = gpu and plain and recipe.train.accumulate == 1 and processes.count == 1
    if not plain and (settings.compile == "on" or processes.count > 1):
        given = "VAE_COMPILE=on" if settings.compile == "on" else f"{processes.count} processes"
        raise SettingsError(
            f"{given}: the steps of a recipe with {asking} are computed in one process, uncompiled; unset "
            f"VAE_COMPILE and VAE_PROCESSES, or set {asking} to null"
        )
    if settings.cuda_graph == "on" and not capturable:
        raise SettingsError(
            "VAE_CUDA_GRAPH=on: a step can be captured on one CUDA device, in one process, with "
            "train.accumulate: 1 and without train.sharpness or train.private; use auto"
        )
    return Execution(compiled, settings.cuda_graph != "off" and capturable, processes)
