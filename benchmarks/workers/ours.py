"""The pipeline's own loop on a recipe: python ours.py RECIPE DATA STEPS [streamed].

A unit is so many steps (0: an epoch); `streamed` leaves the data on the disk.
"""

import itertools
import sys
from pathlib import Path

import torch
from protocol import serve

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.numerics.device import flushing
from vae_pipeline.recipe import Recipe
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

torch.set_num_threads(1)
recipe, prepared, steps = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2])), int(sys.argv[3])
train = recipe.train.model_copy(update={"epochs": 10**6, "steps": None, "keep": "last", "patience": None})
torch.manual_seed(0)
training = Training.start(build(recipe.model, prepared.spec), train, recipe.rate_control)
resident = {"resident": 0} if sys.argv[4:] == ["streamed"] else {}
batches = Batches(prepared.train, train.batch, 0, torch.device("cpu"), labelled=False, **resident)
no_validation = type(prepared.valid)(prepared.valid.x[:0], None)
loop = fit(training, train, recipe.objective, batches, no_validation, 0)

with flushing():
    serve(lambda: list(itertools.islice(loop, steps or len(batches))))
