"""One run of training: from its checkpoint on if there is one, recorded as it goes, to the folder that it fills."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from vae_pipeline.evaluation.gates import miss
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.images import fidelity
from vae_pipeline.models.build import build
from vae_pipeline.models.vae import VAE
from vae_pipeline.models.weights import load_weights
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.recipe.objective import TargetDistortionControl
from vae_pipeline.recipe.sampler import Among
from vae_pipeline.stages.display import Display
from vae_pipeline.stages.execution import execution_of
from vae_pipeline.stages.interrupt import interruptible
from vae_pipeline.stages.job import Job, sections_of
from vae_pipeline.stages.progress_display import showing_progress
from vae_pipeline.system.errors import Interrupted, TrainingError
from vae_pipeline.system.files import filled_folder, sha256_of
from vae_pipeline.system.seal import seal
from vae_pipeline.system.tracking.journal import flatten
from vae_pipeline.system.tracking.tracker import provenance
from vae_pipeline.training.alarms import Alarm, alarms
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints
from vae_pipeline.training.clock import BYTES_PER_S, Clock
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.feed import batches_of, begin_privately
from vae_pipeline.training.history import history_rows
from vae_pipeline.training.length import Length, too_short
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.private.accountant import Mechanism
from vae_pipeline.training.processes import Processes
from vae_pipeline.training.sampling import ChosenSampler, choose_sampler, distance_from, fit_sampler, take_sampler
from vae_pipeline.training.sharing import Exchange
from vae_pipeline.training.sharpness.building import build_sharpener
from vae_pipeline.training.start import begin_from_rows, begin_from_weights
from vae_pipeline.training.trained import SamplerChoice, write_trained

AGREE_EVERY = 10  # steps between the moments at which several processes ask each other whether to stop


@dataclass(frozen=True)
class TrainReport:
    """The result of a training run."""

    weights_sha256: str
    epochs: int
    kept: Epoch
    ended: str | None = None
    """Why it ended before its length; None if it didn't."""


