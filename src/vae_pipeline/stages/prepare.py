"""prepare: raw data to one folder of arrays, spec.json and card.json."""

from pathlib import Path
from typing import Any

from vae_pipeline.data import store
from vae_pipeline.data.download import Finder, Reporter, silent
from vae_pipeline.data.sources import open_source
from vae_pipeline.data.sources.parts import TableSource
from vae_pipeline.data.table_store import write_table
from vae_pipeline.files import filled_folder, require_writable
from vae_pipeline.stages.job import Job


def prepare(job: Job, out: Path, report: Reporter = silent) -> dict[str, Any]:
    """Fill `out`; returns the data card.

    Raises:
        DataError: a source can't be had or can't be used.
        OutputError: `out` can't be written.
    """
    require_writable(out)
    finder = Finder(job.settings.home / "downloads", job.settings.mirror, report)
    with filled_folder(out) as folder:
        source = open_source(job.recipe.data, finder, job.seed)
        if isinstance(source, TableSource):
            write_table(source, folder, job.seed)
        else:
            store.write(source, folder, job.seed)
    return store.Prepared.open(out).card
