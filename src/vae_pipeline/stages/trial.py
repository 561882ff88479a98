"""One trial of a sweep: a model of its own recipe, pruned while it is trained, and measured on the validation part."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from optuna.trial import Trial

from vae_pipeline.evaluation.kinds import Evaluation, describe
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe.figures import Figure
from vae_pipeline.stages.evaluate import add, measure
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.trained import Trained


class Pruned(Exception):  # noqa: N818 (it is no error)
    """A trial's validation ELBO was under the median of the others'."""


def measured(
    job: Job, trial: Trial, figure: Figure, prune: bool, data: Path, out: Path, device: torch.device
) -> dict[str, Any]:
    """The figures of the trial's model on the validation part; it is trained into `out`, unless it is there already.

    Raises:
        Pruned: its validation ELBO fell behind.
        RecipeError, TrainingError, DataError, Interrupted: as `train`.
        WeightsError: what was trained holds NaN or infinity.
    """
    prepared = validated(data)
    if not out.is_dir():
        train(job, data, out, watch=_watcher(trial, figure, prune))
    trained = Trained.load(out)
    prepared = trained.sees(prepared)
    model = trained.model.to(device)
    metrics, used = measure(model, prepared, job.recipe.evaluate, job.seed, device)
    if figure.key not in metrics:
        metrics["alarms"] = []
        target = job.recipe.evaluate.target
        audited = "audit" in figure.needs
        of = Evaluation(trained, prepared, None, used, metrics, target, job.seed, job.settings.home, audited)
        with tempfile.TemporaryDirectory() as pictures:
            add(metrics, describe(of, Path(pictures)))
    return metrics


def validated(data: Path) -> Prepared:
    """Prepared data with the validation part in the test part's place.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled, or has no validation part.
    """
    prepared = Prepared.open(data)
    if not len(prepared.valid):
        raise DataError(f"{data} has no validation part, by which a sweep chooses: set data.valid to 0.2 or so")
    return replace(prepared, test=prepared.valid)


def _watcher(trial: Trial, figure: Figure, prune: bool) -> Callable[[Epoch], None]:
    """Report each epoch's validation ELBO; where lower figures are better, with its sign turned, as Optuna compares."""
    known = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def watch(epoch: Epoch) -> None:
        assert epoch.valid_elbo is not None  # a sweep wants a validation part
        if epoch.epoch not in known:  # an epoch after the last checkpoint of a killed process is computed twice
            trial.report(-epoch.valid_elbo if figure.better == "lower" else epoch.valid_elbo, epoch.epoch)
        if prune and trial.should_prune():
            raise Pruned(f"validation ELBO {epoch.valid_elbo:.2f} by epoch {epoch.epoch}: under the median")

    return watch
