"""The same network in pythae, by its own trainer, an epoch a unit: python pythae_epochs.py DATA."""

import sys
import tempfile

import numpy as np
import torch
from protocol import serve
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import nn

torch.set_num_threads(1)


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(64, 2), nn.Linear(64, 2)

    def forward(self, x):
        h = self.body(x.reshape(len(x), -1))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        layers = [nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)

    def forward(self, z):
        return ModelOutput(reconstruction=self.body(z).reshape(-1, 1, 28, 28))


x = torch.from_numpy(np.load(f"{sys.argv[1]}/train.npy").astype("float32") / 255)
config = VAEConfig(input_dim=(1, 28, 28), latent_dim=2, reconstruction_loss="bce")
model = VAE(config, encoder=Encoder(), decoder=Decoder())
settings = BaseTrainerConfig(
    output_dir=tempfile.mkdtemp(), per_device_train_batch_size=128, learning_rate=1e-3, num_epochs=1, no_cuda=True
)
trainer = BaseTrainer(model=model, train_dataset=BaseDataset(x, torch.zeros(len(x))), training_config=settings)
trainer.prepare_training()
serve(lambda: trainer.train_step(epoch=1))
