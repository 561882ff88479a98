"""The spread of a map's numbers, beside that of draws."""

import numpy as np
import torch
from tests.contracts.test_models import batch, make

from vae_pipeline.evaluation.report.latent_map import by_channel, scale_of
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics import usage
from vae_pipeline.metrics.aggregate import FEWER, aggregate, lower_bound
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.metrics.latent_map import latent_map
from vae_pipeline.models.detector import MEMBERS
from vae_pipeline.recipe.detection import DetectionSection

CPU = torch.device("cpu")


def model_of_maps():
    return make("residual", "residual", "gaussian_learned", False, (3, 7, 10), "spatial_gaussian")


def images(count):
    return Split(batch((3, 7, 10), count)[0].numpy(), None)


def test_the_spread_is_that_of_draws():
    model = model_of_maps()
    with torch.no_grad():
        model.posterior.moments.bias.copy_(torch.tensor([0.0, 1.0, -2.0, 0.0, 1.0, -3.0]))
    shown = images(40)
    x, found = torch.from_numpy(shown.x), latent_map(model, shown, 0, CPU)
    with torch.no_grad():
        z = model.eval().encode(x).drawn((2000,)).z.unflatten(-1, model.latent_shape)
    draws = z.movedim(-3, 0).flatten(1).double()
    np.testing.assert_allclose(found["mean"], draws.mean(1), atol=0.01)
    np.testing.assert_allclose(found["deviation"], draws.std(1), rtol=0.01)
    assert np.ptp(found["deviation"]) > 0.5
    assert (found["channels"], found["factor"], found["images"]) == (3, 2, 40)
    assert (found["encoder_radius"], found["decoder_radius"]) == (model.encoder.radius, model.decoder.radius)


def test_what_compares_all_pairs_of_examples_or_latents_has_a_bound_for_maps(monkeypatch):
    model, shown = model_of_maps(), images(FEWER + 20)
    monkeypatch.setattr(usage, "PAIRED", 16)
    whole = usage.usage(model, shown, 0, CPU)
    assert whole.mutual_information <= np.log(16) + 1e-6
    assert len(aggregate(model, shown, 0, CPU).z) == FEWER
    assert lower_bound(model, shown, shown, 0) is None
    few = images(60)
    detector = calibrated(model, DetectionSection(score="rank_ensemble", draws=2, collected=None), few, few, CPU)
    scores, _ = detector.scores(torch.from_numpy(few.x))
    assert "mahalanobis" not in scores and scores.keys() >= set(MEMBERS) and not len(detector.whitening)
    vector = make("dense", "dense", "gaussian_learned", False, (3, 7, 10))
    assert len(aggregate(vector, shown, 0, CPU).z) == FEWER + 20 and lower_bound(vector, shown, shown, 0) is not None


def test_the_report_says_the_scale_of_each_channel_and_of_all():
    told = {
        "channels": 2, "factor": 4, "encoder_radius": 9, "decoder_radius": None,
        "mean": [0.0, 0.0], "deviation": [4.0, 2.0], "images": 1234,
    }  # fmt: skip
    page = scale_of(told)
    assert "0.25" in page and "1,234 training images" in page and f"{1 / np.sqrt(10):.3f}" in page
    assert by_channel([1.0, 2.0, 3.0, 4.0], [False, True, False, False], told) == ([3.0, 7.0], [True, False])
