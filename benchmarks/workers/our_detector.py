"""The pipeline's model of a table as a detector: one recipe for every table, whatever its size."""

import math
from pathlib import Path

import numpy as np
import torch

from vae_pipeline.data.store import Split
from vae_pipeline.data.table_store import fit_column
from vae_pipeline.metrics.detection import anomaly_score
from vae_pipeline.models.build import build
from vae_pipeline.randomness import derive
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.model import MixturePrior
from vae_pipeline.spec import Column, TableSpec
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

RECIPE = Path(__file__).parents[2] / "pipeline" / "tumours.yaml"
COMPONENTS, STEPS, BATCH, EPOCH, VALID = 16, 2400, 256, 40, 0.1
CPU = torch.device("cpu")


class Detector:
    def __init__(self, seed):
        self.seed = seed

    def fit(self, rows):
        recipe, rows = Recipe.load(RECIPE), np.asarray(rows, np.float32)
        plain = [Column(f"x{index}", "number", False, ()) for index in range(rows.shape[1])]
        columns = [fit_column(column, rows[:, index], recipe.data.scaling) for index, column in enumerate(plain)]
        rows = np.random.default_rng(self.seed).permutation(rows)
        held_back = max(1, int(VALID * len(rows)))
        valid, rows = Split(rows[:held_back], None), rows[held_back:]
        # A small table is repeated, so that an epoch, after which the model is validated, has EPOCH steps or more.
        rows = np.tile(rows, (math.ceil(EPOCH * BATCH / len(rows)), 1))
        torch.manual_seed(derive(self.seed, "weights"))
        prior = MixturePrior(kind="mixture", components=COMPONENTS)
        self.model = build(recipe.model.model_copy(update={"prior": prior}), TableSpec(tuple(columns), ()))
        batches = Batches(Split(rows, None), BATCH, self.seed, CPU, labelled=False)
        epochs = math.ceil(STEPS / len(batches))
        train = recipe.train.model_copy(update={"batch": BATCH, "epochs": epochs, "keep": "best"})
        training = Training.start(self.model, train, recipe.rate_control)
        for _ in fit(training, train, recipe.objective, batches, valid, self.seed):
            pass
        self.model.load_state_dict(training.weights(train))
        return self

    def decision_function(self, rows):
        return anomaly_score(self.model, Split(np.asarray(rows, np.float32), None), CPU)