class Run:
    """One run, from its checkpoint on if there is one."""

    def __init__(
        self,
        job: Job,
        prepared: Prepared,
        key: str,
        device: torch.device,
        processes: Processes,
        start: Path | None,
        watch: Callable[[Epoch], None] | None = None,
    ) -> None:
        """`key` is that of the checkpoints; `start` is a file of weights to begin with, instead of the recipe's."""
        self.watch = watch
        self.job, self.recipe, self.key = job, sections_of(job), key
        self.prepared = prepared = prepared.corrupted(self.recipe.train.denoise, self.recipe.seed)
        self.processes = processes
        self.checkpoints = Checkpoints(job.settings.home, key, processes)
        self.length = Length.of(self.recipe.train, math.ceil(len(prepared.train) / self.recipe.train.batch))
        self.execution = execution_of(self.recipe, job.settings, device, processes, self.length.steps)
        self.mechanism = Mechanism.of(self.recipe.train, len(prepared.train), self.length.steps)
        sharpener, self.recipe = build_sharpener(self.recipe, prepared, job.settings.home, device, job.warn)
        self.exchange = Exchange(prepared, processes)
        self.training = _start(self.recipe, prepared, device, start, self.exchange)
        self.training.sharpener = sharpener
        if self.mechanism is not None:
            begin_privately(self.training, prepared.train, self.mechanism)
        for said in self.checkpoints.restore(self.training):
            job.warn(f"checkpoint: {said}")
        if self.training.step:
            job.console.print(f"{job.name}: going on from step {self.training.step}")
        self.alarms = self._alarms(self.training.history)
        self.tracker = job.tracker()
        self.journal = self.tracker.journal("train", key)

    def into(self, out: Path) -> TrainReport:
        """Train to the end and fill `out`."""
        self._begin_record()
        self._warn_of_few_steps()
        with self.tracker.followed(self.journal):
            return self._recorded(out)

    def _recorded(self, out: Path) -> TrainReport:
        try:
            self.to_the_end()
            self._warn_of_a_missed_target()
            kept = self.training.best_epoch if self.recipe.train.keep == "best" else len(self.training.history)
            assert kept is not None  # the best of at least one epoch
            with showing_progress(self.job.console, self.job.name), self.exchange.asking():
                model, choice = self._with_sampler()
            history = history_rows(self.training.history, kept, self.recipe.train.sharpness is not None)
            sampler = SamplerChoice(choice.kind, {str(kind): distance for kind, distance in choice.distances.items()})
            told = [asdict(alarm) for alarm in self.alarms]
            privacy = None if self.mechanism is None else self.mechanism.spent(self.training.step)
            with filled_folder(out) as folder:
                write_trained(folder, model, self.recipe, self.prepared.spec, history, sampler, told, privacy)
                seal(folder)
        except BaseException as error:  # whatever ended the run, its record says that it ended
            self.journal.break_off(error)
            raise
        weights = sha256_of(out / "weights.safetensors")
        for file in ("recipe.yaml", "history.csv", "weights.safetensors"):
            self.journal.artifact(out / file, to="")
        self.journal.end("FINISHED", weights)
        self.checkpoints.remove()
        return TrainReport(weights, len(self.training.history), self.training.history[kept - 1], self._ended())

    def _ended(self) -> str | None:
        """Say why the run ended before its length; None if it didn't."""
        train, training = self.recipe.train, self.training
        planned, made = self.length.epochs, len(training.history)
        if made == planned:
            return None
        waited = train.patience is not None and made - (training.best_epoch or 0) >= train.patience
        why = f"none of the last {train.patience} was better" if waited else "train.max_minutes is over"
        return f"of {planned}, as {why}"

    def _with_sampler(self) -> tuple[VAE, ChosenSampler]:
        """The trained model with its sampler of new latents."""
        model, recipe, prepared = self.training.judged, self.recipe, self.prepared
        model.load_state_dict(self.training.weights(recipe.train))
        match recipe.sampler:
            case "auto" | Among():
                among = None if recipe.sampler == "auto" else recipe.sampler.among
                distance = distance_from(prepared, self.job.settings.home, self.training.totals.device, recipe.seed)
                choice = choose_sampler(model, prepared.train, distance, recipe.seed, among)
            case asked:
                kind = asked if isinstance(asked, str) else asked.kind
                choice = ChosenSampler(kind, fit_sampler(asked, model, prepared.train, recipe.seed), {})
        take_sampler(model, choice.sampler, prepared.train, recipe.seed)
        return model, choice

    def _warn_of_few_steps(self) -> None:
        said = too_short(self.recipe.train, self.length.steps)
        if said is not None and "too_few_steps" not in self.job.recipe.evaluate.waive:
            self.job.warn(f"{self.job.name}: {said} (the gate too_few_steps will fail; evaluate.waive does without it)")

    def _warn_of_a_missed_target(self) -> None:
        """Judge a target by the validation part, or by training where there is none."""
        control, last, valid = self.recipe.rate_control, self.training.history[-1], self.prepared.valid
        figures = {"rate": last.rate, "distortion": last.distortion}
        if isinstance(control, TargetDistortionControl) and control.psnr is not None:
            shown, device = valid if len(valid) else self.prepared.train, self.training.totals.device
            figures["mse_of_sample"] = fidelity(self.training.judged, shown, self.recipe.seed, device).mse_of_sample
        missed = miss(figures, control)
        if missed is not None:
            self.job.warn(f"{self.job.name}: {missed}, at the end of training, on the validation part")

    def _begin_record(self) -> None:
        if not self.journal.on:
            return
        card = self.prepared.card
        data = self.job.recipe.data.model_dump(mode="json")
        params = flatten({"data": data, **self.recipe.model_dump(mode="json", exclude={"about"})})
        dataset = {"name": self.job.name, "digest": self.prepared.digest(), "source": card["origins"], "card": card}
        going_on = self.training.step > 0
        self.journal.start(self.job.name, params, provenance(self.job.name), dataset=dataset, resumed=going_on)

    def to_the_end(self) -> None:
        """Consume the loop: show, record, save, and stop when asked to."""
        recipe, training, processes = self.recipe.train, self.training, self.processes
        loop = fit(
            training,
            recipe,
            self.recipe.objective,
            self._batches(),
            self.prepared.valid,
            self.recipe.seed,
            self.execution,
            self.mechanism,
        )
        limit = math.inf if recipe.max_minutes is None else 60 * recipe.max_minutes
        size = 4 * sum(parameter.nbytes for parameter in training.model.parameters())  # moments and best or average
        clock = Clock(training.seconds, self.job.settings.checkpoint_s, size / BYTES_PER_S)
        parent = os.getppid()
        with interruptible() as asked, Display(self.job.console, self.job.name, self.length) as display:
            for step in loop:
                display.step(step)
                if step.loss is not None:
                    self.journal.metrics({"loss": step.loss}, step=step.step)
                if step.epoch is not None:
                    self.journal.metrics(step.epoch.figures(), step=step.epoch.epoch)
                    self._tell_skipped(step.epoch)
                    self._tell_alarms()
                    self._show_to_watcher(step.epoch)
                elif processes.count > 1 and step.step % AGREE_EVERY:
                    continue
                training.seconds = clock.seconds()
                orphaned = processes.count > 1 and os.getppid() != parent
                stop, due, over = processes.any(bool(asked) or orphaned, clock.due(), training.seconds > limit)
                if stop or due:
                    with clock.saving():
                        self._save()
                if stop:
                    who = asked.name or ("the launcher is gone" if orphaned else "another process was stopped")
                    raise Interrupted(
                        f"{who} at step {step.step} of {step.steps}; a checkpoint is written, "
                        "and the same command goes on from there"
                    )
                training.stopped = training.stopped or over
        _refuse_spoiled(training)

    def _alarms(self, history: Sequence[Epoch], known: Sequence[Alarm] = ()) -> list[Alarm]:
        return alarms(history, self.training.model.latents, self.recipe, known)

    def _tell_skipped(self, epoch: Epoch) -> None:
        if epoch.skipped_steps:
            why = f"as their gradients had norms over train.skip_threshold {self.recipe.train.skip_threshold:g}"
            self.job.warn(f"{self.job.name}: epoch {epoch.epoch}: {epoch.skipped_steps} steps were skipped, {why}")

    def _tell_alarms(self) -> None:
        """Say what the last epoch changed.

        Raises:
            TrainingError: an alarm began, and the recipe wants an end then.
        """
        known, self.alarms = self.alarms, self._alarms(self.training.history[-2:], self.alarms)
        for alarm in [alarm for alarm in self.alarms if alarm not in known]:
            if alarm.cleared is not None:
                self.journal.tag(f"alarm.{alarm.name}", f"{alarm.epoch} to {alarm.cleared}")
                self.job.console.print(f"{self.job.name}: epoch {alarm.cleared}: {alarm.name} is over")
                continue
            self.journal.tag(f"alarm.{alarm.name}", str(alarm.epoch))
            said = f"{alarm.name} at epoch {alarm.epoch}: {alarm.about}"
            if self.recipe.train.stop_on_alarm:
                raise TrainingError(f"{said} (train.stop_on_alarm is true)")
            self.job.warn(f"{self.job.name}: {said}")

    def _show_to_watcher(self, epoch: Epoch) -> None:
        """Let the watcher see an epoch; a run that it ends isn't taken up again."""
        if self.watch is not None:
            try:
                self.watch(epoch)
            except Exception:
                self.checkpoints.remove()
                raise

    def _save(self) -> None:
        _refuse_spoiled(self.training)
        self.checkpoints.save(self.training)

    def _batches(self) -> Batches:
        gib = self.job.settings.resident_gib
        return batches_of(self.training, self.recipe, self.prepared, gib, self.processes)


def _start(
    recipe: TrainedRecipe, prepared: Prepared, device: torch.device, start: Path | None, exchange: Exchange
) -> Training:
    torch.manual_seed(derive(recipe.seed, "weights"))
    model = build(recipe.model, prepared.spec)  # on the CPU, so that every device starts from the same weights
    exchange.led(partial(begin_from_rows, model, recipe, prepared))  # the checkpoints share what came of it
    begin_from_weights(model, recipe, prepared.spec)
    if start is not None:
        load_weights(model, start)
    torch.manual_seed(derive(recipe.seed, "noise"))
    return Training.start(model.to(device), recipe.train, recipe.rate_control)


def _refuse_spoiled(training: Training) -> None:
    """A checkpoint of weights that aren't finite would be resumed to the same failure."""
    for name, parameter in training.model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise TrainingError(
                f"parameter {name} isn't finite after step {training.step}; lower train.learning_rate or set train.clip"
            )
