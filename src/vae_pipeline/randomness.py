"""Every random draw comes from one seed: named sub-seeds, and blocks that leave the generators as they were."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *names: str | int) -> int:
    """A seed for the draw called `names`, independent of those for other names."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside the block; afterwards torch's generators go on as if there had been none."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield
