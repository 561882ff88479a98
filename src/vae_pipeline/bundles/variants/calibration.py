"""Inputs for a graph's activations to be looked at: real rows, and latents and noise as they are met in use."""

import numpy as np

from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.runtime.bundle import Array, Bundle

BATCH = 64


def calibration(bundle: Bundle, graph: str, x: Array, labels: Array | None) -> list[Arrays]:
    """Batches of a graph's inputs from prepared rows: `z` is drawn from their posteriors, noise from N(0, 1)."""
    described = bundle.manifest.graphs[graph].inputs
    inputs: Arrays = {}
    for name, value in described.items():
        match name:
            case "x":
                inputs[name] = x
            case "z":
                posterior = bundle.encode(bundle.spec.natural(x), labels)
                inputs[name] = posterior.mean + np.exp(posterior.log_variance / 2) * _noise(len(x), bundle.latents)
            case "noise":
                inputs[name] = _noise(len(x), value.event[0])
            case "label":
                assert labels is not None  # a bundle with labels is of data with labels
                inputs[name] = labels
            case _:
                raise AssertionError(name)
    return [{name: value[at : at + BATCH] for name, value in inputs.items()} for at in range(0, len(x), BATCH)]


def _noise(rows: int, width: int) -> Array:
    return np.random.default_rng(0).standard_normal((rows, width)).astype(np.float32)
