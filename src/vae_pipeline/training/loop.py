"""The loop: `fit` yields after every step, and at each yield the state is whole.

The caller logs, saves and stops; there are no callbacks. A run stopped at any yield and taken up from its
checkpoint ends with the same bits: the order of examples and the learning rate follow from the step, and
the generators' states are part of the checkpoint.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from vae_pipeline.data.store import Split
from vae_pipeline.errors import TrainingError
from vae_pipeline.metrics.bounds import elbo_terms, widest
from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.objectives import beta_at, build_objective
from vae_pipeline.randomness import derive
from vae_pipeline.recipe import ElboObjective, Train
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.schedules import learning_rate_at

CHECK_EVERY = 50  # steps between checks of the loss on a GPU, where reading a number stalls the queue


@dataclass(frozen=True)
class Epoch:
    """One row of the history; nats an example. The validation figures are None where there is no such part."""

    epoch: int
    train_distortion: float
    train_rate: float
    valid_distortion: float | None
    valid_rate: float | None
    learning_rate: float
    beta: float

    @property
    def train_elbo(self) -> float:
        """At beta = 1, averaged over the epoch's steps."""
        return -(self.train_distortion + self.train_rate)

    @property
    def valid_elbo(self) -> float | None:
        """At beta = 1, at the epoch's end."""
        if self.valid_distortion is None or self.valid_rate is None:
            return None
        return -(self.valid_distortion + self.valid_rate)

    def figures(self) -> dict[str, float]:
        """All numbers there are, by name."""
        named = {**asdict(self), "train_elbo": self.train_elbo, "valid_elbo": self.valid_elbo}
        return {name: value for name, value in named.items() if value is not None and name != "epoch"}


@dataclass
class Training:
    """All that a run is at one step."""

    model: VAE
    optimizer: torch.optim.Optimizer
    totals: Tensor
    """Sums over the current epoch: distortion, rate, examples."""
    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the epoch with the highest validation ELBO."""
    best_epoch: int | None = None
    stopped: bool = False
    """No better epoch for `patience` epochs."""

    @classmethod
    def start(cls, model: VAE, train: Train) -> "Training":
        """Step 0."""
        parameters = list(model.parameters())
        device = parameters[0].device
        groups = [  # biases and single numbers, such as a learned scale, don't decay
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)
        return cls(model, optimizer, torch.zeros(3, dtype=widest(device), device=device))

    def weights(self, train: Train) -> dict[str, Tensor]:
        """The result: the best epoch's weights, or the last ones."""
        return self.best if train.keep == "best" else _copy(self.model)


@dataclass(frozen=True)
class Progress:
    """Where the loop is after a step."""

    step: int
    steps: int
    examples: int
    """In this step."""
    epoch: Epoch | None
    """The epoch that ended with this step."""


def fit(
    training: Training, train: Train, objective: ElboObjective, batches: Batches, valid: Split, seed: int
) -> Iterator[Progress]:
    """Train until the last epoch, or until early stopping; goes on from where `training` is.

    Raises:
        TrainingError: the loss isn't finite; names step, epoch, batch and parameter.
    """
    model, optimizer = training.model, training.optimizer
    per_epoch = len(batches)
    steps = per_epoch * train.epochs
    loss_of = build_objective(objective, steps)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    model.train()
    while training.step < steps and not training.stopped:
        number, position = divmod(training.step, per_epoch)
        for images, labels in batches.epoch(number, position):
            rate = learning_rate_at(train, training.step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            inference: Inference = model(images, label=labels)
            loss = loss_of(inference, training.step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            last = training.step + 1 == steps
            if images.device.type == "cpu" or training.step % CHECK_EVERY == 0 or last:
                _check_finite(loss, training, per_epoch)
            if train.clip is not None:
                nn.utils.clip_grad_norm_(parameters, train.clip)
            optimizer.step()
            _add(training.totals, inference, len(images))
            training.step += 1
            ended = None
            if training.step % per_epoch == 0:
                ended = _end_epoch(training, train, valid, seed, rate, beta_at(objective, training.step - 1, steps))
            yield Progress(training.step, steps, len(images), ended)
            if training.stopped:
                break


@torch.no_grad()
def _add(totals: Tensor, inference: Inference, examples: int) -> None:
    distortion, rate = inference.distortion().sum(), inference.rate().sum()
    totals += torch.stack([distortion, rate, distortion.new_tensor(examples)])


def _end_epoch(training: Training, train: Train, valid: Split, seed: int, rate: float, beta: float) -> Epoch:
    distortion, train_rate, examples = training.totals.tolist()
    training.totals.zero_()
    terms = elbo_terms(training.model, valid, derive(seed, "valid"), training.totals.device) if len(valid) else None
    ended = Epoch(
        epoch=len(training.history) + 1,
        train_distortion=distortion / examples,
        train_rate=train_rate / examples,
        valid_distortion=None if terms is None else float(terms.distortion.mean()),
        valid_rate=None if terms is None else float(terms.rate.mean()),
        learning_rate=rate,
        beta=beta,
    )
    training.history.append(ended)
    if train.keep == "best" or train.patience is not None:
        assert ended.valid_elbo is not None  # a recipe that selects has a validation part
        best = None if training.best_epoch is None else training.history[training.best_epoch - 1].valid_elbo
        if best is None or training.best_epoch is None or ended.valid_elbo > best:
            training.best, training.best_epoch = _copy(training.model), ended.epoch
        training.stopped = train.patience is not None and ended.epoch - training.best_epoch >= train.patience
    return ended


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _check_finite(loss: Tensor, training: Training, per_epoch: int) -> None:
    """Called between the backward pass and the step, so that the parameters are those that gave the loss."""
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
    when = "at" if loss.device.type == "cpu" else f"within {CHECK_EVERY} steps up to"
    epoch, batch = divmod(training.step, per_epoch)
    raise TrainingError(
        f"the loss is {value} {when} step {training.step + 1} (epoch {epoch + 1}, batch {batch + 1} of {per_epoch}); "
        f"{spoiled}; lower train.learning_rate or set train.clip"
    )
