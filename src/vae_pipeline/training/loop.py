"""The loop: `fit` yields after every step, and at each yield the state is whole.

The caller logs, saves and stops; there are no callbacks. A run stopped at any yield and taken up from its
checkpoint ends with the same bits: the order of examples and the learning rate follow from the step, and
the generators' states are part of the checkpoint.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.alarms import EXAMPLES
from vae_pipeline.metrics.bounds import elbo_terms, widest
from vae_pipeline.metrics.gain import decoder_gain
from vae_pipeline.metrics.usage import usage
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe import objective as recipe
from vae_pipeline.recipe.train import Train
from vae_pipeline.system.errors import TrainingError
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.length import Length
from vae_pipeline.training.objectives import build_objective, samples_of
from vae_pipeline.training.private.accountant import Mechanism
from vae_pipeline.training.private.step import PrivateStep
from vae_pipeline.training.processes import Processes
from vae_pipeline.training.rate_control import RateControl, build_rate_control
from vae_pipeline.training.schedules import learning_rate_at
from vae_pipeline.training.sharpness.sharpener import Sharpener
from vae_pipeline.training.step import Execution, Step

GAIN_BY = 256  # examples: what they cost is little beside an epoch
CHECK_EVERY = 50  # steps between readings of the loss: on a GPU each of them stalls the queue


@dataclass
class Training:
    """The state of a run at one step."""

    model: VAE
    optimizer: AdamW
    control: RateControl
    totals: Tensor
    """Sums over the current epoch, of this process's rows: distortion, rate."""
    averaged: VAE | None = None
    """The moving average of the weights, where the recipe asks for one."""
    skipped: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Steps of the current epoch that weren't made, as the gradient's norm was over train.skip_threshold."""
    sharpener: Sharpener | None = None
    """The terms beside the objective, where the recipe asks for any."""
    secret: np.random.Generator | None = None
    """The origin of the noise and the batches of private training, which nobody may know: what is known can be taken
    away. None where training isn't private."""
    step: int = 0
    seconds: float = 0.0
    """The seconds spent up to here, in all the parts that the run was computed in."""
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the epoch with the highest validation ELBO."""
    best_epoch: int | None = None
    stopped: bool = False
    """True once `patience` epochs brought no better one, or no time is left."""

    @classmethod
    def start(cls, model: VAE, train: Train, rate_control: recipe.RateControl) -> "Training":
        """Step 0."""
        device = next(model.parameters()).device
        averaged = None if train.ema is None else copy.deepcopy(model).requires_grad_(False)
        totals = torch.zeros(2, dtype=widest(device), device=device)
        control = build_rate_control(rate_control).to(device)
        skipped = torch.zeros((), device=device)
        secret = None if train.private is None else np.random.default_rng()  # of 128 bits of the system's entropy
        return cls(model, AdamW(model, train.weight_decay), control, totals, averaged, skipped, secret=secret)

    @property
    def judged(self) -> VAE:
        """The model that is validated and kept."""
        return self.model if self.averaged is None else self.averaged

    def weights(self, train: Train) -> dict[str, Tensor]:
        """The result: the best epoch's weights, or the last ones."""
        return self.best if train.keep == "best" else _copy(self.judged)


@dataclass(frozen=True)
class Progress:
    """The place of the loop after a step."""

    step: int
    steps: int
    examples: int
    """Examples in this step."""
    epoch: Epoch | None
    """The epoch that ended with this step."""
    loss: float | None = None
    """The loss of this step's batch; read once in a while."""


def fit(
    training: Training,
    train: Train,
    objective: recipe.Objective,
    batches: Batches,
    valid: Split,
    seed: int,
    execution: Execution | None = None,
    mechanism: Mechanism | None = None,
    length: Length | None = None,
) -> Iterator[Progress]:
    """Train until the last step, or until early stopping; goes on from where `training` is.

    `length` is the run's, where that isn't what `train` says. Where the caller sets `training.stopped`, the epoch is
    ended where it is, and the loop with it. `mechanism` is that of private training, whose `batches` are drawn from
    `training.secret`.

    Raises:
        TrainingError: the loss isn't finite; names step, epoch, batch and parameter. Or every step of an epoch was
            skipped.
    """
    execution = execution or Execution()
    length = length or Length.of(train, len(batches))
    steps = length.steps
    check = partial(_check_finite, training, length.epoch)
    end_epoch = partial(_end_epoch, training, train, batches, valid, seed, execution.processes)
    loss_of = build_objective(objective, batches.count)
    step: Step | PrivateStep
    if mechanism is not None:
        assert training.secret is not None  # a recipe says both
        step = PrivateStep(
            training.model,
            training.optimizer,
            training.totals,
            loss_of,
            training.control,
            mechanism,
            training.secret,
            check,
        )
    else:
        step = Step(
            training.model,
            training.optimizer,
            training.totals,
            loss_of,
            samples_of(objective),
            training.control,
            train,
            execution,
            check,
            training.skipped,
            training.sharpener,
        )
    training.model.train()
    while training.step < steps and not training.stopped:
        for batch in batches.epoch(*divmod(training.step, len(batches))):
            rate = learning_rate_at(train, training.step, steps)
            training.control.advance(training.step / steps)
            if training.sharpener is not None:
                training.sharpener.advance(training.step / steps)
            loss = step(batch, rate)
            if training.averaged is not None and train.ema is not None:
                _average(training.averaged, training.model, train.ema, training.step)
            training.step += 1
            whole = training.step % length.epoch == 0 or training.step == steps
            read = training.step % CHECK_EVERY == 0
            if loss.device.type != "cpu" and (whole or read):
                check(loss)
            begun = (training.step - 1) // length.epoch * length.epoch
            seen = batches.examples(training.step) - batches.examples(begun)
            if whole and int(training.skipped) == training.step - begun:
                raise TrainingError(
                    f"all {training.step - begun} steps up to step {training.step} were skipped, as the norms of their "
                    f"gradients were over train.skip_threshold {train.skip_threshold:g}: raise it over those of the "
                    "first steps, or lower train.learning_rate"
                )
            ended = end_epoch(seen, rate) if whole else None
            yield Progress(training.step, steps, batch.examples, ended, loss.item() if read else None)
            if training.stopped and not whole:  # out of time
                yield Progress(training.step, steps, 0, end_epoch(seen, rate))
            if training.stopped or training.step == steps:
                break


