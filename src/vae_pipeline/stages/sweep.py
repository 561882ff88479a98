"""sweep: models of one recipe at other values, and the values with the best figure on the validation part.

Nothing is chosen on the test part: a trial is measured as `eval` measures a model, with the validation part in the test
part's place. The best recipe is written as a file of its own, whose model the other stages then train and evaluate.
"""

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import Trial, TrialState

from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.numerics.randomness import in_float32
from vae_pipeline.recipe.figures import Figure, tracked
from vae_pipeline.recipe.space import recipe_of
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.launch import launched
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.search import Search, figure_of
from vae_pipeline.stages.study import best, ended, next_trial, open_study, require_own
from vae_pipeline.stages.sweep_record import record, recorded
from vae_pipeline.stages.sweep_results import TrialRow, require_free, row_of, write_best, write_results
from vae_pipeline.stages.trial import Pruned, measured, validated
from vae_pipeline.system.errors import (
    DataError,
    Interrupted,
    RecipeError,
    SettingsError,
    TrainingError,
    WeightsError,
    out_of_memory,
)
from vae_pipeline.system.files import content_key, writing
from vae_pipeline.system.locking import held
from vae_pipeline.system.reading import read_yaml
from vae_pipeline.system.stopping import Stopped
from vae_pipeline.system.tracking.journal import Journal

SPARED = 4  # no trial is pruned in the first of so many parts of its length
SHORTEST = 20  # epochs of a recipe that counts steps, at least


@in_float32()
def sweep(job: Job, search: Search, out: Path, data: Path | None = None) -> list[TrialRow]:
    """Run trials until `search.trials` have ended; fill `out`, write the best recipe and return all trials.

    Raises:
        RecipeError, DataError, OutputError: the recipe, the space, the data or a place won't do; nothing is trained.
        TrainingError: no trial came to a figure.
        Interrupted: SIGINT or SIGTERM; the same command goes on from there.
    """
    if launched():
        raise SettingsError("sweep trains in one process: run it without a launcher (WORLD_SIZE is set)")
    raw, figure = read_yaml(search.recipe), figure_of(search.metric, job.recipe)
    refused = search.space.require_valid(raw)
    if refused:
        job.warn(f"{job.name}: the recipe refuses {refused} corners of the space; such trials end as refused")
    if data is not None and search.space.touches("data"):
        raise RecipeError(f"--data {data} is given, and --set changes the section data: leave --data out")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    require_own(out)
    with held(out / "sweep.lock", "sweeps into this folder", job.warn):
        return _Sweep(job, search, figure, raw, out, data).run()


