"""The processes that train one model together, as torch's environment variables describe them.

A launcher sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT: torchrun, Slurm, Kubernetes, or `VAE_PROCESSES`.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import torch
from torch import Tensor

from vae_pipeline.system.errors import LOST, SettingsError, TrainingError

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

T = TypeVar("T")

_LAUNCHER = (
    "the launcher must set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or unset WORLD_SIZE to train in one process"
)

TIMEOUT = timedelta(seconds=50)  # of a wait for the others: a dead process ends the job within a minute


@dataclass(frozen=True)
class Processes:
    """This process among its fellows."""

    rank: int = 0
    count: int = 1
    leads: bool = True
    """True for the first process of its machine, as LOCAL_RANK says, which keeps checkpoints there."""

    @property
    def first(self) -> bool:
        """True for the process that writes."""
        return self.rank == 0

    def any(self, *flags: bool) -> list[bool]:
        """Say of each flag if it is up in any process; the processes wait here for each other."""
        if self.count == 1:
            return list(flags)
        import torch.distributed as dist  # noqa: PLC0415 (one process needs none of it)

        raised = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised]

    def gather(self, sums: Tensor) -> None:
        """Leave the total of all processes' `sums` to the first, and nothing to the others."""
        if self.count == 1:
            return
        import torch.distributed as dist  # noqa: PLC0415

        dist.all_reduce(sums)
        if not self.first:
            sums.zero_()

    def add_up(self, sums: Tensor) -> None:
        """Replace `sums` by the total of all processes'."""
        if self.count > 1:
            import torch.distributed as dist  # noqa: PLC0415

            dist.all_reduce(sums)

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Replace `tensors` by the first process's."""
        if self.count > 1:
            import torch.distributed as dist  # noqa: PLC0415

            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def share(self, value: T, source: int = 0) -> T:
        """Copy to all processes what the first one has, or another."""
        if self.count == 1:
            return value
        import torch.distributed as dist  # noqa: PLC0415

        held = [value]
        dist.broadcast_object_list(held, source)
        return held[0]

    def gathered(self, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist  # noqa: PLC0415

        found = [value] * self.count
        dist.all_gather_object(found, value)
        return found

    def require_same(self, told: Mapping[str, str]) -> None:
        """Let all train on what the first was given.

        Raises:
            SettingsError: one was given something else; all raise it alike.
        """
        first, *others = self.gathered(dict(told))
        for rank, other in enumerate(others, 1):
            for name, value in first.items():
                if other[name] != value:
                    raise SettingsError(
                        f"process {rank} has other {name} ({other[name][:12]}) than process 0 ({value[:12]}): give "
                        "every machine the same, then start again"
                    )


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the others that the environment tells of.

    Raises:
        SettingsError: the environment is incomplete, or contradicts itself.
        TrainingError: one of the others is gone.
    """
    count = _number("WORLD_SIZE", 1)
    rank = _number("RANK", 0 if count == 1 else None)
    if rank >= count:
        numbers = f"the processes are numbered from 0 to {count - 1}" if count else "there is at least one process"
        raise SettingsError(f"RANK={rank} of WORLD_SIZE={count}: {numbers}; {_LAUNCHER}")
    if count == 1:
        yield ALONE
        return
    import torch.distributed as dist  # noqa: PLC0415
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415

    try:
        store, *_ = next(rendezvous("env://", rank, count, timeout=TIMEOUT))
        store = fresh_store(store, rank, count)
        backend = _backend(device, store, rank, count)
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise SettingsError(f"process {rank} of {count} can't reach the others ({_brief(error)})") from error
    try:
        yield Processes(rank, count, rank == 0 or os.environ.get("LOCAL_RANK") == "0")
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or not _lost(error):
            raise
        raise TrainingError(
            f"process {rank} of {count} {LOST} ({_brief(error)}); the same command goes on from the last checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()


def _backend(device: torch.device, store: "Store", rank: int, count: int) -> str:
    """NCCL joins GPUs, where each process has one of its own; gloo whatever there is, through the CPU's memory."""
    if device.type != "cuda":
        return "gloo"
    store.set(f"card/{rank}", str(torch.cuda.get_device_properties(device).uuid))
    cards = {store.get(f"card/{other}") for other in range(count)}
    return "cpu:gloo,cuda:nccl" if len(cards) == count else "cpu:gloo,cuda:gloo"


def fresh_store(store: "Store", rank: int, count: int) -> "Store":
    """A part of `store` that only these `count` processes know.

    A launcher that restarts what died hands the same store to the new processes, and the addresses of the dead still
    stand in it. So the first process names a part that is new, and gives the name to each other one under a word that
    this one has just made up: nothing that was left behind can be taken for an answer.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]  # noqa: PLC0415

    mine = uuid4().hex
    if rank > 0:
        store.set(f"vae/ask/{rank}", mine)
        name = store.get(f"vae/answer/{mine}").decode()
        store.set(f"vae/heard/{name}/{rank}", "yes")
        return PrefixStore(f"vae/{name}", store)
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    waiting = set(range(1, count))
    while waiting:
        if time.monotonic() > deadline:
            raise RuntimeError(f"timed out waiting for process {', '.join(map(str, sorted(waiting)))}")
        for other in waiting:
            if store.check([f"vae/ask/{other}"]):
                store.set(f"vae/answer/{store.get(f'vae/ask/{other}').decode()}", mine)
        waiting = {other for other in waiting if not store.check([f"vae/heard/{mine}/{other}"])}
        time.sleep(0.01)
    return PrefixStore(f"vae/{mine}", store)


def _number(name: str, default: int | None) -> int:
    text = os.environ.get(name, None if default is None else str(default))
    if text is None or not text.isdecimal():
        raise SettingsError(f"{name}={text}: {_LAUNCHER}")
    return int(text)


def _lost(error: RuntimeError) -> bool:
    words = ("connection", "socket", "timed out", "gloo", "nccl", "peer", "distbackend")
    text = f"{type(error).__name__} {error}".lower()
    return any(word in text for word in words)


def _brief(error: Exception) -> str:
    """The first line of an error, without the place in torch's sources that it begins with."""
    return re.sub(r"^\[[^\]]*\]\s*", "", str(error).splitlines()[0])[:160] if str(error) else type(error).__name__
