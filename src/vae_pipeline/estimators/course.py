"""The training of a detector's model: how long it takes, and when it ends early."""

import math

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.objective import ElboObjective, WarmUpControl
from vae_pipeline.recipe.train import Train
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

PATIENCE = 6  # validations of a small table without a better one, after which none was in trials (docs/log.md)
BATCH = 256
EPOCH = 40  # steps, at least, between validations
JUDGED = 0.1  # of the rows, by which the epoch is chosen
CPU = torch.device("cpu")


def trained(model: VAE, rows: npt.NDArray[np.float32], seed: int, steps: int, *, patient: bool = False) -> VAE:
    """The model, with the weights of the epoch that validation found the best.

    It ends early where no epoch is likely to be better than one that was, unless it is `patient`.
    """
    scaling, model.scaling = model.scaling, Scaling(0.0, 1.0)  # rows are scaled once, and not anew in each step
    with torch.no_grad():
        rows = scaling(torch.from_numpy(rows)).numpy()
    judged = round(JUDGED * len(rows))
    valid, rows = Split(rows[:judged], None), rows[judged:]
    # A small table is repeated, so that an epoch has EPOCH steps or more.
    rows = np.tile(rows, (math.ceil(EPOCH * BATCH / len(rows)), 1, 1))
    batches = Batches(Split(rows, None), BATCH, seed, CPU, labelled=False)
    train = Train(
        epochs=max(1, math.ceil(steps / len(batches))), max_minutes=None, batch=BATCH, accumulate=1,
        precision="float32", learning_rate=0.002, schedule="one_cycle", warm_up=0.0, weight_decay=0.0,
        clip=10.0, ema=None, keep="best" if judged else "last", patience=None if patient or not judged else PATIENCE,
        stop_on_alarm=False,
    )  # fmt: skip
    control = WarmUpControl(kind="warm_up", beta=1.0, share=0.3)
    training = Training.start(model, train, control)
    for _ in fit(training, train, ElboObjective(kind="elbo"), batches, valid, seed):
        pass
    model.load_state_dict(training.weights(train))
    model.scaling = scaling
    return model.eval()
