"""Training images that are mirrored and moved."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.lanes import ROOT, edited

from vae_pipeline.kinds.store import Split
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.train import Augment
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.augmentation import Augmentation
from vae_pipeline.training.batches import Batches

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 7, 5)).astype(np.uint8)
BOTH = Augment(mirror=True, shift=2)


def epoch(number=0, start=0, augment=BOTH, **more):
    batches = Batches(Split(IMAGES, np.arange(40)), 8, 0, CPU, augment=augment, **more)
    parts = [part.rows for batch in batches.epoch(number, start) for part in batch.parts]
    return torch.cat([part.label for part in parts]).numpy(), torch.cat([part.x for part in parts]).numpy()


@pytest.mark.parametrize(("mirrored", "down", "right"), [(False, 2, -1), (True, 0, 0), (True, -2, 2), (True, 1, 9)])
def test_an_image_is_mirrored_and_then_moved_as_scipy_does(mirrored, down, right):
    change = Augmentation(*(torch.tensor([each]) for each in (mirrored, down, right)))
    moved = ndimage.shift(IMAGES[0, :, :, ::-1] if mirrored else IMAGES[0], (0, down, right), order=0, mode="nearest")
    found = change(torch.from_numpy(IMAGES[:1]), torch.tensor([0]))
    assert found.dtype == torch.uint8 and (found[0].numpy() == moved).all()


def test_changes_are_anew_in_each_epoch_and_the_same_resumed_streamed_and_in_pieces():
    rows, x = epoch()
    again, other = epoch(1)
    assert (x[rows.argsort()] == other[again.argsort()]).all(axis=(1, 2, 3)).mean() < 0.2
    for found, start in ((epoch(start=3), 24), (epoch(resident=0), 0), (epoch(pieces=2), 0)):
        assert (found[0] == rows[start:]).all() and (found[1] == x[start:]).all()
    shares = [epoch(rank=rank, processes=2) for rank in range(2)]
    order = np.concatenate([share[0] for share in shares]).argsort()
    assert (np.concatenate([share[1] for share in shares])[order] == x[rows.argsort()]).all()


def test_moves_and_mirrors_are_as_often_as_told():
    drawn = Augmentation.draw(Augment(mirror=True, shift=2), 10_000, torch.Generator().manual_seed(0), CPU)
    assert drawn.mirrored.float().mean() == pytest.approx(0.5, abs=0.02)
    for moves in (drawn.down, drawn.right):
        assert moves.unique(return_counts=True)[1].tolist() == pytest.approx([2000] * 5, rel=0.1)
    plain = Augmentation.draw(Augment(shift=1), 100, torch.Generator(), CPU)
    assert not plain.mirrored.any() and set(plain.down.tolist()) == {-1, 0, 1}


def test_images_are_not_moved_out_of_sight():
    epoch(augment=Augment(shift=4))
    with pytest.raises(RecipeError, match=r"train.augment.shift 5 can move images of 7 x 5 out of sight: wanted less"):
        epoch(augment=Augment(shift=5))


def test_none_is_stored_as_before_and_reads_as_it_lies():
    values = Recipe.load(ROOT / "pipeline" / "smoke.yaml").model_dump(mode="json")
    assert "augment" not in values["train"]
    rows, x = epoch(augment=None)
    assert (x == IMAGES[rows]).all()


@pytest.mark.parametrize(
    ("name", "augment", "told"),
    [
        ("tumours", {"mirror": True}, "train.augment is for images .* and data.kind is tumours: take the keys"),
        (
            "tones",
            {"mirror": True},
            "for sound .loudness_db, speed, octave_db., and data.kind is drawn_tones: take the keys",
        ),
        (
            "smoke",
            {"speed": 1.1},
            "for images .mirror, shift. and for sound .* and data.kind is synthetic: take the keys",
        ),
        ("tones", {"speed": 1.1, "shift": 1}, "data.kind is drawn_tones: take the keys of its kind"),
        ("tones", {"loudness_db": [6, -20]}, "a range of 6 to -20 was given; wanted the lower one first"),
        ("smoke", {"mirror": False}, "augment changes nothing: set mirror or shift for images, or loudness_db, speed"),
        ("smoke", {"shift": -1}, "greater than or equal to 0"),
    ],
)
def test_what_it_isnt_for_is_refused(name, augment, told):
    recipe = Recipe.load(ROOT / "pipeline" / f"{name}.yaml")
    with pytest.raises((ValueError, RecipeError), match=told):
        edited(recipe, train={"augment": augment})
