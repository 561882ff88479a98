"""A recipe's networks trained by a loop of plain torch: python plain_loop.py RECIPE DATA OUT IMAGES SAMPLES.

The layers are built from the recipe; the learning rates, the rising weight of the rate and the average of the weights
are what the recipe asks for, by torch's own classes. Writes OUT/bounds.npy, the importance bound of each of IMAGES test
images.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from importance import importance_bound, some
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe

torch.set_num_threads(1)
recipe, prepared, out = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2])), Path(sys.argv[3])
torch.manual_seed(0)
layers = build(recipe.model, prepared.spec)
encoder, posterior, decoder = layers.encoder, layers.posterior, layers.decoder
x = torch.from_numpy(prepared.train.x[:]).float()
loader = DataLoader(TensorDataset(x), batch_size=recipe.train.batch, shuffle=True, drop_last=False)
steps = recipe.train.epochs * len(loader)
optimizer = torch.optim.Adam(layers.parameters(), lr=recipe.train.learning_rate)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, recipe.train.learning_rate, total_steps=steps, pct_start=0.3, cycle_momentum=False, final_div_factor=1e6
)
average = AveragedModel(layers, multi_avg_fn=get_ema_multi_avg_fn(recipe.train.ema))
began, step = time.process_time(), 0
for _ in range(recipe.train.epochs):
    for (batch,) in loader:
        q = posterior(encoder(batch, None))
        mean, log_variance = q.mean, q.log_variance
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = decoder(z).reshape(batch.shape)
        distortion = nn.functional.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        rate = -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp())
        beta = recipe.rate_control.beta * min(1.0, step / (recipe.rate_control.share * steps))
        optimizer.zero_grad()
        ((distortion + beta * rate) / len(batch)).backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(layers)
        step += 1
told = {"cpu": time.process_time() - began}
kept = average.module.eval()


def encode(image):
    q = kept.posterior(kept.encoder(image.reshape(-1, 1, 28, 28), None))
    return q.mean, q.log_variance


shown = some(prepared.test.x, int(sys.argv[4]))
bound = importance_bound(encode, lambda z: kept.decoder(z).flatten(1), shown, int(sys.argv[5]))
np.save(out / "bounds.npy", bound.numpy())
print(json.dumps(told))
