"""The device on which torch computes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.settings import Settings


@dataclass(frozen=True)
class Kernels:
    """The kernels that a GPU computes with."""

    deterministic: bool
    """The same bits each time, at some cost."""
    warn_only: bool
    """An operation that has no such kernel is computed all the same."""
    fill: bool
    """Memory is filled before use, which shows reading too early."""
    tuned: bool
    """Convolutions are tried out, and the fastest is taken."""
    tf32: bool
    """Convolutions and recurrent nets round what they multiply to 10 bits of fraction; float32 has 23."""

    @classmethod
    def of(cls, settings: Settings) -> "Kernels":
        """The kernels that the settings ask for; float32 is float32."""
        wanted = settings.deterministic
        return cls(wanted != "off", wanted != "on", fill=False, tuned=wanted == "off", tf32=False)

    @classmethod
    def now(cls) -> "Kernels":
        """The kernels in use."""
        return cls(
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]  # set on the module
            torch.backends.cudnn.benchmark,
            _convolutions_round(),
        )

    def use(self) -> None:
        """Compute with these from now on."""
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = self.fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = self.tuned
        torch.backends.cudnn.allow_tf32 = self.tf32


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
        # On a CPU the kernels used are deterministic, and setting them would cost 3 s of imports.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS isn't
        Kernels.of(settings).use()
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
def rounding_to_tf32() -> Iterator[None]:
    """A block in which a GPU rounds what it multiplies to 10 bits of fraction, which its matrix units take."""
    before = _convolutions_round(), torch.backends.cuda.matmul.fp32_precision == "tf32"
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@contextmanager
def one_thread() -> Iterator[None]:
    """A block of small products, for which the waiting of several threads costs more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _convolutions_round() -> bool:
    """True if they round to TF32; `allow_tf32` can't be read once a program has set their precision by itself."""
    return bool(torch.backends.cudnn.conv.fp32_precision == "tf32")  # type: ignore[attr-defined]


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
