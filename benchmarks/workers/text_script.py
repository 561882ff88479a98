"""The recurrent VAE of the recipe ptb in the usual script: python text_script.py RECIPE DATA STEPS.

Shuffled batches padded to their longest sentence, nn.LSTM over packed sequences, one linear layer to the whole
vocabulary and cross_entropy, Adam, loss.item() a step. A unit is so many steps.
"""

import itertools
import sys
from pathlib import Path

import torch
from protocol import serve
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe import Recipe

torch.set_num_threads(1)
recipe, prepared, steps = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2])), int(sys.argv[3])
model, vocabulary = recipe.model, prepared.spec.vocabulary
torch.manual_seed(0)


class Script(nn.Module):
    def __init__(self):
        super().__init__()
        latents, width, embedding = model.posterior.latents, model.decoder.width, model.decoder.embedding
        self.embedding, self.output = nn.Embedding(vocabulary, embedding), nn.Linear(width, vocabulary)
        self.encoder = nn.LSTM(embedding, model.encoder.width, batch_first=True)
        self.mean, self.log_variance = (nn.Linear(model.encoder.width, latents) for _ in range(2))
        self.start = nn.Linear(latents, 2 * width)
        self.decoder = nn.LSTM(embedding + latents, width, batch_first=True)
        self.drop = nn.Dropout(model.decoder.dropout)

    def forward(self, x):
        lengths = (x != 0).sum(1)
        _, (h, _) = self.encoder(pack_padded_sequence(self.embedding(x), lengths, True, enforce_sorted=False))
        mean, log_variance = self.mean(h[0]), self.log_variance(h[0])
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        given = torch.cat([torch.ones_like(x[:, :1]), x[:, :-1]], 1)
        inputs = torch.cat([self.drop(self.embedding(given)), z[:, None].expand(-1, x.shape[1], -1)], -1)
        state = tuple(part.contiguous()[None] for part in self.start(z).tanh().chunk(2, -1))
        logits = self.output(self.drop(self.decoder(inputs, state)[0]))
        distortion = nn.functional.cross_entropy(logits.flatten(0, 1), x.flatten(), ignore_index=0, reduction="sum")
        rate = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return (distortion + rate) / len(x)


script = Script()
loader = DataLoader(TensorDataset(torch.from_numpy(prepared.train.x[:]).long()), recipe.train.batch, shuffle=True)
optimizer = torch.optim.Adam(script.parameters(), lr=recipe.train.learning_rate)


def step(x):
    loss = script(x[:, : int((x != 0).sum(1).max())])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(script.parameters(), recipe.train.clip)
    optimizer.step()
    return loss.item()


def endless():
    while True:
        for (x,) in loader:
            yield step(x)


losses = endless()
serve(lambda: sum(itertools.islice(losses, steps)))
