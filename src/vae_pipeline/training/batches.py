"""Training batches: rows that lie on the device, picked by a permutation that seed and epoch determine."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.data.store import Split
from vae_pipeline.randomness import derive


class Batches:
    """The training rows in an order of their own for each epoch; the last batch may be smaller."""

    def __init__(self, split: Split, batch: int, seed: int, device: torch.device) -> None:
        self.images = torch.from_numpy(np.array(split.images)).to(device)
        self.labels = None if split.labels is None else torch.from_numpy(np.array(split.labels)).to(device)
        self.batch, self.seed = batch, seed

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.images) / self.batch)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Images and labels of epoch `number`, from batch `start` on."""
        generator = torch.Generator().manual_seed(derive(self.seed, "order", number))
        order = torch.randperm(len(self.images), generator=generator).to(self.images.device)
        for rows in order.split(self.batch)[start:]:
            yield self.images[rows], None if self.labels is None else self.labels[rows]
