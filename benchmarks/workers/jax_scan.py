"""The same network in JAX, a whole epoch compiled as one lax.scan: python jax_scan.py DATA."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from protocol import serve

data = jnp.asarray(np.load(f"{sys.argv[1]}/train.npy").reshape(-1, 784).astype("float32") / 255)
adam = optax.adam(1e-3)
widths = [("e1", 784, 128), ("e2", 128, 64), ("mean", 64, 2), ("log_variance", 64, 2)]
widths += [("d1", 2, 64), ("d2", 64, 128), ("out", 128, 784)]
glorot = jax.nn.initializers.glorot_uniform()
keys = jax.random.split(jax.random.key(0), len(widths))
weights = {name: (glorot(key, (a, b)), jnp.zeros(b)) for key, (name, a, b) in zip(keys, widths, strict=True)}


def loss_of(weights, x, key):
    linear = lambda name, h: h @ weights[name][0] + weights[name][1]  # noqa: E731
    h = jax.nn.relu(linear("e2", jax.nn.relu(linear("e1", x))))
    mean, log_variance = linear("mean", h), linear("log_variance", h)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    logits = linear("out", jax.nn.relu(linear("d2", jax.nn.relu(linear("d1", z)))))
    distortion = jnp.sum(jax.nn.softplus(logits) - x * logits, -1)
    rate = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1)
    return jnp.mean(distortion + rate)


@jax.jit
def epoch(weights, state, key):
    order, noise = jax.random.split(key)
    rows = jax.random.permutation(order, len(data))[: len(data) // 128 * 128].reshape(-1, 128)

    def step(carry, given):
        weights, state = carry
        index, key = given
        loss, gradient = jax.value_and_grad(loss_of)(weights, data[index], key)
        updates, state = adam.update(gradient, state, weights)
        return (optax.apply_updates(weights, updates), state), loss

    return jax.lax.scan(step, (weights, state), (rows, jax.random.split(noise, len(rows))))


state, key = adam.init(weights), jax.random.key(1)


def unit():
    global weights, state, key
    key, now = jax.random.split(key)
    (weights, state), losses = epoch(weights, state, now)
    losses.block_until_ready()


serve(unit)
