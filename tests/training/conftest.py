"""Commands that train, for the tests that start them."""

import os
import sys

import pytest
import yaml
from tests.lanes import edited


@pytest.fixture
def command(lane, smoke, tmp_path):
    """Train on batches that two processes can't share evenly, for `epochs`."""

    def build(out, epochs=30, **settings):
        train = {"epochs": epochs, "batch": 63, "accumulate": 2, "ema": 0.99, "clip": 20.0, "schedule": "cosine"}
        recipe = tmp_path / "smoke.yaml"
        recipe.write_text(yaml.safe_dump(edited(smoke, train=train).model_dump(mode="json")))
        arguments = [
            sys.executable,
            "-m",
            "vae_pipeline",
            "train",
            recipe,
            "--data",
            lane.data,
            "--out",
            tmp_path / out,
        ]
        environment = {f"VAE_{name.upper()}": str(value) for name, value in settings.items()}
        return {"args": [str(argument) for argument in arguments], "env": {**os.environ, **environment}}

    return build
