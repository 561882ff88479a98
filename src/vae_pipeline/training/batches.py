"""Training batches: the same rows in the same order wherever the data lie and however many processes share them.

Data up to a limit lie on the device, as they lie on disk; larger data, and those that are corrupted, are read ahead by
a thread. Seed and epoch determine the order. Where examples differ in size, a batch holds like ones: a network computes
all of a batch at the size of its largest.
"""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor

from vae_pipeline.kinds.mapped import MappedArray
from vae_pipeline.kinds.shards import Shards
from vae_pipeline.kinds.store import Split
from vae_pipeline.models.corruption import corrupted_rows
from vae_pipeline.models.rows import Rows
from vae_pipeline.numerics.randomness import Share, derive
from vae_pipeline.recipe.train import Augment
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.augmentation import Augmentation
from vae_pipeline.training.sound_augmentation import SoundAugmentation

AHEAD = 4  # batches
POOL = 64  # batches whose rows are drawn together and sorted by size
Change = Augmentation | SoundAugmentation


@dataclass(frozen=True)
class BatchPart:
    """The rows that are computed at once: of a batch, or of one of the pieces that it is accumulated from."""

    rows: Rows
    share: Share
    """The places of these rows in the whole piece; the others are other processes'."""
    weight: float
    """The weight of the mean over these rows in the mean over the batch; 0 for a stand-in where a share is empty."""


@dataclass(frozen=True)
class Batch:
    """The rows that one step learns from."""

    parts: list[BatchPart]
    examples: int
    """Examples over all processes."""


class Batches:
    """The training rows in an order of their own for each epoch; the last batch may be smaller."""

    def __init__(
        self,
        split: Split,
        batch: int,
        seed: int,
        device: torch.device,
        pieces: int = 1,
        resident: int = 2**31,
        rank: int = 0,
        processes: int = 1,
        labelled: bool = True,
        augment: Augment | None = None,
    ) -> None:
        """`pieces` a batch is computed in; `resident` bytes at most lie on the device.

        Raises:
            RecipeError: `augment` moves images by as much as they are wide or high.
        """
        if augment is not None and augment.of_images and augment.shift >= min(split.x.shape[2:]):
            height, width = split.x.shape[2:]
            raise RecipeError(
                f"train.augment.shift {augment.shift} can move images of {height} x {width} out of sight: wanted less "
                "than a side"
            )
        self.split = split = split if labelled else replace(split, labels=None)
        self.count, self.batch, self.seed, self.pieces = len(split), batch, seed, pieces
        self.place, self.processes, self.shards = rank, processes, 1
        if isinstance(split.x, Shards):
            self.place, self.shards = split.x.place, split.x.count
        self.augment = augment
        held = split.x.nbytes <= resident and split.corruption is None  # the reader's thread corrupts ahead
        held = held and (self.shards == 1 or processes == 1)
        self._rows = _Resident(split, device) if held else _Streamed(split, device)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(self.count / self.batch)

    def examples(self, steps: int) -> int:
        """Examples in the first `steps` batches of a run."""
        passes, position = divmod(steps, len(self))
        return passes * self.count + position * self.batch

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, from batch `start` on."""
        generator = torch.Generator().manual_seed(derive(self.seed, "order", number))
        order = _by_shards(self.count, self.shards, generator)
        if self.split.sizes is not None:
            order = _like_sized(order, torch.from_numpy(self.split.sizes), self.batch, generator)
        if isinstance(self._rows, _Resident):
            order = order.to(self._rows.x.device)
            read = partial(self._read, number, self._augmentation(number, order.device))
            yield from map(read, order.split(self.batch)[start:])
            return
        read = partial(self._read, number, self._augmentation(number, order.device))
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(1, "reader") as reader:
            for rows in order.split(self.batch)[start:]:
                ahead.append(reader.submit(read, rows))
                if len(ahead) > AHEAD:
                    yield self._rows.arrived(ahead.popleft().result())
            while ahead:
                yield self._rows.arrived(ahead.popleft().result())

    def of(self, epoch: int, rows: Tensor) -> Batch:
        """The batch of these rows, numbers on the CPU, of a run that changes none."""
        if isinstance(self._rows, _Resident):
            return self._read(epoch, None, rows.to(self._rows.x.device))
        return self._rows.arrived(self._read(epoch, None, rows))

    def _augmentation(self, epoch: int, device: torch.device) -> Change | None:
        """The changes of one epoch's examples, which seed and epoch determine."""
        if self.augment is None:
            return None
        generator = torch.Generator().manual_seed(derive(self.seed, "augment", epoch))
        kind = SoundAugmentation if self.augment.of_sound else Augmentation
        return kind.draw(self.augment, self.count, generator, device)

    def _read(self, epoch: int, augmentation: Change | None, rows: Tensor) -> Batch:
        pieces = rows.tensor_split(min(self.pieces, len(rows))) if self.pieces > 1 else (rows,)
        places = [self.place] * len(pieces)
        if self.shards > 1:  # every n-th row of the batch, wherever a piece begins
            starts = accumulate(map(len, pieces), initial=0)
            places = [(place - start) % self.processes for place, start in zip(places, starts, strict=False)]
        parts = zip(pieces, places, strict=True)
        return Batch([self._part(epoch, augmentation, *part, len(rows)) for part in parts], len(rows))

    def _part(self, epoch: int, augmentation: Change | None, piece: Tensor, place: int, examples: int) -> BatchPart:
        share = Share(place, self.processes, len(piece))
        mine = piece if self.processes == 1 else piece[share.rows]
        if share.empty and self.shards > 1:
            mine = torch.full_like(mine, self.place)  # a row of its own
        weight = 0.0 if share.empty else len(mine) * self.processes / examples
        return BatchPart(self._rows.read(mine, augmentation, epoch), share, weight)


