"""A command that trains, for the tests that start processes of their own."""

import os
import sys

import yaml
from tests.lanes import edited


def train_command(lane, smoke, folder, out, epochs=30, batch=63, **settings):
    """Train for `epochs` into a folder's `out`; two processes can't share batches of 63 evenly."""
    train = {"epochs": epochs, "batch": batch, "accumulate": 2, "ema": 0.99, "clip": 20.0, "schedule": "cosine"}
    recipe = folder / "smoke.yaml"
    recipe.write_text(yaml.safe_dump(edited(smoke, train=train).model_dump(mode="json")))
    program = [sys.executable, "-m", "vae_pipeline", "train"]
    environment = {f"VAE_{name.upper()}": str(value) for name, value in settings.items()}
    return {
        "args": [*program, *(str(word) for word in (recipe, "--data", lane.data, "--out", folder / out))],
        "env": {**os.environ, **environment},
    }
