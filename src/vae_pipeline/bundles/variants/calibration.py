"""Inputs for a graph's activations to be looked at: real rows, and latents and noise as they are met in use."""

import numpy as np

from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.runtime.bundle import Array, Bundle
from vae_pipeline.runtime.signatures import MAPS

BATCH = 64


def calibration(bundle: Bundle, graph: str, x: Array, labels: Array | None) -> list[Arrays]:
    """Batches of a graph's inputs from prepared rows: `z` is drawn from their posteriors, noise from N(0, 1)."""
    described = bundle.manifest.graphs[graph].inputs
    inputs: Arrays = {}
    for name, value in described.items():
        match name:
            case "x":
                inputs[name] = x if bundle.latent_map is None or graph not in MAPS else bundle.latent_map.padded(x)
            case "z":
                infer = bundle.encode_map if graph in MAPS else bundle.encode
                posterior = infer(bundle.spec.natural(x), labels)
                inputs[name] = posterior.mean + np.exp(posterior.log_variance / 2) * _noise(posterior.mean.shape)
            case "noise":
                inputs[name] = _noise((len(x), int(value.event[0])))
            case "label":
                assert labels is not None  # a bundle with labels is of data with labels
                inputs[name] = labels
            case _:
                raise AssertionError(name)
    return [{name: value[at : at + BATCH] for name, value in inputs.items()} for at in range(0, len(x), BATCH)]


def _noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
