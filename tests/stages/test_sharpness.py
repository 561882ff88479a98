"""A recipe with sharpness through all stages: recorded, and said wherever its figures are."""

import io
import json

import numpy as np
import pytest
import yaml
from rich.console import Console
from tests.lanes import WAIVED, edited, make_job, run_lane
from tests.training.sharpness.test_terms import ADVERSARIAL, PERCEPTUAL, sharp

from vae_pipeline.stages.summary import print_summary
from vae_pipeline.training.trained import SHARPNESS, Trained


@pytest.mark.slow
def test_it_is_said_that_the_model_is_not_trained_by_the_elbo_alone(smoke, tmp_path):
    recipe = edited(sharp(smoke, epochs=3), evaluate={"samples": 10, **WAIVED})
    lane = run_lane(make_job("sharp", recipe, tmp_path / "home"), tmp_path / "reports" / "sharp")
    trained = Trained.load(lane.model)
    kept = yaml.safe_load((lane.model / "recipe.yaml").read_text())["train"]["sharpness"]
    assert len(kept["perceptual"].pop("sha256")) == 64
    assert kept == {"perceptual": PERCEPTUAL, "adversarial": ADVERSARIAL}
    header = (lane.model / "history.csv").read_text().splitlines()[0].split(",")
    assert header[-6:] == [*SHARPNESS, "kept"]
    assert trained.history[0]["adversarial"] is None and trained.history[-1]["adversarial"] is not None
    assert all(np.isfinite(trained.history[-1][name]) for name in SHARPNESS)

    metrics = json.loads((lane.report / "metrics.json").read_text())
    assert metrics["trained_for"] == "elbo + perceptual + adversarial"
    assert {name: metrics[name] for name in SHARPNESS} == {name: trained.history[-1][name] for name in SHARPNESS}
    page, card = (lane.report / "index.html").read_text(), (lane.bundle / "MODEL_CARD.md").read_text()
    for text in (page, card):
        assert "It was not trained by the ELBO alone: the decoder followed a perceptual distance (weight 0.8)" in text
        assert "elbo + perceptual + adversarial" in text and "discriminator's loss" in text
    assert "Loss of the discriminator" in page

    said = io.StringIO()
    print_summary(Console(file=said, width=300), lane.report.parent, tmp_path / "exports")
    assert "trained for" in said.getvalue() and "elbo + perceptual + adversarial" in said.getvalue()
