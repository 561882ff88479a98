"""Samples that repeat training images are found among those that don't, and nobody is accused who doesn't."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics import memorised as module
from vae_pipeline.metrics.memorised import memorised, nearest

SHAPE = (1, 3, 3)


class Values:
    """Features that are the values themselves."""

    net = nn.Linear(1, 1)
    net.scaling = nn.Identity()

    def of_scaled(self, images):
        return images.flatten(1).double().numpy()

    def of(self, split):
        return self.of_scaled(torch.from_numpy(split.x))


def part(count, seed):
    return Split(np.random.default_rng(seed).random((count, *SHAPE)).astype(np.float32), None)


def asked(drawn, monkeypatch, test=300):
    """The findings on these samples, which come in two parts."""
    monkeypatch.setattr(module, "samples", lambda *_: iter(torch.from_numpy(drawn).split(len(drawn) // 2 + 1)))
    spec = ImageSpec(SHAPE, "float32", 0, 1, False, ())
    prepared = SimpleNamespace(spec=spec, train=part(800, 0), test=part(test, 1))
    return memorised(nn.Identity(), prepared, Values(), 0), prepared


def test_the_nearest_of_all_training_images_is_scikit_learns(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 37)
    train, points = part(500, 0), part(60, 1)
    (distance, row), (none, own) = nearest(train, Values(), Values().of(points), Values().of(train))
    found = NearestNeighbors(n_neighbors=1).fit(Values().of(train)).kneighbors(Values().of(points))
    np.testing.assert_allclose(distance, found[0][:, 0])
    np.testing.assert_array_equal(row, found[1][:, 0])
    assert not none.any() and (own == np.arange(500)).all()  # a copy lies at 0, to the last bit


def test_samples_of_the_same_kind_are_not_accused(monkeypatch):
    for seed in range(2, 7):
        found, _ = asked(part(1000, seed).x, monkeypatch)
        assert not found.alarms()
        assert found.figures["nearer_than_any_test"] < 0.02
        assert found.figures["nearer_than_most_test"] == pytest.approx(0.05, abs=0.03)
        assert found.figures["nearer_than_chance"] == pytest.approx(1 / 301)


def test_five_copies_of_one_image_in_four_hundred_samples_are_found(monkeypatch):
    drawn = part(400, 2).x
    copied = part(800, 0).x[[17]]
    drawn[::80] = copied + 0.01 * np.random.default_rng(0).standard_normal((5, *SHAPE)).astype(np.float32)
    found, prepared = asked(drawn, monkeypatch)
    assert "memorised" in found.alarms()
    assert found.figures["half_as_far"] == pytest.approx(5 / 400, abs=2 / 400)
    np.testing.assert_array_equal(found.originals.x[:5], np.repeat(prepared.train.x[[17]], 5, axis=0))
    assert np.abs(found.samples[:5] - found.originals.x[:5]).max() < 0.05
    assert len(found.samples) == module.SHOWN


def test_blurred_copies_are_found_by_their_number(monkeypatch):
    """Each as far from its original as the nearest test images lie: none is half as near, and too many are as near."""
    train = part(800, 0).x
    away = np.random.default_rng(0).standard_normal(train.shape).astype(np.float32)
    found, _ = asked(train + 0.05 * away, monkeypatch)
    assert found.figures["nearer_than_any_test"] > 0.2 and found.alarms()


def test_a_test_image_that_was_trained_on_hides_nothing(monkeypatch):
    train = part(800, 0)
    monkeypatch.setattr(module, "subset", lambda split, *_: Split(np.r_[split.x[:-1], train.x[:1]], None))
    drawn = part(400, 2).x
    drawn[:10] = train.x[100:110]
    found, _ = asked(drawn, monkeypatch)
    assert found.alarms()


def test_a_small_test_part_says_nothing_and_pairs_are_shown_all_the_same(monkeypatch):
    found, _ = asked(part(800, 0).x[:200], monkeypatch, test=26)
    assert found.figures == {} and found.alarms() == {} and found.usual == 0
    np.testing.assert_array_equal(found.samples, found.originals.x)
    assert not found.distance.any() and len(found.samples) == module.SHOWN
