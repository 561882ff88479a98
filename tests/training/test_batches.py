"""Batches of like sizes."""

import numpy as np
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.training.batches import Batches

COUNT, BATCH = 1003, 10


def epochs(sizes, number=0, start=0, **more):
    split = Split(np.arange(COUNT, dtype=np.float32)[:, None], None, sizes=sizes)
    batches = Batches(split, BATCH, 0, torch.device("cpu"), **more)
    return [batch.parts[0].rows.x[:, 0].long().numpy() for batch in batches.epoch(number, start)]


def test_a_batch_holds_like_sizes_and_an_epoch_every_row():
    sizes = np.random.default_rng(0).integers(1, 50, COUNT)
    found = epochs(sizes)
    assert sorted(np.concatenate(found).tolist()) == list(range(COUNT))
    assert [len(rows) for rows in found] == [BATCH] * 100 + [3]
    spans = [np.ptp(sizes[rows]) for rows in found[:-1]]
    assert np.median(spans) <= 2
    longest = [sizes[rows].max() for rows in found[:-1]]
    assert abs(np.corrcoef(np.arange(100), longest)[0, 1]) < 0.3  # they don't come by size


def test_a_row_has_other_company_in_another_epoch_and_the_same_when_resumed_or_streamed():
    sizes = np.random.default_rng(0).integers(1, 50, COUNT)
    first, second = epochs(sizes), epochs(sizes, 1)
    assert {tuple(sorted(rows)) for rows in first} != {tuple(sorted(rows)) for rows in second}
    for again in (epochs(sizes, start=40), epochs(sizes, start=40, resident=0)):
        assert all((one == other).all() for one, other in zip(first[40:], again, strict=True))


def test_fewer_rows_than_a_batch():
    split = Split(np.arange(3, dtype=np.float32)[:, None], None, sizes=np.array([3, 1, 2]))
    (batch,) = Batches(split, BATCH, 0, torch.device("cpu")).epoch(0)
    assert sorted(batch.parts[0].rows.x[:, 0].tolist()) == [0, 1, 2]
