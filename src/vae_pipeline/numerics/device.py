"""The device on which torch computes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.settings import Settings


def prepare_device(settings: Settings) -> torch.device:
    """The device that the settings name, made ready: threads set, kernels deterministic.

    Raises:
        SettingsError: the device isn't there.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = torch.device(_best() if settings.device == "auto" else settings.device)
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:  # one of several processes
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % max(1, torch.cuda.device_count()))
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


@contextmanager
def flushing() -> Iterator[None]:
    """A block in which a CPU takes numbers under 1e-38 for zero, as GPUs do.

    Adam's moments of weights that are seldom used fade to such numbers, over which a CPU takes 100 times as long.
    Threads that torch starts inside the block inherit it.
    """
    before = torch.tensor(1e-40).mul(1.0).item() == 0  # nothing else tells
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """A block of small products, for which the waiting of several threads costs more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
