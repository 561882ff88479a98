"""prepare: raw data to one folder of arrays, spec.json and card.json."""

from pathlib import Path
from typing import Any

from vae_pipeline.kinds import store
from vae_pipeline.kinds.download import Finder, Reporter, silent
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import shards_of
from vae_pipeline.stages.job import Job
from vae_pipeline.system.files import content_key, filled_folder, require_writable
from vae_pipeline.system.workbench import workbench


def prepare(job: Job, out: Path, report: Reporter = silent) -> dict[str, Any]:
    """Fill `out`; returns the data card.

    Raises:
        DataError: a source can't be had or can't be used.
        OutputError: `out` can't be written.
        WorkerError: a process that read some of the data was ended from outside.
    """
    require_writable(out)
    finder = Finder(job.settings.home / "downloads", job.settings.mirror, report, job.warn)
    kept = job.settings.home / "prepare" / content_key(job.recipe.data.model_dump(mode="json"))
    with (
        workbench(kept, job.settings.prepare_processes, "prepares these data", job.warn) as bench,
        filled_folder(out) as folder,
    ):
        write(open_source(job.recipe.data, finder, job.seed, bench), folder, job.seed, shards_of(job.recipe.data))
    prepared = store.Prepared.open(out)
    card, note = prepared.card, prepared.calibration_note
    if job.recipe.detection is not None and note is not None:  # the card on the disk knows of no detector
        card["notes"] = [*card.get("notes", ()), note]
    return card
