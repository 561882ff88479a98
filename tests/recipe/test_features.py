"""What goes with a view of features, and what doesn't."""

import pytest
from tests.lanes import edited

LIKELIHOOD = {"kind": "gaussian", "scale": "learned", "mean": "linear"}
FEATURES = {"view": {"kind": "hog", "cell": 4}, "likelihood": LIKELIHOOD}
RESIDUAL = {"kind": "residual", "channels": [4, 4], "blocks": 1, "activation": "silu", "normalisation": "group"}
MAP = {"encoder": RESIDUAL, "decoder": RESIDUAL, "posterior": {"kind": "spatial_gaussian", "channels": 2}}


def test_a_view_that_isnt_given_isnt_stored(smoke):
    assert "view" not in smoke.model.model_dump() and "shortcut" not in smoke.model.encoder.model_dump()
    stored = edited(smoke, model=FEATURES).model.model_dump(mode="json")
    assert stored["view"] == {"kind": "hog", "cell": 4, "block": 2, "orientations": 9}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"likelihood": {"kind": "bernoulli"}}}, "model.likelihood is of kind bernoulli: take gaussian"),
        ({"model": {"likelihood": LIKELIHOOD | {"mean": "sigmoid"}}}, "of kind gaussian, mean sigmoid: take"),
        ({"model": {"prior": {"kind": "vamp", "components": 3}}}, "a vamp prior learns values on"),
        ({"model": MAP}, "features of images of one size, and a posterior of kind spatial_gaussian"),
        ({"model": {"view": {"kind": "waveform"}}}, "model.view.kind waveform is of sound, and the data are"),
        ({"model": {"view": {"kind": "hog"}}}, "cell"),
        ({"model": {"view": {"kind": "hog", "cell": 4, "orientations": 1}}}, "greater than or equal to 2"),
        ({"export": {"draws": True}}, "export.draws is of images, and model.view.kind hog sees features, of which"),
        ({"evaluate": {"gates": {"psnr": {"min": 20}}}}, "evaluate.gates.psnr: it is of images that a model makes"),
        ({"train": {"start": {"kind": "diffusers", "folder": "x", "part": "whole"}}}, "train.start is of an autoenc"),
    ],
)
def test_what_needs_images_is_refused(sections, message, smoke):
    with pytest.raises(ValueError, match=message):
        edited(edited(smoke, model=FEATURES), **sections)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sampler": "auto"}, "of which no image can be made, and sampler: auto compares images"),
        ({"rate_control": {"kind": "target_distortion", "nats": None, "psnr": 20}}, r"rate_control\.psnr is of images"),
    ],
)
def test_what_compares_images_is_refused(section, message, smoke):
    values = edited(smoke, model=FEATURES, train={"keep": "last"}).model_dump(mode="json")
    with pytest.raises(ValueError, match=message):
        type(smoke).model_validate(values | section)


def test_other_data_have_other_views(root, smoke):
    for name, kind in (("tumours", "table"), ("tones", "sound")):
        recipe = type(smoke).load(root / "pipeline" / f"{name}.yaml")
        with pytest.raises(ValueError, match=rf"model.view.kind hog is of images.* {kind}"):
            edited(recipe, model={"view": {"kind": "hog", "cell": 4}})
