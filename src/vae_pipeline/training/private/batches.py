"""Batches that each row is in with one probability, whatever other rows are: what the accountant counts on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from vae_pipeline.training.batches import Batch, Batches


class PoissonBatches(Batches):
    """Batches of `batch` rows on average, drawn from a generator of the run's own that nobody else knows.

    They are drawn when they are asked for, so that the generator is where the step is.
    """

    def __init__(self, *args: Any, secret: np.random.Generator, **options: Any) -> None:
        super().__init__(*args, **options)
        self.secret = secret

    def examples(self, steps: int) -> int:
        """Examples in the first `steps` batches, on average."""
        return steps * min(self.batch, self.count)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a pass, as many as one over all rows has."""
        for _ in range(start, len(self)):
            chosen = np.flatnonzero(self.secret.random(self.count) < self.batch / self.count)
            yield self.of(number, torch.from_numpy(chosen))
