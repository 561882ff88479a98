"""Recordings from files to samples, and what is wrong with some."""

import io
import struct

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
import soundfile

from vae_pipeline.kinds.audio import decoding
from vae_pipeline.kinds.audio.decoding import count_at_rate, read_header, read_recording
from vae_pipeline.system.errors import CorruptFileError, DataError

RATE_HZ = 8000
SINE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / RATE_HZ)


def recorded(x, rate_hz=RATE_HZ, form="WAV", subtype=None):
    """The bytes of a recording [samples] or [samples, channels], as libsndfile writes it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def wav(form=1, channels=1, rate_hz=RATE_HZ, bits=16, data=bytes(200), claimed=None):
    """The bytes of a WAV whose header says what it is told to."""
    block = channels * bits // 8
    header = struct.pack("<HHIIHH", form, channels, rate_hz, rate_hz * block % 2**32, block % 2**16, bits)
    size = len(data) if claimed is None else claimed
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", (36 + size) % 2**32) + chunks


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("WAVEX", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
        ("OGG", "VORBIS", 0.1),
    ],
)
def test_every_form_holds_the_same_sound(form, subtype, tolerance):
    found = read_recording(recorded(SINE, form=form, subtype=subtype), "a", RATE_HZ, mono=True)
    assert found.x.dtype == np.float32 and found.x.shape == (1, 800)
    np.testing.assert_allclose(found.x[0], SINE, atol=tolerance)
    assert not found.clipped and not found.cropped


def test_samples_are_those_that_scipy_reads():
    content = recorded(np.random.default_rng(0).uniform(-1, 1, (50, 2)), 44100)
    rate_hz, values = scipy.io.wavfile.read(io.BytesIO(content))
    kept = read_recording(content, "a", rate_hz, mono=False).x
    np.testing.assert_array_equal(kept, values.T.astype(np.float32) / 32768)
    mixed = read_recording(content, "a", rate_hz, mono=True).x
    np.testing.assert_allclose(mixed, kept.mean(axis=0, keepdims=True), atol=1e-7)


@pytest.mark.parametrize("given_hz", [44100, 16000, 6000])
def test_another_rate_keeps_a_tone_and_drops_what_cannot_be_heard_there(given_hz):
    """A tone of 440 Hz stays, as scipy's polyphase filter has it too; one over half the rate goes."""
    seconds = np.arange(given_hz) / given_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * seconds)
    found = read_recording(recorded(tone, given_hz, subtype="FLOAT"), "a", RATE_HZ, mono=True).x[0]
    assert len(found) == RATE_HZ
    middle = slice(1000, 7000)
    common = np.gcd(given_hz, RATE_HZ)
    reference = scipy.signal.resample_poly(tone, RATE_HZ // common, given_hz // common)
    np.testing.assert_allclose(found[middle], reference[middle], atol=2e-3)
    if given_hz > RATE_HZ:
        high = recorded(0.5 * np.sin(2 * np.pi * 5000 * seconds), given_hz, subtype="FLOAT")
        assert np.abs(read_recording(high, "a", RATE_HZ, mono=True).x[0][middle]).max() < 1e-3


def test_a_crop_is_the_beginning_of_the_whole():
    content = recorded(np.random.default_rng(0).uniform(-0.3, 0.3, 44100), 44100, subtype="FLOAT")
    whole = read_recording(content, "a", RATE_HZ, mono=True)
    crop = read_recording(content, "a", RATE_HZ, mono=True, length=1000)
    assert crop.x.shape == (1, 1000) and crop.cropped and not whole.cropped
    np.testing.assert_allclose(crop.x, whole.x[:, :1000], atol=1e-4)


@pytest.mark.parametrize(("samples", "given_hz"), [(1, 44100), (1, 4000), (2, 44100), (100, 44100), (999, 11025)])
def test_short_recordings_have_the_number_of_samples_that_is_told_before(samples, given_hz):
    found = read_recording(recorded(np.full(samples, 0.25), given_hz), "a", RATE_HZ, mono=True)
    assert found.x.shape == (1, count_at_rate(samples, given_hz, RATE_HZ))


def test_a_recording_that_reaches_full_scale_counts_as_clipped_and_stays_within_it():
    loud = np.clip(3 * SINE, -1, 1)
    assert read_recording(recorded(loud), "a", RATE_HZ, mono=True).clipped
    beyond = read_recording(recorded(3 * SINE, subtype="FLOAT"), "a", 16000, mono=True)
    assert beyond.clipped and np.abs(beyond.x).max() <= 1


def test_a_header_that_claims_more_than_the_file_holds_is_read_as_far_as_it_goes():
    """As of what was written to a pipe, whose length wasn't known."""
    for claimed in (2**31 - 10, 2**32 - 1):
        assert read_recording(wav(claimed=claimed), "a", RATE_HZ, mono=True).x.shape == (1, 100)


def lying_flac(samples=2**36 - 1):
    """A FLAC of silence whose header claims so many samples."""
    content = bytearray(recorded(np.zeros(100), form="FLAC"))
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = (samples % 2**32).to_bytes(4, "big")
    return bytes(content)


BROKEN = {
    "empty": b"",
    "text": b"no sound at all, and named .wav\n" * 20,
    "header cut off": wav()[:20],
    "no data": wav()[:40],
    "no channels": wav(channels=0),
    "rate of 0": wav(rate_hz=0),
    "no samples": wav(data=b""),
    "NaN": wav(form=3, bits=32, data=np.array([0, np.nan], np.float32).tobytes()),
    "infinity": wav(form=3, bits=32, data=np.array([0, np.inf], np.float32).tobytes()),
    "FLAC cut off": recorded(np.random.default_rng(0).uniform(-1, 1, 20000), form="FLAC")[:9000],
    "another format": recorded(SINE, form="AIFF"),
    "WAV cut off": recorded(SINE)[:-400],
    "WAV cut off after other chunks": recorded(SINE, form="WAVEX", subtype="PCM_24")[:-1],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_in_one_line(content):
    with pytest.raises(CorruptFileError, match=r"^cats/a\.wav (is|holds)") as caught:
        read_recording(content, "cats/a.wav", RATE_HZ, mono=True)
    assert "\n" not in str(caught.value) and "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(channels=1000, data=bytes(4000)), "claims 1,000 channels; 64 at most are read"),
        (wav(rate_hz=2**31 - 1), "claims 2,147,483,647 samples a second; wanted 1 to 768,000"),
        (wav(rate_hz=1, data=bytes(2**17)), "claims 65,536 samples of 1 channels, over the 268,435,456 values"),
        (lying_flac(), "claims 68,719,476,735 samples of 1 channels, over the 268,435,456 values"),
        (recorded(32767 * SINE, subtype="FLOAT"), "holds samples up to 16383.*full scale is 1"),
    ],
)
def test_a_claim_that_is_too_large_is_refused_before_memory_is_taken(content, message, monkeypatch):
    taken = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda self, frames, **how: taken.append(frames) or read(self, frames, **how)
    )
    with pytest.raises(DataError, match=message) as caught:
        read_recording(content, "a.wav", RATE_HZ, mono=True)
    assert not isinstance(caught.value, CorruptFileError)  # which a recipe may drop
    assert sum(taken) <= 800


