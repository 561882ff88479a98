"""Every random draw comes from one seed: named sub-seeds, and blocks that leave the generators as they were."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


def derive(seed: int, *names: str | int) -> int:
    """A seed for the draw called `names`, independent of those for other names."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def generator_states() -> dict[str, torch.Tensor]:
    """The state of every generator that a run draws from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    elif torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_generator_states(states: dict[str, torch.Tensor]) -> None:
    """Inverse of `generator_states`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
    if "mps" in states:
        torch.mps.set_rng_state(states["mps"])


_turn = threading.RLock()


@contextmanager
def in_float32() -> Iterator[None]:
    """Make new tensors of float32 inside the block, or the function, whatever the caller's default dtype is.

    The default is one for the process, so the blocks of several threads take turns.
    """
    with _turn:
        dtype = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float32)
            yield
        finally:
            torch.set_default_dtype(dtype)


def _seed(seed: int) -> None:
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # else torch would note, for each kind of device that isn't there, the stack of this call
        torch.default_generator.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside the block, in float32; afterwards torch's generators go on as if there had been none.

    They are one for the process, too.
    """
    with in_float32():
        states = generator_states()
        try:
            _seed(seed)
            yield
        finally:
            set_generator_states(states)


@dataclass(frozen=True)
class Share:
    """The rows that one of several processes computes of `total`."""

    rank: int
    processes: int
    total: int

    @property
    def empty(self) -> bool:
        """True if there are too few; the first row stands in, so that the process has something to compute."""
        return self.rank >= self.total

    @property
    def rows(self) -> slice:
        """Every n-th row."""
        return slice(0, 1) if self.empty else slice(self.rank, None, self.processes)


_share: Share | None = None


@contextmanager
def drawing_for(share: Share) -> Iterator[None]:
    """Inside the block a draw has the values that it would have, were all rows computed in one process."""
    global _share  # noqa: PLW0603 (as torch's generators are: one for the process)
    _share = share if share.processes > 1 else None
    try:
        yield
    finally:
        _share = None


def standard_normal(samples: torch.Size | list[int] | tuple[int, ...], like: Tensor) -> Tensor:
    """Noise of shape [*samples, *like.shape], where the first of several axes of `like` is the batch."""
    return _drawn(torch.randn, samples, like)


def uniform(samples: torch.Size | list[int] | tuple[int, ...], like: Tensor) -> Tensor:
    """Numbers in [0, 1) of shape [*samples, *like.shape], where the first of several axes of `like` is the batch."""
    return _drawn(torch.rand, samples, like)


def _drawn(draw: Callable[..., Tensor], samples: torch.Size | list[int] | tuple[int, ...], like: Tensor) -> Tensor:
    if _share is None or like.ndim < 2:
        return draw((*samples, *like.shape), dtype=like.dtype, device=like.device)
    noise = draw((*samples, _share.total, *like.shape[1:]), dtype=like.dtype, device=like.device)
    return noise[(slice(None),) * len(samples) + (_share.rows,)]
