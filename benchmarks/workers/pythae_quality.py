"""A recipe's networks trained by pythae: python pythae_quality.py RECIPE DATA OUT IMAGES SAMPLES.

The layers are built from the recipe, so that they are the same; loss, optimiser's settings, loop and samplers are
pythae's own. Writes OUT/bounds.npy, the importance bound of IMAGES test images or, of none, OUT/prior.npy and
OUT/mixture.npy, 10,000 new images each.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from importance import importance_bound, some
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe

torch.set_num_threads(1)
recipe, prepared, out = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2])), Path(sys.argv[3])
images, samples = int(sys.argv[4]), int(sys.argv[5])
torch.manual_seed(0)
layers = build(recipe.model, prepared.spec)


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.encoder, self.posterior = layers.encoder, layers.posterior

    def forward(self, x):
        q = self.posterior(self.encoder(x, None))
        return ModelOutput(embedding=q.mean, log_covariance=q.log_variance)


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.decoder, self.likelihood = layers.decoder, layers.likelihood

    def forward(self, z):
        return ModelOutput(reconstruction=self.likelihood(self.decoder(z)).mean)


def scaled(part):
    return torch.from_numpy(part.x[:]).float() / prepared.spec.high


bernoulli = recipe.model.likelihood.kind == "bernoulli"
config = VAEConfig(
    input_dim=prepared.spec.event_shape,
    latent_dim=recipe.model.posterior.latents,
    reconstruction_loss="bce" if bernoulli else "mse",
)
model = VAE(config, encoder=Encoder(), decoder=Decoder())
passes = math.ceil(len(prepared.train) / recipe.train.batch)  # batches in one
settings = BaseTrainerConfig(
    output_dir=tempfile.mkdtemp(),
    per_device_train_batch_size=recipe.train.batch,
    learning_rate=1e-3,
    num_epochs=recipe.train.epochs or round(recipe.train.steps / passes),
    no_cuda=True,
)
train = scaled(prepared.train)
trainer = BaseTrainer(model=model, train_dataset=BaseDataset(train, torch.zeros(len(train))), training_config=settings)
began = time.process_time()
trainer.train()
told = {"cpu": time.process_time() - began}
model.eval()
if images:

    def encode(image):
        answer = model.encoder(image.reshape(-1, 1, 28, 28))
        return answer.embedding, answer.log_covariance

    x = some(prepared.test.x, images)
    bound = importance_bound(encode, lambda z: layers.decoder(z).flatten(1), x, samples)
    np.save(out / "bounds.npy", bound.numpy())
else:
    mixture = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    mixture.fit(train)
    for name, sampler in {"prior": NormalSampler(model), "mixture": mixture}.items():
        drawn = sampler.sample(num_samples=10_000, batch_size=500, output_dir=None, return_gen=True)
        np.save(out / f"{name}.npy", drawn.clamp(0, 1).reshape(-1, *prepared.spec.event_shape).numpy())
print(json.dumps(told))
