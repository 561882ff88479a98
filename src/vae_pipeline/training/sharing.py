"""A training part in shards among the processes that train on it: who reads which, and how the first sees the others'.

A batch is shared by every n-th place, and an epoch deals its places to shards as rows are dealt to them. So a process
needs the rows of its own shards alone. Before the first step and after the last one the first process wants some rows
of all, such as those that a sampler is fitted to; the others then answer it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.kinds.shards import Shards, names_of, shards_among
from vae_pipeline.kinds.spec import load_spec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.system.errors import DataError, SettingsError, VaeError
from vae_pipeline.system.seal import listed
from vae_pipeline.training.processes import Processes

WAIT = timedelta(days=7)  # for what the first process does between two questions; its end ends the wait at once
AT_ONCE = 64 * 2**20  # bytes of rows that are asked for


def place_of(folder: Path, batch: int, processes: Processes) -> int:
    """The place of this process in each batch, whose shards lie in its folder.

    Raises:
        SettingsError: shards or batches can't be shared evenly by so many processes.
        DataError: the folder isn't one that `prepare` filled, or no order of the processes gives each its shards.
    """
    load_spec(folder / "spec.json")  # a folder that isn't of prepared data is told by this file
    count = processes.count
    shards = shards_among(listed(folder, "prepare"))
    names = [] if shards is None else names_of("train", shards)
    there = np.array([(folder / name).exists() for name in names], bool)
    found: list[Array] = processes.gathered(there)
    if shards is None or count == 1 or any(len(each) != shards for each in found):  # other data are refused later
        return processes.rank
    even = math.gcd(shards, batch)
    if even % count:
        able = ", ".join(str(number) for number in range(1, even + 1) if even % number == 0)
        raise SettingsError(
            f"{count} processes can't share data.shards {shards} and train.batch {batch} evenly: start a number that "
            f"divides both, which is one of {able}"
        )
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 (a second, for those who have shards)

    lacking = np.array([[(~each[place::count]).sum() for place in range(count)] for each in found])
    ranks, places = linear_sum_assignment(2 * count * lacking + ~np.eye(count, dtype=bool))  # its rank, if it can be
    for rank, place in zip(ranks, places, strict=True):
        lost = [names[shard] for shard in range(place, shards, count) if not found[rank][shard]]
        if lost:
            raise DataError(
                f"process {rank} of {count} lacks {', '.join(lost[:4])}{', ...' if lost[4:] else ''} in {folder} on "
                "its machine: copy from where the data were prepared what `vae-pipeline shards` names"
            )
    return int(places[processes.rank])


def require_validation(prepared: Prepared, processes: Processes) -> None:
    """Refuse an epoch whose figures would be measured on a training part of which each process has a share.

    Raises:
        SettingsError: there is no validation part.
    """
    if isinstance(prepared.train.x, Shards) and processes.count > 1 and not len(prepared.valid):
        raise SettingsError(
            f"{processes.count} processes have each a share of the training part, on which the figures of an epoch "
            "would be measured, as there is no validation part: set data.valid, or train in one process"
        )


class Exchange:
    """The rows of all processes for the first one, where a training part lies in shards with several."""

    def __init__(self, prepared: Prepared, processes: Processes) -> None:
        x = prepared.train.x
        self.rows = x if isinstance(x, Shards) and processes.count > 1 else None
        self.processes = processes
        if self.rows is not None:
            import torch.distributed as dist  # noqa: PLC0415 (one process needs none of it)

            self._group = dist.new_group(backend="gloo", timeout=WAIT)

    def led(self, work: Callable[[], None]) -> None:
        """Let the first process do some work with rows of all; every one does it where each has all rows."""
        if self.rows is None or self.processes.first:
            with self.asking():
                work()
        else:
            self.answer()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let the first process read any row inside the block, while the others `answer`."""
        if self.rows is None:
            yield
            return
        self.rows.elsewhere = self._ask
        try:
            yield
        except VaeError as error:
            self._told(error)
            raise
        finally:
            self.rows.elsewhere = None
        self._told(None)

    def answer(self) -> None:
        """Read what the first process asks for, until it needs no more.

        Raises:
            VaeError: the first process raised it.
        """
        if self.rows is None:
            return
        while (wanted := self._told(None)) is not None:
            if isinstance(wanted, VaeError):
                raise wanted
            self._gathered(wanted)

    def _ask(self, wanted: Indices) -> Array:
        assert self.rows is not None
        values = np.empty((len(wanted), *self.rows.shape[1:]), self.rows.dtype)
        most = max(1, AT_ONCE * len(self.rows) // max(1, self.rows.nbytes))
        for start in range(0, len(wanted), most):
            some = wanted[start : start + most]
            self._told(some)
            for places, found in self._gathered(some):
                values[start + places] = found
        return values

    def _told(self, wanted: Indices | VaeError | None) -> Indices | VaeError | None:
        """The rows that the first process asks for, or the error that ended it; None once it needs no more."""
        import torch.distributed as dist  # noqa: PLC0415

        told = [wanted]
        dist.broadcast_object_list(told, 0, self._group)
        return told[0]

    def _gathered(self, wanted: Indices) -> list[tuple[Indices, Array]]:
        """The places, among the rows that are wanted, of those that each process has, and these; for the first one."""
        import torch.distributed as dist  # noqa: PLC0415

        assert self.rows is not None
        mine = np.flatnonzero(self.rows.has(wanted))
        found: list[Any] | None = [None] * self.processes.count if self.processes.first else None
        dist.gather_object((mine, self.rows[wanted[mine]]), found, 0, self._group)
        return found or []
