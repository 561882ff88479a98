"""train: prepared data to weights, resumed by content and recorded as it goes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.spec import require_target
from vae_pipeline.metrics.left_out import require_narrow
from vae_pipeline.metrics.segments import Segmentation
from vae_pipeline.numerics.device import flushing, prepare_device
from vae_pipeline.numerics.randomness import in_float32
from vae_pipeline.stages.job import Job, sections_of
from vae_pipeline.stages.running import Run, TrainReport
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.files import require_writable, sha256_of
from vae_pipeline.system.locking import held
from vae_pipeline.system.tracking.journal import running
from vae_pipeline.training.checkpoint import run_key
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.processes import joined
from vae_pipeline.training.sharing import place_of, require_validation


@in_float32()
def train(
    job: Job, data: Path, out: Path, start: Path | None = None, watch: Callable[[Epoch], None] | None = None
) -> TrainReport | None:
    """Fill `out` with weights, history, recipe and spec; of several processes the first does, and alone reports.

    `start` is a file of weights to begin with, instead of those that the recipe says. `watch` sees each epoch of a
    single process at its end; what it raises ends the run, whose checkpoints are then removed.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled, lacks a shard, or doesn't go with `detection`.
        RecipeError: private training is to begin with weights, or can't keep its epsilon.
        SettingsError: the processes were given different recipes or data, or can't share these.
        WeightsError: what it is to begin with isn't weights, or they don't fit the recipe.
        TrainingError: the loss isn't finite, or another process is gone.
        OutputError: `out` can't be written.
        Interrupted: SIGINT or SIGTERM; the same command goes on from there.
    """
    device = prepare_device(job.settings)
    if start is not None and job.recipe.train.private is not None:
        raise RecipeError(
            f"train.private: nobody knows what the weights {start} tell of these rows: begin with fresh ones, or set "
            "train.private to null"
        )
    with flushing(), joined(device) as processes:
        place = place_of(data, job.recipe.train.batch, processes)
        prepared = Prepared.open(data, place, processes.count)
        require_validation(prepared, processes)
        key = run_key(sections_of(job), prepared.digest(), device, None if start is None else sha256_of(start))
        processes.require_same({"prepared data": prepared.digest(), "recipe, seed, code, torch or kind of device": key})
        if not processes.first:
            run = Run(_silent(job), prepared, key, device, processes, start)
            run.to_the_end()
            run.exchange.answer()
            return None
        require_writable(out, data)
        require_target(prepared.spec, job.recipe.evaluate.target)
        Segmentation.of(job.recipe.detection, prepared.spec)  # which export would refuse, hours later
        require_narrow(job.recipe.detection, prepared.spec)
        if job.recipe.detection is not None and prepared.calibration_note is not None:
            job.warn(prepared.calibration_note)
        with held(running(job.settings.home, key), "trains this run", job.warn):
            return Run(job, prepared, key, device, processes, start, watch).into(out)


def _silent(job: Job) -> Job:
    """The job of a process that leaves speaking and recording to the first."""
    settings = job.settings.model_copy(update={"mlflow_uri": "off"})
    return replace(job, settings=settings, console=Console(quiet=True))
