"""Recordings, split and written in the one on-disk form."""

from pathlib import Path
from typing import Any

from vae_pipeline.kinds.audio.tape_files import save_tape
from vae_pipeline.kinds.part_files import write_labels, write_rows
from vae_pipeline.kinds.parts import Array, AudioSource
from vae_pipeline.kinds.shards import paths_of
from vae_pipeline.kinds.splitting import chunks, divide_rows, duplicates, indices_of, parts_of, split_card, told
from vae_pipeline.recipe.split import HASHED
from vae_pipeline.system.files import write_json


def write_recordings(source: AudioSource, folder: Path, seed: int, shards: int | None = None) -> None:
    """Split `source` and write it into `folder`, the training part in `shards`.

    Raises:
        DataError: values that can't occur, or a split that comes out empty.
    """
    division = divide_rows(source, seed)
    parts = parts_of(source, division)
    spec = source.spec
    card: dict[str, Any] = {
        "examples": {},
        "shape": list(spec.event_shape),
        "dtype": spec.dtype,
        "range": [-1, 1],
        "rate_hz": spec.rate_hz,
        "recordings": source.findings,
        "observed": {},
        "classes": {},
        "origins": source.origins,
        "dropped": source.dropped | ({"duplicate": division.left_out} if division.left_out else {}),
    }
    hashes: dict[str, Array] = {}
    for name, part in parts.items():
        checked = (spec.checked(chunk, 0, False) for chunk in chunks(part.rows, source.shape))
        paths = paths_of(folder, name, len(part.rows), shards)
        written = write_rows(paths, len(part.rows), spec.event_shape, spec.dtype, checked)
        hashes[name] = written.hashes
        card["examples"][name] = len(part.rows)
        card["observed"][name] = written.observed
        if part.labels is not None:
            card["classes"][name] = write_labels(folder / f"{name}_labels.npy", part.labels, spec.classes)
    for name, tapes in source.beside.items():
        card[name] = {}
        for place, tape in tapes.items():
            save_tape(tape, folder, f"{place}_{name}")
            card[name][place] = {"count": len(tape), "seconds": round(tape.samples / spec.rate_hz, 3)}
    if source.split != HASHED:
        card["split"] = split_card("random", {name: indices_of(part) for name, part in parts.items()}, source.split)
    card["duplicates"] = duplicates(hashes)
    card["notes"] = [*source.notes, *division.notes, *told(card)]
    spec.save(folder / "spec.json")
    write_json(folder / "card.json", card)
