"""Corruptions against closed forms and Pillow, and what their draws depend on."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from scipy import ndimage
from tests.lanes import ROOT, edited

from vae_pipeline.kinds.corruption import Corruption
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import read, taken
from vae_pipeline.models.corruption import corrupted
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe import denoise as recipe
from vae_pipeline.recipe.train import Augment
from vae_pipeline.training.augmentation import Augmentation
from vae_pipeline.training.batches import Batches

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 1, 6, 5)).astype(np.uint8)
NOISE = {"mode": "supervised", "corruption": [{"kind": "gaussian", "deviation": [0.1, 0.5]}]}


def done(x, seed=0, **step):
    section = TypeAdapter(recipe.Corruption).validate_python(step)
    return corrupted(torch.as_tensor(x, dtype=torch.float32), section, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("step", "variance"),
    [
        ({"kind": "gaussian", "deviation": 0.3}, lambda x: 0.09),
        ({"kind": "poisson", "peak": 20}, lambda x: x / 20),
        ({"kind": "speckle", "deviation": 0.3}, lambda x: 0.09 * x**2),
    ],
)
def test_noise_has_its_mean_and_variance_and_is_neither_clipped_nor_rounded(step, variance):
    for value in (0.2, 1.0):
        noisy = done(torch.full((1, 200, 200), value), **step)
        assert noisy.mean().item() == pytest.approx(value, abs=4 * (variance(value) / 40_000) ** 0.5)
        assert noisy.var().item() == pytest.approx(variance(value), rel=0.05)
    assert noisy.max() > 1


def test_salt_pepper_and_masks_have_their_shares_in_all_channels():
    noisy = done(torch.full((2, 200, 200), 0.3), kind="salt_and_pepper", share=0.2)
    assert [(noisy == value).float().mean().item() for value in (0, 1)] == pytest.approx([0.1, 0.1], abs=0.006)
    assert (noisy[0] == noisy[1]).all()
    masked = done(torch.ones(2, 202, 201), kind="masking", share=0.25, side=4)
    assert (masked == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert (masked[0] == masked[1]).all() and (
        masked[:, :200, :200].unfold(1, 4, 4).unfold(2, 4, 4).std((3, 4)) == 0
    ).all()


def test_a_blur_is_that_of_scipy_and_jpeg_that_of_pillow():
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((3, 24, 20)), (0, 2, 2)).astype(np.float32)
    wanted = ndimage.gaussian_filter(image, (0, 1.5, 1.5), mode="nearest", radius=(0, 6, 6))
    np.testing.assert_allclose(done(image, kind="blur", deviation=1.5), wanted, atol=1e-6)
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * image.transpose(1, 2, 0)).astype(np.uint8)).save(file, "JPEG", quality=30)
    found = done(image, kind="jpeg", quality=30).numpy()
    assert (np.rint(255 * found).transpose(1, 2, 0) == np.asarray(Image.open(file))).all()
    assert done(image[:1], kind="jpeg", quality=30).shape == (1, 24, 20)


def test_a_range_of_levels_is_drawn_evenly():
    deviations = [
        done(torch.zeros(1, 40, 40), seed, kind="gaussian", deviation=[0.1, 0.5]).std().item() for seed in range(100)
    ]
    assert min(deviations) > 0.09 and max(deviations) < 0.53 and np.mean(deviations) == pytest.approx(0.3, abs=0.04)


def split(corruption=NOISE, count=24):
    section = recipe.Denoise.model_validate(corruption)
    labels = np.arange(count)
    return Split(IMAGES, labels, corruption=Corruption.of(section, 0, 255, 0, "train", count))


def epoch(number=0, start=0, corruption=NOISE, **more):
    parts = [
        part.rows
        for batch in Batches(split(corruption), 8, 0, CPU, **more).epoch(number, start)
        for part in batch.parts
    ]
    rows = torch.cat([part.label for part in parts])
    target = None if parts[0].target is None else torch.cat([part.target for part in parts])
    return rows, torch.cat([part.x for part in parts]), target


def test_training_draws_anew_in_each_epoch_by_the_row_alone_and_explains_the_clean_one():
    rows, x, target = epoch()
    assert (target.numpy() == IMAGES[rows]).all() and x.dtype == torch.float32 and x.min() < 0 and x.max() > 255
    again, other, _ = epoch(1)
    assert not (x[rows.argsort()] == other[again.argsort()]).any()
    for found in (epoch(start=2), epoch(pieces=2), epoch(resident=0)):
        assert torch.equal(found[1], x[-len(found[0]) :])
    shares = [epoch(rank=rank, processes=2) for rank in range(2)]
    order = torch.cat([share[0] for share in shares]).argsort()
    assert torch.equal(torch.cat([share[1] for share in shares])[order], x[rows.argsort()])


def test_what_is_noisy_alone_is_corrupted_once_and_explains_itself():
    once = {"mode": "noisy_only", "corruption": [{"kind": "gaussian", "deviation": 0.5}]}
    rows, x, target = epoch(corruption=once)
    again, other, _ = epoch(1, corruption=once)
    assert target is None and torch.equal(x[rows.argsort()], other[again.argsort()])
    seen = read(split(once), slice(None), CPU)
    assert torch.equal(seen.x, x[rows.argsort()]) and seen.explained is seen.x
    assert (seen.original.numpy() == IMAGES).all()


def test_images_are_augmented_after_they_were_corrupted_and_their_targets_alike():
    rows, x, target = epoch(augment=Augment(mirror=True, shift=1))
    _, plain, _ = epoch()
    generator = torch.Generator().manual_seed(derive(0, "augment", 0))
    change = Augmentation.draw(Augment(mirror=True, shift=1), 24, generator, CPU)
    assert torch.equal(x, change(plain, rows)) and torch.equal(target, change(torch.from_numpy(IMAGES)[rows], rows))


def test_metrics_see_a_row_alike_in_whatever_subset():
    part = split()
    whole = read(part, slice(None), CPU)
    chosen = np.array([3, 17, 20])
    assert torch.equal(read(part, chosen, CPU).x, whole.x[chosen])
    assert torch.equal(read(taken(part, chosen), slice(1, 3), CPU).x, whole.x[chosen[1:]])
    assert (whole.explained.numpy() == IMAGES).all() and (read(part.clean, slice(None), CPU).x.numpy() == IMAGES).all()
    assert not torch.equal(whole.x, epoch()[1][epoch()[0].argsort()])


@pytest.mark.parametrize(
    ("name", "denoise", "likelihood", "said"),
    [
        ("mnist", NOISE, None, "model.likelihood.kind, which is bernoulli, to gaussian or laplace"),
        ("tumours", NOISE, None, "train.denoise is for images and sound, and data.kind is"),
        (
            "digits",
            {**NOISE, "mode": "noisy_only"},
            None,
            "wanted one corruption, of kind gaussian and with one number",
        ),
        (
            "digits",
            {"mode": "noisy_only", "corruption": [{"kind": "gaussian", "deviation": 0.5}]},
            {"kind": "gaussian", "scale": 0.4, "mean": "linear"},
            "its scale to 0.5, which is the noise's deviation, or to learned",
        ),
        ("digits", {**NOISE, "corruption": []}, None, "at least 1 item"),
        (
            "digits",
            {**NOISE, "draws": 0},
            {"kind": "gaussian", "scale": "learned", "mean": "linear"},
            "model.likelihood.scale per_element, or 2 draws or more",
        ),
        ("digits", {**NOISE, "draws": 1}, None, "greater than or equal to 2"),
        (
            "digits",
            {**NOISE, "corruption": [{"kind": "gaussian", "deviation": [0.5, 0.1]}]},
            None,
            "the lower one first",
        ),
        ("digits", {**NOISE, "corruption": [{"kind": "jpeg", "quality": 96}]}, None, "less than or equal to 95"),
    ],
)
def test_a_recipe_that_cannot_be_denoised_is_refused(name, denoise, likelihood, said):
    recipe_ = Recipe.load(ROOT / "pipeline" / f"{name}.yaml")
    model = {} if likelihood is None else {"model": {"likelihood": likelihood}}
    with pytest.raises(ValueError, match=said):
        edited(recipe_, train={"denoise": denoise}, **model)


def test_a_recipe_without_the_section_is_stored_without_it():
    assert "denoise" not in Recipe.load(ROOT / "pipeline" / "digits.yaml").train.model_dump()
