"""The beginner's program, made to run with Keras 3: same layers, loss, optimiser, batch and epochs.

Runs in its own environment: python keras_program.py PREPARED_FOLDER SEED -> one line of JSON.
Its loss is what the guide's add_loss says: binary cross-entropy times 784 plus KL, averaged over the batch.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


class VAE(keras.Model):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.noise = keras.random.SeedGenerator(seed)
        x = keras.Input((784,))
        h = layers.Dense(64, activation="relu")(layers.Dense(128, activation="relu")(x))
        self.encoder = keras.Model(x, [layers.Dense(2)(h), layers.Dense(2)(h)])
        z = keras.Input((2,))
        h = layers.Dense(128, activation="relu")(layers.Dense(64, activation="relu")(z))
        self.decoder = keras.Model(z, layers.Dense(784, activation="sigmoid")(h))

    def terms(self, x):
        mean, log_variance = self.encoder(x)
        z = mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.noise)
        distortion = 784 * keras.losses.binary_crossentropy(x, self.decoder(z))
        rate = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)
        return distortion, rate

    def train_step(self, data):
        with tf.GradientTape() as tape:
            distortion, rate = self.terms(data)
            loss = ops.mean(distortion + rate)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return {"loss": loss}


def main(folder: str, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    train = np.load(f"{folder}/train.npy").reshape(-1, 784).astype("float32") / 255
    test = np.load(f"{folder}/test.npy").reshape(-1, 784).astype("float32") / 255
    model = VAE(seed)
    model.compile(optimizer="adam")
    started = time.perf_counter()
    model.fit(train, epochs=10, batch_size=128, verbose=0)
    seconds = time.perf_counter() - started
    distortion, rate = model.terms(test)
    negative_elbo = np.asarray(distortion + rate, "float64")
    print(json.dumps({"negative_elbo": float(negative_elbo.mean()), "rate": float(np.mean(rate)), "train_s": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
