"""The process around an estimator stays as it was: generators, default dtype, threads, kernels, the current device."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from vae_pipeline.numerics.device import Kernels
from vae_pipeline.numerics.randomness import seeded
from vae_pipeline.system.errors import InputError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
SEEDS = 2**63
"""Seeds are whole numbers under this one."""
RandomState = int | np.random.RandomState | np.random.Generator | None


def seed_of(random_state: RandomState) -> int:
    """A whole number is the seed itself; of a generator it is the next draw, and of None one that nobody knows.

    numpy's global generator isn't drawn from.

    Raises:
        InputError: it is none of these, or negative.
    """
    match random_state:
        case None:
            return int(np.random.default_rng().integers(2**31))
        case np.random.RandomState():
            return int(random_state.randint(2**31))
        case np.random.Generator():
            return int(random_state.integers(2**31))
        case bool():
            pass
        case int() | np.integer() if 0 <= int(random_state) < SEEDS:
            return int(random_state)
    raise InputError(
        f"random_state={random_state!r} was given; wanted a whole number from 0 up, a generator of numpy's or None"
    )


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block that may seed torch, and set its threads, kernels and device; afterwards all are as they were.

    Blocks of several threads take turns.
    """
    if torch.cuda.is_available() and not torch.cuda._is_in_bad_fork():
        torch.cuda.init()  # a seed that waits for it can't be taken back
    gpus = range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)
    with torch.random.fork_rng(gpus), seeded(0):
        current = torch.cuda.current_device() if gpus else None
        threads, workspace = torch.get_num_threads(), os.environ.get(WORKSPACE)
        kernels = Kernels.now()
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            if Kernels.now() != kernels:  # the call takes seconds of imports
                kernels.use()
            if workspace is None:
                os.environ.pop(WORKSPACE, None)
            if current is not None:
                torch.cuda.set_device(current)