class _Sweep:
    """One sweep in its folder, which no other process writes meanwhile."""

    def __init__(
        self, job: Job, search: Search, figure: Figure, raw: Mapping[str, Any], out: Path, data: Path | None
    ) -> None:
        self.job, self.search, self.figure, self.raw, self.out, self.data = job, search, figure, raw, out, data
        self.device = prepare_device(job.settings)
        swept_data = search.space.touches("data")
        # An ELBO of other data, or of another kind of likelihood, doesn't tell which trial goes better.
        self.prunes = search.prune and not swept_data and not search.space.touches("model.likelihood")
        about = {
            "recipe": job.recipe.model_dump(mode="json", exclude={"about"}),
            "search space": {key: str(each) for key, each in search.space.dimensions.items()},
            "--metric": search.metric,
            "--seed": job.seed,
            "data": None if swept_data else validated(self._prepared(job)).digest(),
            "--prune or --no-prune": search.prune,
        }
        epochs = job.recipe.train.epochs or SHORTEST
        self.study = open_study(out, figure, about, early=max(1, epochs // SPARED))

    def run(self) -> list[TrialRow]:
        """Run what is left of the trials, and write what was found."""
        job, search = self.job, self.search
        require_free(self.study, search.best, search.recipe, search.force)
        with recorded(job, self.study, search.metric) as journal:
            with _stoppable(self.study, search.trials):
                self._run_all(journal)
            shutil.rmtree(self.out / "trials", ignore_errors=True)
            found = best(self.study)
            if found is None:
                raise TrainingError(f"no trial came to a figure; the last: {row_of(ended(self.study)[-1]).note}")
            write_results(self.out, job.name, self.study, self.figure)
            write_best(self.study, found, search, self.figure)
            for name in ("trials.csv", "history.png", "parameters.png"):
                journal.artifact(self.out / name, to="sweep")
        return [row_of(trial) for trial in ended(self.study)]

    def _run_all(self, journal: Journal) -> None:
        job, search, space = self.job, self.search, self.search.space
        done = len(ended(self.study))
        if done >= search.trials:
            job.console.print(f"{job.name}: {done} trials are done already; a higher --trials adds more")
        while done < search.trials:
            trial = next_trial(self.study, space, job.seed)
            if trial is None:
                job.console.print(f"{job.name}: all {done} combinations are tried")
                return
            self._run(trial)
            done += 1
            told = self.study.get_trials(deepcopy=False)[trial.number]
            record(journal, told, self.study, search.metric)
            job.console.print(f"{job.name} trial {trial.number}: {row_of(told).said(search.metric)}")

    def _run(self, trial: Trial) -> None:
        """Run a trial to its end: a figure, or the reason for none."""
        since, folder = time.monotonic(), self.out / "trials" / str(trial.number)

        def tell(state: TrialState, value: float | None = None, **attributes: Any) -> None:
            for name, each in {**attributes, "seconds": round(time.monotonic() - since, 1)}.items():
                trial.set_user_attr(name, each)
            self.study.tell(trial, value, state)
            shutil.rmtree(folder, ignore_errors=True)

        try:
            recipe = recipe_of(self.raw, self.search.space.values(trial.params))
        except RecipeError as error:
            tell(TrialState.FAIL, outcome="refused", note=str(error))
            return
        settings = self.job.settings.model_copy(update={"mlflow_uri": "off"})  # recorded as a part of the sweep
        recipe = recipe.model_copy(update={"detection": None})  # no detector is fitted, nor its calibration warned of
        job = replace(self.job, name=f"{self.job.name} trial {trial.number}", recipe=recipe, settings=settings)
        try:
            metrics = measured(job, trial, self.figure, self.prunes, self._prepared(job), folder, self.device)
        except Pruned as pruned:
            tell(TrialState.PRUNED, note=str(pruned))
            return
        except RecipeError as error:  # by the data, which alone know their levels and classes
            tell(TrialState.FAIL, outcome="refused", note=str(error))
            return
        except (TrainingError, DataError, WeightsError) as error:
            tell(TrialState.FAIL, outcome="failed", note=str(error))
            return
        except (MemoryError, RuntimeError) as error:
            short = out_of_memory(error)
            if short is None:
                raise
            tell(TrialState.FAIL, outcome="failed", note=short)
            return
        unfit = self._unfit(metrics)
        if unfit is None:
            tell(TrialState.COMPLETE, metrics[self.figure.key], figures=tracked(metrics), measure=metrics["measure"])
            return
        tell(TrialState.FAIL, outcome="failed", note=unfit)
        if best(self.study) is None:  # so it will be with the next ones
            raise RecipeError(f"--metric {unfit}; take another one, with another --out")

    def _unfit(self, metrics: Mapping[str, Any]) -> str | None:
        """Say why a trial's figure can't be compared with the others'; None if it can."""
        key = self.figure.key
        if key not in metrics:
            return f"{key} is left out: {metrics['left_out'].get(key, 'it is not measured for this model')}"
        if not math.isfinite(metrics[key]):
            return f"{key} is {metrics[key]}"
        known, measure = best(self.study), metrics["measure"]
        if known is None or self.figure.unit not in ("nats", "bits"):
            return None
        other = known.user_attrs["measure"]
        if measure != other:
            return f"{key} is of a {measure} here, and of a {other} in trial {known.number}: the two don't compare"
        return None

    def _prepared(self, job: Job) -> Path:
        """The folder of a trial's data: that which was given, or one that is prepared once for all trials with it."""
        if self.data is not None:
            return self.data
        folder = self.out / "data" / content_key(job.recipe.data.model_dump(mode="json"))[:12]
        if not folder.is_dir():
            prepare(job, folder)
        return folder


@contextmanager
def _stoppable(study: Study, trials: int) -> Iterator[None]:
    """Say at a signal that nothing is lost, which is so wherever it comes."""
    try:
        yield
    except (Stopped, Interrupted) as stopped:
        how = "" if isinstance(stopped, Interrupted) else ", and the same command goes on from there"
        raise Interrupted(f"{stopped}; {len(ended(study))} of {trials} trials are done{how}") from None
