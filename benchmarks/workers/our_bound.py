"""A trained model's importance bound by the plain code: python our_bound.py MODEL DATA IMAGES SAMPLES OUT, an .npy."""

import sys
from pathlib import Path

import numpy as np
import torch
from importance import importance_bound, some

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.training.trained import Trained

torch.set_num_threads(1)
model = Trained.load(Path(sys.argv[1])).model.eval()
x = some(Prepared.open(Path(sys.argv[2])).test.x, int(sys.argv[3]))


def encode(image):
    posterior = model.encode(image.reshape(-1, 1, 28, 28))
    return posterior.mean, posterior.log_variance


bound = importance_bound(encode, lambda z: model.decoder(z).flatten(1), x, int(sys.argv[4]))
np.save(sys.argv[5], bound.numpy())
