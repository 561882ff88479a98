"""The same network in the usual script: python script.py RECIPE DATA STEPS.

TensorDataset of float32 in memory, DataLoader, Adam, binary cross-entropy of probabilities (or the Gaussian's
negative log-likelihood), loss.item() a step. A unit is so many steps (0: an epoch).
"""

import itertools
import sys
from pathlib import Path

import torch
from protocol import serve
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe

torch.set_num_threads(1)
recipe, prepared, steps = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2])), int(sys.argv[3])
torch.manual_seed(0)
model = build(recipe.model, prepared.spec)
if hasattr(model.decoder, "start"):
    model.decoder.output.__class__ = nn.Conv2d  # torch's own, as a script has it
x = torch.from_numpy(prepared.train.x[:]).float() / prepared.spec.high
loader = DataLoader(TensorDataset(x), batch_size=recipe.train.batch, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=recipe.train.learning_rate)
likelihood = recipe.model.likelihood


def step(batch):
    h = model.encoder(batch, None)
    mean, log_variance = model.posterior.mean(h), model.posterior.log_variance(h)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    output = model.decoder(z).squeeze(1)
    if likelihood.kind == "bernoulli":
        distortion = nn.functional.binary_cross_entropy(torch.sigmoid(output), batch, reduction="sum")
    else:
        centre = torch.sigmoid(4 * output) if likelihood.mean == "sigmoid" else output
        log_scale = model.likelihood.log_scale
        away = (batch - centre) / log_scale.exp()
        distortion = ((away.abs() if likelihood.kind == "laplace" else 0.5 * away**2) + log_scale).sum()
    rate = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    loss = (distortion + rate) / len(batch)
    optimizer.zero_grad()
    loss.backward()
    if recipe.train.clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip)
    optimizer.step()
    return loss.item()


def endless():
    while True:
        for (batch,) in loader:
            yield step(batch)


losses = endless()
serve(lambda: sum(itertools.islice(losses, steps or len(loader))))
