from types import SimpleNamespace

import numpy as np
import pytest
from tests.contracts.test_models import SPECTROGRAM, heard

from vae_pipeline.evaluation import audio
from vae_pipeline.kinds.audio.drawn_tones import draw_tones
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import DrawnTonesData
from vae_pipeline.recipe.figures import keys


@pytest.mark.slow
def test_a_model_of_sound_is_measured_shown_and_heard(tmp_path):
    data = DrawnTonesData(kind="drawn_tones", examples=300, rate_hz=2000, seconds=0.1, valid=0.1, test=0.4)
    source = draw_tones(data, 0)
    write(source, tmp_path, 0)
    prepared = Prepared.open(tmp_path)
    model = heard(SPECTROGRAM | {"griffin_lim": 1}, "gru", "gaussian_learned", True, source.spec).eval()
    shown = tmp_path / "plots"
    shown.mkdir()
    figures = audio.describe(Trained(model), prepared, source.spec, 0, tmp_path, shown)
    assert figures.keys() - keys() == {"features_sha256"}
    assert figures["feature_accuracy"] > 0.8 and figures["frechet_samples"] > figures["frechet_floor"]
    assert 0 <= figures["sample_accuracy"] <= 0.6  # of a model that learned nothing
    assert {path.stem.split("_")[0] for path in shown.glob("*.wav")} == {"reconstructions", "samples", "path"}
    assert all(np.isfinite(value) for value in figures.values() if isinstance(value, float))


class Trained:
    """A model with the recipe and the history that its figures ask for."""

    recipe = SimpleNamespace(train=SimpleNamespace(sharpness=None))
    history, kept_epoch = (None,), 1

    def __init__(self, model):
        self.model = model