def test_of_a_crop_only_its_beginning_is_read(monkeypatch):
    monkeypatch.setattr(decoding, "LARGEST", 500)
    assert read_recording(recorded(SINE), "a", RATE_HZ, mono=True, length=400).x.shape == (1, 400)
    with pytest.raises(DataError, match="over the 500 values"):
        read_recording(recorded(SINE), "a", RATE_HZ, mono=True)


def test_a_header_is_read_without_samples():
    header = read_header(recorded(np.zeros((10, 2)), 22050), "a")
    assert (header.rate_hz, header.channels, header.samples) == (22050, 2, 10)


def test_a_file_with_any_bytes_changed_is_sound_or_refused():
    draw = np.random.default_rng(0)
    whole = [recorded(SINE, form=form) for form in ("WAV", "FLAC", "OGG")]
    outcomes = {True: 0, False: 0}
    for turn in range(300):
        content = bytearray(whole[turn % 3])
        places = draw.integers(0, 90, 3)
        for place, value in zip(places, draw.integers(0, 256, 3), strict=True):
            content[place] = value
        try:
            x = read_recording(bytes(content), "a", RATE_HZ, mono=True).x
        except DataError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
            assert np.isfinite(x).all() and np.abs(x).max() <= 1
    assert min(outcomes.values()) > 30