def _average(averaged: VAE, model: VAE, decay: float, step: int) -> None:
    """Move the average towards the weights; while it is young, faster, so that it forgets where it began."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), weight)
        for mine, current in zip(averaged.buffers(), model.buffers(), strict=True):
            mine.copy_(current)


def _end_epoch(
    training: Training,
    train: Train,
    batches: Batches,
    valid: Split,
    seed: int,
    processes: Processes,
    seen: int,
    rate: float,
) -> Epoch:
    processes.gather(training.totals)
    processes.follow(training.model.buffers())  # what follows the data, as a scale does, follows each process's part
    model, device, seed = training.judged, training.totals.device, derive(seed, "valid")
    terms = elbo_terms(model, valid, seed, device) if len(valid) else None
    shown = valid if len(valid) else batches.split
    used, gain = usage(model, shown, seed, device, EXAMPLES), decoder_gain(model, shown, seed, device, GAIN_BY)
    distortion, train_rate = (training.totals / seen).tolist()
    training.totals.zero_()
    ended = Epoch(
        epoch=len(training.history) + 1,
        train_distortion=distortion,
        train_rate=train_rate,
        valid_distortion=None if terms is None else float(terms.distortion.mean()),
        valid_rate=None if terms is None else float(terms.rate.mean()),
        active_units=used.active_units,
        mutual_information=used.mutual_information,
        posterior_variance=used.posterior_variance,
        codebook_use=used.codebook_use,
        learning_rate=rate,
        beta=training.control.beta.item(),
        decoder_gain=None if gain is None else gain.nats,
        decoder_gain_share=None if gain is None else gain.share,
        skipped_steps=None if train.skip_threshold is None else int(training.skipped),
        level_rates=None if terms is None or len(model.levels) == 1 else terms.level_rates.mean(0).tolist(),
        **({} if training.sharpener is None else asdict(training.sharpener.figures())),
    )
    training.skipped.zero_()
    ended = processes.share(ended)  # other devices may round otherwise, and would stop at another epoch
    training.history.append(ended)
    if train.keep == "best" or train.patience is not None:
        assert ended.valid_elbo is not None  # a recipe that selects has a validation part
        best = None if training.best_epoch is None else training.history[training.best_epoch - 1].valid_elbo
        if best is None or training.best_epoch is None or ended.valid_elbo > best:
            training.best, training.best_epoch = _copy(training.judged), ended.epoch
        patient = train.patience is None or ended.epoch - training.best_epoch < train.patience
        training.stopped = training.stopped or not patient
    return ended


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _check_finite(training: Training, per_epoch: int, loss: Tensor) -> None:
    """Refuse a loss that isn't finite; on a CPU before the step, while the parameters are those that gave it."""
    value = loss.item()
    if math.isfinite(value):
        return
    named = dict(training.model.named_parameters())
    bad = [f"parameter {name}" for name, p in named.items() if not torch.isfinite(p).all()] or [
        f"the gradient of {name}"
        for name, p in named.items()
        if p.grad is not None and not torch.isfinite(p.grad).all()
    ]
    spoiled = f"{len(bad)} not finite, among them {bad[0]}" if bad else "every parameter and gradient is finite"
    on_cpu = loss.device.type == "cpu"
    step = training.step if on_cpu else training.step - 1
    when = "at" if on_cpu else f"within {CHECK_EVERY} steps up to"
    epoch, batch = divmod(step, per_epoch)
    raise TrainingError(
        f"the loss is {value} {when} step {step + 1} (epoch {epoch + 1}, batch {batch + 1} of {per_epoch}); "
        f"{spoiled}; lower train.learning_rate or set train.clip"
    )
