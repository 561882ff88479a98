"""Training recordings that are made louder, faster and of another colour."""

import numpy as np
import pytest
import torch
from scipy import signal

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.sound.corruption import OCTAVES
from vae_pipeline.recipe.train import Augment
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.sound_augmentation import SoundAugmentation

CPU = torch.device("cpu")
ALL = Augment(loudness_db=(-20.0, 5.0), speed=1.25, octave_db=3.0)
RECORDINGS = np.random.default_rng(0).normal(0, 0.1, (40, 2, 64)).astype(np.float32)
FIRST = torch.tensor([0])


def change(speed=1.0, level_db=(0.0,) * OCTAVES):
    return SoundAugmentation(torch.tensor([speed]), torch.tensor(np.array([level_db], np.float32)))


def epoch(number=0, start=0, **more):
    batches = Batches(Split(RECORDINGS, np.arange(40)), 8, 0, CPU, augment=ALL, **more)
    parts = [part.rows for batch in batches.epoch(number, start) for part in batch.parts]
    return torch.cat([part.label for part in parts]).numpy(), torch.cat([part.x for part in parts]).numpy()


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_a_tone_that_is_played_faster_is_higher_by_as_much(speed):
    time = torch.arange(-1000, 1001) / 8000
    found = change(speed)(torch.sin(2 * torch.pi * 440 * time)[None, None], FIRST)[0, 0]
    heard = slice(250, -250)  # what is farther out was never recorded
    assert found[heard].numpy() == pytest.approx(torch.sin(2 * torch.pi * 440 * speed * time)[heard].numpy(), abs=0.02)


def test_what_was_never_recorded_is_silent():
    found = change(1.25)(torch.ones(1, 1, 1001), FIRST)[0, 0]
    assert found[:90].abs().max() < 1e-5 and found[-90:].abs().max() < 1e-5 and found[500] == pytest.approx(1)


def test_a_level_is_that_of_its_octave():
    levels = np.random.default_rng(1).normal(0, 3, OCTAVES).astype(np.float32)
    noise = torch.randn(1, 1, 2**16, generator=torch.Generator().manual_seed(0))
    found = change(level_db=levels)(noise, FIRST)
    frequency, before = signal.welch(noise[0, 0].numpy(), nperseg=4096)
    after = signal.welch(found[0, 0].numpy(), nperseg=4096)[1]
    at = [np.argmin(abs(frequency - 0.5 / 2**octave)) for octave in range(1, 6)]
    gained = 10 * np.log10(after / before)[at]
    assert gained == pytest.approx(levels[[OCTAVES - 2 - octave for octave in range(1, 6)]], abs=0.1)


def test_loudness_speed_and_colour_are_as_often_as_told():
    drawn = SoundAugmentation.draw(ALL, 10_000, torch.Generator().manual_seed(0), CPU)
    mean = drawn.level_db.mean(1)
    assert mean.min() >= -20 and mean.max() <= 5
    assert mean.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx([-13.75, -7.5, -1.25], abs=0.4)
    assert drawn.level_db.diff(dim=1).std() == pytest.approx(3.0, rel=0.02)
    assert drawn.speed.log().std() == pytest.approx(np.log(1.25) / np.sqrt(3), rel=0.02)
    assert 1 / 1.25 <= drawn.speed.min() < 0.81 and 1.24 < drawn.speed.max() <= 1.25
    loudness = SoundAugmentation.draw(Augment(loudness_db=(-6.0, 0.0)), 100, torch.Generator(), CPU)
    assert (loudness.speed == 1).all() and (loudness.level_db == loudness.level_db[:, :1]).all()


def test_loudness_alone_scales():
    x = torch.from_numpy(RECORDINGS[:1])
    assert change(level_db=(-20.0,) * OCTAVES)(x, FIRST).numpy() == pytest.approx(x.numpy() / 10, abs=1e-7)


def test_changes_are_anew_in_each_epoch_and_the_same_resumed_streamed_and_in_pieces():
    rows, x = epoch()
    again, other = epoch(1)
    assert not np.isclose(x[rows.argsort()], other[again.argsort()]).all(axis=(1, 2)).any()
    for found, start in ((epoch(start=3), 24), (epoch(resident=0), 0), (epoch(pieces=2), 0)):
        assert (found[0] == rows[start:]).all() and found[1] == pytest.approx(x[start:], abs=1e-6)
    shares = [epoch(rank=rank, processes=2) for rank in range(2)]
    order = np.concatenate([share[0] for share in shares]).argsort()
    assert np.concatenate([share[1] for share in shares])[order] == pytest.approx(x[rows.argsort()], abs=1e-6)


def test_what_was_done_is_told():
    assert ALL.told == (
        "In each epoch the training recordings were made louder by -20 to 5 dB and played up to 1.25 times as fast or "
        "as slowly and coloured by 3 dB an octave."
    )
