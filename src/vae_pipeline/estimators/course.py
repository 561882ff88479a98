"""The training of a detector's model: how long it takes, by how many rows there are, and when it ends early."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.estimators.parameters import Contamination
from vae_pipeline.kinds.store import Split
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.objective import ElboObjective, WarmUpControl
from vae_pipeline.recipe.train import Train
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

SMALL = 2000  # rows, under which validation may end a training early
FEWEST, PER_ROW, MOST = 800, 2.4, 2400  # steps; figures of shorter ones are in docs/log.md
PATIENCE = 6  # validations of a small table that find none better, after which none did in trials (docs/log.md)
BATCH = 256
EPOCH = 40  # steps, at least, between validations
JUDGED = 0.1  # of the rows, by which the epoch is chosen
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Course:
    """The course of a training."""

    steps: int
    """Updates of the weights, at most; whole epochs of them are made."""
    patience: int | None = None
    """Validations without a better one that end it; None where none does."""


def course_of(rows: int, contamination: Contamination, steps: int | None) -> Course:
    """The course for so many rows; `steps` is what a user asks for instead of its length."""
    small = rows < SMALL and contamination == "none"
    wanted = min(max(FEWEST, round(PER_ROW * rows)), MOST) if small else MOST
    return Course(wanted if steps is None else int(steps), PATIENCE if small else None)


def trained(model: VAE, rows: npt.NDArray[np.float32], seed: int, course: Course) -> VAE:
    """The model, with the weights of the epoch that validation found the best."""
    scaling, model.scaling = model.scaling, Scaling(0.0, 1.0)  # rows are scaled once, and not anew in each step
    with torch.no_grad():
        rows = scaling(torch.from_numpy(rows)).numpy()
    judged = round(JUDGED * len(rows))
    valid, rows = Split(rows[:judged], None), rows[judged:]
    # A small table is repeated, so that an epoch has EPOCH steps or more.
    rows = np.tile(rows, (math.ceil(EPOCH * BATCH / len(rows)), 1, 1))
    batches = Batches(Split(rows, None), BATCH, seed, CPU, labelled=False)
    train = Train(
        epochs=max(1, math.ceil(course.steps / len(batches))), max_minutes=None, batch=BATCH, accumulate=1,
        precision="float32", learning_rate=0.002, schedule="one_cycle", warm_up=0.0, weight_decay=0.0,
        clip=10.0, ema=None, keep="best" if judged else "last", patience=course.patience if judged else None,
        stop_on_alarm=False,
    )  # fmt: skip
    control = WarmUpControl(kind="warm_up", beta=1.0, share=0.3)
    training = Training.start(model, train, control)
    for _ in fit(training, train, ElboObjective(kind="elbo"), batches, valid, seed):
        pass
    model.load_state_dict(training.weights(train))
    model.scaling = scaling
    return model.eval()
