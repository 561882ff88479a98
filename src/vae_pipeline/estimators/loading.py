"""Loading of a saved estimator, whatever its class."""

from pathlib import Path
from typing import Any

from vae_pipeline.estimators import saved
from vae_pipeline.estimators.denoiser import Denoiser
from vae_pipeline.estimators.detector import VAEDetector
from vae_pipeline.estimators.synthesizer import VAESynthesizer
from vae_pipeline.estimators.vae import VAE
from vae_pipeline.system.errors import InputError

CLASSES = {each.__name__: each for each in (VAE, VAEDetector, Denoiser, VAESynthesizer)}


def load(path: str | Path) -> Any:
    """Read the folder that `save` of an estimator filled.

    Raises:
        DataError, WeightsError: the folder isn't one, or was altered.
    """
    name = saved.told(Path(path)).estimator
    if name not in CLASSES:
        raise InputError(f"{path} holds a {name}; this version knows {', '.join(CLASSES)}: update vae-pipeline")
    return CLASSES[name].load(path)
