"""The beginner's Keras program, an epoch of `fit` a unit: python keras_fit.py DATA."""

import sys

import keras
import numpy as np
from keras_program import VAE
from protocol import serve

keras.utils.set_random_seed(0)
train = np.load(f"{sys.argv[1]}/train.npy").reshape(-1, 784).astype("float32") / 255
model = VAE(0)
model.compile(optimizer="adam")
serve(lambda: model.fit(train, epochs=1, batch_size=128, verbose=0))
