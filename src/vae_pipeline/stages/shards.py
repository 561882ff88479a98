"""shards: the files of prepared data that each of several machines needs to train on them together."""

from pathlib import Path

from vae_pipeline.kinds.shards import names_of, shards_among
from vae_pipeline.system.errors import DataError, SettingsError
from vae_pipeline.system.seal import FILE, listed


def files_of_machines(data: Path, machines: int, each: int) -> list[list[str]]:
    """The names of the files in `data` that each machine needs, on which `each` processes train.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled, or its training part is a single file.
        SettingsError: the shards can't be dealt evenly to the processes.
    """
    names = listed(data, "prepare")
    shards, processes = shards_among(names), machines * each
    if shards is None:
        raise DataError(f"{data} has the training part in one file, which every machine needs: set data.shards")
    if shards % processes:
        raise SettingsError(
            f"{processes} processes can't share {shards} shards evenly: take so many machines, and processes on each, "
            f"that their product divides {shards}"
        )
    parts = names_of("train", shards)
    whole = [name for name in (*names, FILE) if name not in parts]
    owners = [shard % processes // each for shard in range(shards)]
    return [
        [*whole, *(name for name, owner in zip(parts, owners, strict=True) if owner == machine)]
        for machine in range(machines)
    ]
