"""The audit of a model of images: a generator that remembers breaks its gates, an honest one keeps them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vae_pipeline.evaluation.gates import breaches
from vae_pipeline.evaluation.image_privacy import describe
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.features import Reference, ReferenceClassifier
from vae_pipeline.metrics.image_privacy import audit
from vae_pipeline.models.build import build
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.recipe.evaluate import Gate
from vae_pipeline.recipe.figures import figures_of
from vae_pipeline.training.trained import Trained

GATES = {f"membership_auc_{by}": Gate(max=0.7) for by in ("in_pixels", "by_loss")}
SPEC = ImageSpec((1, 8, 8), "float32", 0, 1, binary=False)


def noise(count, seed):
    """Images that have nothing in common, so that to know one is to remember it."""
    return Split(np.random.default_rng(seed).random((count, *SPEC.shape)).astype(np.float32), None)


@pytest.fixture(scope="module")
def untrained():
    """Random features."""
    torch.manual_seed(0)
    return Reference(ReferenceClassifier(Scaling(0, 1), SPEC.shape, 2), "", 0.0, "mirrorings")


@pytest.fixture(scope="module")
def remembering(smoke):
    """A model of 40 images that was trained on them again and again, at next to no rate's cost."""
    torch.manual_seed(0)
    values = smoke.model.model_dump(mode="json")
    values["posterior"]["latents"] = 6
    values["likelihood"] = {"kind": "gaussian", "scale": "learned", "mean": "sigmoid"}
    model = build(type(smoke.model).model_validate(values), SPEC)
    train = noise(40, 0)
    x = torch.from_numpy(train.x)
    steps = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(300):
        inference = model(x, x)
        loss = (inference.distortion() + 0.01 * inference.rate()).mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
    return model, Prepared(Path(), SPEC, train, noise(0, 1), noise(40, 2), {})


def test_a_generator_that_remembers_breaks_its_gates(remembering, untrained):
    found = audit(*remembering, untrained, 0)
    assert found["audited_images"] == 40 and found["membership_auc_by_loss_low"] > 0.9
    assert set(breaches(found, GATES)) == set(GATES)


def test_an_honest_one_keeps_them_and_shows_what_is_nearest(lane, tmp_path):
    trained, prepared = Trained.load(lane.model), Prepared.open(lane.data)
    found = describe(trained.model, prepared, prepared.spec, 0, lane.data.parent / "home", tmp_path)
    assert breaches(found, GATES) == {}
    assert (tmp_path / "closest_in_pixels.png").exists()
    told = found.keys() | found["left_out"].keys()
    assert {figure.key for figure in figures_of("privacy")} <= told
    assert all("takes 1,000 held-out images" in reason for reason in found["left_out"].values())


def test_pairs_are_shown_where_test_images_are_too_few_to_say_how_near_is_usual(
    remembering, untrained, tmp_path, monkeypatch
):
    model, prepared = remembering
    monkeypatch.setattr("vae_pipeline.evaluation.image_privacy.reference", lambda *_: untrained)
    monkeypatch.setattr("vae_pipeline.evaluation.image_privacy.normal_part", lambda prepared: prepared.test)
    found = describe(model, prepared, SPEC, 0, tmp_path, tmp_path)
    assert "40 test images are too few to say how near" in found["left_out"]["half_as_far_in_pixels"]
    assert "half_as_far_in_pixels" not in found and (tmp_path / "closest_in_pixels.png").exists()


def test_too_few_images_are_told(remembering, untrained):
    model, prepared = remembering
    few = Prepared(prepared.folder, SPEC, prepared.train, prepared.valid, noise(29, 1), {})
    found = audit(model, few, untrained, 0)
    assert found.keys() == {"left_out"} and "29 training or test images" in found["left_out"]["membership_auc_by_loss"]
    assert "is left out: 29" in breaches(found, GATES)["membership_auc_by_loss"]
