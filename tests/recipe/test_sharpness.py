"""The section `sharpness`: what it goes with, and that recipes without it are stored as they were."""

import pytest

from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.reading import parse

ADVERSARIAL = {"weight": 0.5, "start": 0.25, "learning_rate": 0.001, "channels": [32, 64], "samples": True}
SPECTRAL = {"weight": 1.0, "features": "spectral"}
SHARP = {"perceptual": {"weight": 1.0, "features": "trained"}, "adversarial": ADVERSARIAL}


def given(root, name="smoke", sharpness=None, **sections):
    values = Recipe.load(root / "pipeline" / f"{name}.yaml").model_dump(mode="json")
    values["train"]["sharpness"] = sharpness or SHARP
    changed = {section: {**values[section], **fields} for section, fields in sections.items()}
    return parse(Recipe, {**values, **changed}, root / "given.yaml")


def test_it_is_stored_where_there_is_one(root):
    recipe = given(root, train={"keep": "last"})
    assert recipe.model_dump(mode="json")["train"]["sharpness"]["adversarial"] == ADVERSARIAL
    assert recipe.train.sharpness.told == (
        "It was not trained by the ELBO alone: the decoder followed a perceptual distance (weight 1) and a "
        "discriminator (weight 0.5 from 25% of the steps on) too."
    )
    without = Recipe.load(root / "pipeline" / "smoke.yaml")
    values = without.model_dump(mode="json")
    assert "sharpness" not in values["train"]
    values["train"]["sharpness"] = None
    assert Recipe.model_validate(values) == without


@pytest.mark.parametrize(
    ("name", "sharpness", "sections", "message"),
    [
        ("smoke", {"perceptual": None, "adversarial": None}, {}, "sharpness has neither term: give perceptual or"),
        ("smoke", SHARP, {"train": {"keep": "best"}}, "keep: best and patience would choose an epoch before: set"),
        ("smoke", SHARP, {"train": {"keep": "last", "patience": 3}}, "set train.keep: last and train.patience: null"),
        ("tumours", {**SHARP, "adversarial": None}, {}, "train.sharpness is for images, and data.kind is tumours"),
        ("sentences", {**SHARP, "adversarial": None}, {}, "train.sharpness is for images, and data.kind is"),
        ("smoke", {**SHARP, "perceptual": SPECTRAL, "adversarial": None}, {}, "spectral compares waveforms"),
        ("tones", {**SHARP, "perceptual": SPECTRAL, "adversarial": None}, {}, "with model.view.kind waveform"),
        ("tones", {**SHARP, "adversarial": None}, {}, "sound takes perceptual.features spectral"),
        ("smoke", {**SHARP, "adversarial": None}, {"objective": {"kind": "trimmed", "share": 0.1}}, "leaves out"),
        ("smoke", {**SHARP, "adversarial": {**ADVERSARIAL, "start": 1.0}}, {}, "sharpness.adversarial.start"),
        ("smoke", {**SHARP, "adversarial": {**ADVERSARIAL, "weight": 0}}, {}, "sharpness.adversarial.weight"),
        ("smoke", {**SHARP, "perceptual": {"weight": 1.0, "features": "trained", "sha256": "1"}}, {}, "sha256"),
    ],
)  # fmt: skip
def test_what_doesnt_go_with_it_is_refused_in_one_line(name, sharpness, sections, message, root):
    with pytest.raises(RecipeError, match=message) as raised:
        given(root, name, sharpness, **sections)
    assert "\n" not in str(raised.value)


def test_without_a_discriminator_the_best_epoch_may_be_kept(root):
    assert given(root, sharpness={**SHARP, "adversarial": None}, train={"patience": 2}).train.keep == "best"
