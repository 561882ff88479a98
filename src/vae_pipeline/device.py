"""Where torch computes."""

import os

import torch

from vae_pipeline.errors import SettingsError
from vae_pipeline.settings import Settings


def prepare_device(settings: Settings) -> torch.device:
    """The device that the settings name, made ready: threads set, kernels deterministic.

    Raises:
        SettingsError: the device isn't there.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = torch.device(_best() if settings.device == "auto" else settings.device)
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise SettingsError(f"VAE_DEVICE={settings.device}: this machine has no such device; use auto or cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # its generator is the one that is saved and set aside
        # On a CPU the kernels used are deterministic, and the call would cost 3 s of imports.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS isn't
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
