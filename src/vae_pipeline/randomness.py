"""Every random draw comes from one seed: named sub-seeds, and blocks that leave the generators as they were."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside the block; afterwards torch's generators go on as if there had been none."""
    states = generator_states()
    try:
        torch.manual_seed(seed)
        yield
    finally:
        set_generator_states(states)
