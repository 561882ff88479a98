"""Corruptions of sound against scipy and closed forms, silence, and what a recipe may ask for."""

import numpy as np
import pytest
import scipy.signal
import torch
from pydantic import TypeAdapter, ValidationError
from tests.kinds.audio.test_beside import NOISES, ROOMS, prepare_beside
from tests.lanes import ROOT, edited

from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.metrics.parts import read
from vae_pipeline.models.sound.corruption import coloured, corrupted_sound
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.recipe.sound_corruption import SoundCorruption

RATE_HZ, LENGTH = 8000, 32768
SINE = 0.5 * torch.sin(torch.arange(LENGTH) * 0.3)[None]
TAPE = Tape(np.random.default_rng(1).normal(size=(1, 900)).astype(np.float32), np.array([500, 900]))


def done(x, seed=0, tape=TAPE, **step):
    section = TypeAdapter(SoundCorruption).validate_python(step)
    return corrupted_sound(x, section, {"noises": tape, "rooms": tape}, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["white", "pink", "noises"])
def test_a_noise_has_its_ratio_to_the_recording_without_the_silence_around_it(kind):
    for snr_db in (-5.0, 10.0):
        for x in (SINE, torch.nn.functional.pad(SINE[:, :9000], (500, LENGTH - 9500))):
            noise = done(x, kind=kind, snr_db=snr_db) - x
            own = x[:, x[0].nonzero()[0, 0] : x[0].nonzero()[-1, 0] + 1]
            found = 10 * (own.square().mean() / noise.square().mean()).log10()
            assert found.item() == pytest.approx(snr_db, abs=1e-3)
    assert len({done(SINE, seed, kind=kind, snr_db=[0, 20])[0, 0].item() for seed in range(4)}) == 4


def test_noise_has_the_colour_that_it_is_named_by():
    slopes = []
    for kind in ("white", "pink"):
        found = done(SINE, kind=kind, snr_db=0.0) - SINE
        frequency, power = scipy.signal.welch(found[0].numpy(), RATE_HZ, nperseg=1024)
        slopes.append(np.polyfit(np.log(frequency[4:-4]), np.log(power[4:-4]), 1)[0])
    assert slopes == pytest.approx([0, -1], abs=0.1)
    shapes = [coloured(SINE, torch.Generator().manual_seed(seed))[0].numpy() for seed in range(64)]
    octaves = [scipy.signal.welch(shape, RATE_HZ, nperseg=1024)[1][[32, 64, 128, 256]] for shape in shapes]
    assert np.diff(10 * np.log10(octaves)).std() == pytest.approx(6, rel=0.2)


def test_recorded_noise_is_a_stretch_of_one_recording_that_begins_again():
    found = done(SINE, kind="noises", snr_db=0.0) - SINE
    period = 500 if torch.allclose(found[:, 500:1000], found[:, :500], atol=1e-5) else 400
    assert torch.allclose(found[:, period:], found[:, :-period], atol=1e-5)
    own = TAPE.recording(0 if period == 500 else 1)
    assert max(np.corrcoef(np.roll(own[0], -start), found[0, :period])[0, 1] for start in range(period)) > 0.999
    drawn = done(SINE, kind="noises", snr_db=0.0, drawn=0.999) - SINE
    assert not torch.allclose(drawn[:, 500:1000], drawn[:, :500], atol=0.1)
    assert not torch.allclose(drawn[:, 400:800], drawn[:, :400], atol=0.1)


def test_reverberation_is_scipys_convolution_from_the_peak_on_and_clipping_numpys():
    impulse = np.concatenate([np.zeros(20), np.exp(-np.arange(300) / 60)]).astype(np.float32)
    x = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    found = done(x, tape=Tape(0.25 * impulse[None], np.array([320])), kind="reverberation")
    wanted = scipy.signal.fftconvolve(x[0].numpy(), impulse[20:])[:4000]
    np.testing.assert_allclose(found[0], wanted, atol=1e-4)
    clipped = done(x, kind="clipping", level=0.5)
    np.testing.assert_array_equal(clipped, np.clip(x.numpy(), -0.5 * x.abs().max().item(), 0.5 * x.abs().max().item()))


def test_what_is_silent_stays_as_it_is():
    silence = torch.zeros(1, 100)
    quiet = Tape(np.zeros((1, 50), np.float32), np.array([50]))
    for step in (
        {"kind": "white", "snr_db": 0.0},
        {"kind": "noises", "snr_db": 0.0},
        {"kind": "clipping", "level": 0.5},
    ):
        assert torch.equal(done(silence, **step), silence)
    assert torch.equal(done(SINE, tape=quiet, kind="noises", snr_db=0.0), SINE)


def test_each_part_of_prepared_data_is_mixed_with_its_own_noises(tmp_path):
    steps = [{"kind": "reverberation"}, {"kind": "noises", "snr_db": -60.0}]
    section = Denoise.model_validate({"mode": "supervised", "corruption": steps})
    prepared = prepare_beside(tmp_path, noises=NOISES, rooms=ROOMS).corrupted(section, 0)
    for part in ("train", "valid", "test"):
        split = getattr(prepared, part)
        rows = read(split, slice(None), torch.device("cpu"))
        tape = split.beside["noises"]
        for noisy in rows.x[:, 0].numpy():
            stretches = (tape.stretch(start, noisy.size)[0] for start in range(tape.samples))
            assert max(np.corrcoef(stretch, noisy)[0, 1] for stretch in stretches) > 0.99
        assert torch.equal(rows.target, rows.original) and torch.equal(rows.original, torch.from_numpy(split.x[:]))


@pytest.mark.parametrize(
    ("name", "step", "said"),
    [
        ("tones", {"kind": "gaussian", "deviation": 0.1}, "kind gaussian is of images, and data.kind is drawn_tones"),
        ("digits", {"kind": "white", "snr_db": 0}, "kind white is of sound, and data.kind is digits"),
        ("tones", {"kind": "noises", "snr_db": 0}, "kind noises mixes in what data.noises names, which isn't given"),
        ("spoken_digits", {"kind": "reverberation"}, "kind reverberation mixes in what data.rooms names"),
        ("tones", {"kind": "white", "snr_db": [5, -5]}, "the lower one first"),
        ("tones", {"kind": "white", "snr_db": 300}, "less than or equal to 120"),
    ],
)
def test_a_corruption_that_does_not_fit_the_data_is_refused(name, step, said):
    denoise = {"mode": "supervised", "corruption": [step]}
    with pytest.raises(ValidationError, match=said):
        edited(Recipe.load(ROOT / "pipeline" / f"{name}.yaml"), train={"denoise": denoise})
