"""A sweep in MLflow: a run with a child for each trial. The study is what is known; the journal is made of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from vae_pipeline.stages.job import Job
from vae_pipeline.stages.study import best, ended
from vae_pipeline.system.locking import held
from vae_pipeline.system.tracking.journal import Journal, Status, flatten, running
from vae_pipeline.system.tracking.tracker import provenance

STATUS: dict[TrialState, Status] = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}


@contextmanager
def recorded(job: Job, study: Study, metric: str) -> Iterator[Journal]:
    """A journal that is sent while the block runs trials; it begins with those that have ended before."""
    key, about = study.user_attrs["key"], study.user_attrs["about"]
    tracker = job.tracker()
    journal = tracker.journal("sweep", key)
    with held(running(job.settings.home, key), "sweeps into this folder", job.warn):
        params = flatten({**about["recipe"], "space": about["search space"], "metric": metric, "seed": job.seed})
        journal.start(job.name, params, provenance(job.name))
        for trial in ended(study):
            record(journal, trial, study, metric)
        with tracker.followed(journal):
            try:
                yield journal
            except BaseException as error:
                journal.break_off(error)
                raise
            journal.end("FINISHED")


def record(journal: Journal, trial: FrozenTrial, study: Study, metric: str) -> None:
    """Record a trial that has ended: parameters, the validation ELBO of each epoch, and figures in the last of them."""
    sign = -1 if study.direction.name == "MINIMIZE" else 1
    epochs = [{"valid_elbo": sign * value} for _, value in sorted(trial.intermediate_values.items())] or [{}]
    for name, value in trial.user_attrs.get("figures", {}).items():
        epochs[-1][name.replace("test_", "valid_", 1)] = value
    tags = {"vae.trial": trial.user_attrs.get("outcome", trial.state.name.lower())}
    if "note" in trial.user_attrs:
        tags["vae.note"] = trial.user_attrs["note"]
    journal.child(f"trial {trial.number}", trial.params, epochs, STATUS[trial.state], tags)
    found = best(study)
    if found is not None and found.value is not None and found.number == trial.number:
        journal.metrics({f"best_valid_{metric}": found.value}, step=trial.number)
