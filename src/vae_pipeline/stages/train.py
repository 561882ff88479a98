"""train: prepared data to weights, resumed by content and recorded as it goes."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console

from vae_pipeline.data.store import Prepared
from vae_pipeline.errors import Interrupted, TrainingError, VaeError
from vae_pipeline.files import filled_folder, sha256_of
from vae_pipeline.models.build import build
from vae_pipeline.models.weights import save_weights
from vae_pipeline.randomness import derive
from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.settings import Settings
from vae_pipeline.stages.display import Display
from vae_pipeline.stages.interrupt import interruptible
from vae_pipeline.stages.trained import history_rows, write_history, write_recipe
from vae_pipeline.tracking.journal import Journal, flatten
from vae_pipeline.tracking.tracker import Tracker, provenance
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints, run_key
from vae_pipeline.training.device import prepare_device
from vae_pipeline.training.loop import Epoch, Training, fit


@dataclass(frozen=True)
class Report:
    """What a training run came to."""

    weights_sha256: str
    epochs: int
    kept: Epoch


def train(name: str, recipe: Recipe, data: Path, out: Path, seed: int, settings: Settings, console: Console) -> Report:
    """Fill `out` with weights, history, recipe and spec.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled.
        TrainingError: the loss isn't finite.
        OutputError: `out` can't be written.
        Interrupted: SIGINT or SIGTERM; the same command goes on from there.
    """
    prepared = Prepared.open(data)
    device = prepare_device(settings)
    made_of = TrainedRecipe(
        about=recipe.about, model=recipe.model, objective=recipe.objective, train=recipe.train, seed=seed
    )
    digest = prepared.digest()
    key = run_key(made_of, digest, device)
    checkpoints = Checkpoints(settings.home, key)
    with filled_folder(out) as folder:
        training = _start(made_of, prepared, device)
        for problem in checkpoints.restore(training):
            console.print(f"[yellow]checkpoint passed over:[/] {problem}")
        if training.step:
            console.print(f"{name}: going on from step {training.step}")
        tracker = Tracker(settings, lambda text: console.print(f"[yellow]warning:[/] {text}"))
        journal = tracker.journal("train", key)
        params = flatten(made_of.model_dump(mode="json", exclude={"about"}))
        card = prepared.card
        dataset = {"name": name, "digest": digest, "source": card["origins"], "card": card}
        journal.start(name, params, provenance(name), dataset=dataset, resumed=training.step > 0)
        tracker.send(journal)
        try:
            _run(training, made_of, prepared, checkpoints, settings, Display(console, name, recipe.train.epochs),
                 journal, tracker)  # fmt: skip
        except VaeError as error:
            journal.end("KILLED" if isinstance(error, Interrupted) else "FAILED")
            tracker.send(journal)
            raise
        kept = training.best_epoch if recipe.train.keep == "best" else len(training.history)
        assert kept is not None  # the best of at least one epoch
        save_weights(training.weights(recipe.train), folder / "weights.safetensors")
        write_history(folder / "history.csv", history_rows(training.history, kept))
        write_recipe(folder / "recipe.yaml", made_of)
        prepared.spec.save(folder / "spec.json")
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
    settings: Settings,
    display: Display,
    journal: Journal,
    tracker: Tracker,
) -> None:
    batches = Batches(prepared.train, recipe.train.batch, recipe.seed, training.totals.device)
    saved = time.monotonic()
    with interruptible() as asked, display:
        for step in fit(training, recipe.train, recipe.objective, batches, prepared.valid, recipe.seed):
            display.step(step)
            if step.epoch is not None:
                figures = {**asdict(step.epoch), "train_elbo": step.epoch.train_elbo, "valid_elbo": step.epoch.valid_elbo}
                numbers = {key: value for key, value in figures.items() if value is not None and key != "epoch"}
                journal.metrics(numbers, step=step.epoch.epoch)
            if asked or time.monotonic() - saved > settings.checkpoint_s:
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
