"""train: prepared data to weights, resumed by content and recorded as it goes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vae_pipeline.data.store import Prepared
from vae_pipeline.device import prepare_device
from vae_pipeline.errors import Interrupted, TrainingError
from vae_pipeline.files import filled_folder, require_writable, sha256_of
from vae_pipeline.models.build import build
from vae_pipeline.models.weights import save_weights
from vae_pipeline.randomness import derive
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.stages.display import Display
from vae_pipeline.stages.interrupt import Interrupt, interruptible
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.trained import COLUMNS, Row, write_history, write_recipe
from vae_pipeline.tracking.journal import Journal, flatten, running
from vae_pipeline.tracking.tracker import Tracker, provenance
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints, run_key
from vae_pipeline.training.loop import Epoch, Training, fit


@dataclass(frozen=True)
class Report:
    """What a training run came to."""

    weights_sha256: str
    epochs: int
    kept: Epoch


def train(job: Job, data: Path, out: Path) -> Report:
    """Fill `out` with weights, history, recipe and spec.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled.
        TrainingError: the loss isn't finite.
        OutputError: `out` can't be written.
        Interrupted: SIGINT or SIGTERM; the same command goes on from there.
    """
    prepared, recipe = Prepared.open(data), job.recipe
    device = prepare_device(job.settings)
    made_of = TrainedRecipe(
        about=recipe.about, model=recipe.model, objective=recipe.objective, train=recipe.train, seed=job.seed
    )
    digest = prepared.digest()
    key = run_key(made_of, digest, device)
    require_writable(out, data)
    with running(job.settings.home, key):
        return _train(job, made_of, prepared, digest, key, device, out)


def _train(
    job: Job, made_of: TrainedRecipe, prepared: Prepared, digest: str, key: str, device: torch.device, out: Path
) -> Report:
    recipe, console = job.recipe, job.console
    checkpoints = Checkpoints(job.settings.home, key)
    training = _start(made_of, prepared, device)
    for problem in checkpoints.restore(training):
        job.warn(f"checkpoint passed over: {problem}")
    if training.step:
        console.print(f"{job.name}: going on from step {training.step}")
    tracker = job.tracker()
    journal = tracker.journal("train", key)
    params = flatten(
        {"data": recipe.data.model_dump(mode="json"), **made_of.model_dump(mode="json", exclude={"about"})}
    )
    card = prepared.card
    dataset = {"name": job.name, "digest": digest, "source": card["origins"], "card": card}
    journal.start(job.name, params, provenance(job.name), dataset=dataset, resumed=training.step > 0)
    tracker.send(journal)
    try:
        with interruptible() as asked, Display(console, job.name, recipe.train.epochs) as display:
            _run(training, made_of, prepared, checkpoints, job.settings.checkpoint_s, asked, display, journal, tracker)
        _refuse_spoiled(training)
        kept = training.best_epoch if recipe.train.keep == "best" else len(training.history)
        assert kept is not None  # the best of at least one epoch
        with filled_folder(out) as folder:
            save_weights(training.weights(recipe.train), folder / "weights.safetensors")
            write_history(folder / "history.csv", _history_rows(training.history, kept))
            write_recipe(folder / "recipe.yaml", made_of)
            prepared.spec.save(folder / "spec.json")
    except BaseException as error:  # whatever ended the run, its record says that it ended
        journal.end("KILLED" if isinstance(error, Interrupted) or not isinstance(error, Exception) else "FAILED")
        tracker.send(journal)
        raise
    weights = sha256_of(out / "weights.safetensors")
    for file in ("recipe.yaml", "history.csv", "weights.safetensors"):
        journal.artifact(out / file, to="")
    journal.end("FINISHED", weights)
    tracker.send(journal)
    checkpoints.remove()
    return Report(weights, len(training.history), training.history[kept - 1])


def _start(recipe: TrainedRecipe, prepared: Prepared, device: torch.device) -> Training:
    torch.manual_seed(derive(recipe.seed, "weights"))
    model = build(recipe.model, prepared.spec)  # on the CPU, so that every device starts from the same weights
    torch.manual_seed(derive(recipe.seed, "noise"))
    return Training.start(model.to(device), recipe.train)


def _run(
    training: Training,
    recipe: TrainedRecipe,
    prepared: Prepared,
    checkpoints: Checkpoints,
    every_s: float,
    asked: Interrupt,
    display: Display,
    journal: Journal,
    tracker: Tracker,
) -> None:
    """Consume the loop: show, record, save."""
    batches = Batches(prepared.train, recipe.train.batch, recipe.seed, training.totals.device)
    saved = time.monotonic()
    for step in fit(training, recipe.train, recipe.objective, batches, prepared.valid, recipe.seed):
        display.step(step)
        if step.epoch is not None:
            journal.metrics(step.epoch.figures(), step=step.epoch.epoch)
        if asked or time.monotonic() - saved > every_s:
            _refuse_spoiled(training)
            checkpoints.save(training)
            tracker.send(journal)
            saved = time.monotonic()
        if asked:
            raise Interrupted(
                f"{asked.name} at step {step.step} of {step.steps}; a checkpoint is written, "
                "and the same command goes on from there"
            )


def _refuse_spoiled(training: Training) -> None:
    """A checkpoint of weights that aren't finite would be resumed to the same failure."""
    for name, parameter in training.model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise TrainingError(
                f"parameter {name} isn't finite after step {training.step}; lower train.learning_rate or set train.clip"
            )


def _history_rows(history: Sequence[Epoch], kept: int) -> list[Row]:
    """Epochs as rows of numbers."""
    return [
        {name: float(epoch.epoch == kept) if name == "kept" else _number(getattr(epoch, name)) for name in COLUMNS}
        for epoch in history
    ]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