def _by_shards(count: int, shards: int, generator: torch.Generator) -> Tensor:
    """A random order of rows in which the places of a shard, every so many, are taken by its own rows."""
    order = torch.empty(count, dtype=torch.int64)
    for shard in range(shards):
        places = order[shard::shards]
        places.copy_(shard + shards * torch.randperm(len(places), generator=generator))
    return order


def _like_sized(order: Tensor, sizes: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    """The rows of a random order, arranged so that each batch holds like sizes; whole batches come in random order.

    Of each pool of batches the rows are sorted, so that the company of a row changes from epoch to epoch. The rows
    that fill no batch stay last.
    """
    whole = len(order) - len(order) % batch
    pools = [pool[sizes[pool].argsort(stable=True)] for pool in order[:whole].split(POOL * batch)]
    arranged = torch.cat([*pools, order[:0]]).view(-1, batch)
    arranged = arranged[torch.randperm(len(arranged), generator=generator)]
    return torch.cat([arranged.flatten(), order[whole:]])


class _Resident:
    """Rows that are all held on the device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.x = torch.from_numpy(split.x[:]).to(device)
        self.labels = None if split.labels is None else torch.from_numpy(split.labels).to(device)

    def read(self, rows: Tensor, augmentation: Change | None, epoch: int) -> Rows:  # noqa: ARG002
        x = self.x.index_select(0, rows)  # on a CPU this is fifteen times as fast as an index, x[rows]
        if augmentation is not None:
            x = augmentation(x, rows)
        return Rows(x, None if self.labels is None else self.labels.index_select(0, rows))


class _Streamed:
    """Rows read from the disk; on a GPU, copied there on a stream of their own while it computes."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.split, self.device = split, device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if isinstance(split.x, MappedArray | Shards):
            split.x.expect_any_order()

    def read(self, rows: Tensor, augmentation: Change | None, epoch: int) -> Rows:
        indices, labels = rows.numpy(), self.split.labels
        label = None if labels is None else torch.from_numpy(labels[indices])
        clean = Rows(torch.from_numpy(self.split.x[indices]), label)
        found = corrupted_rows(clean, self.split.corruption, indices, epoch)
        x, target = found.x, found.target
        if augmentation is not None:  # after the corruption: noise that is drawn once changes with what it lies on
            x, target = augmentation(x, rows), None if target is None else augmentation(target, rows)
        return Rows(x, found.label, target).map(self._moved)

    def _moved(self, tensor: Tensor) -> Tensor:
        if self.stream is None:
            return tensor.to(self.device)
        with torch.cuda.stream(self.stream):
            return tensor.pin_memory().to(self.device, non_blocking=True)

    def arrived(self, batch: Batch) -> Batch:
        """Let what follows on the device wait for the copy."""
        if self.stream is not None:
            using = torch.cuda.current_stream(self.device)
            using.wait_stream(self.stream)
            for part in batch.parts:
                for tensor in (part.rows.x, part.rows.label, part.rows.target):
                    if tensor is not None:
                        tensor.record_stream(using)
        return batch
