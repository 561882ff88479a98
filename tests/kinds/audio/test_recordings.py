"""Recordings in folders and archives, and tones that are drawn, to prepared data."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
from pydantic import ValidationError
from tests.kinds.audio.test_decoding import RATE_HZ, SINE, recorded, wav
from tests.kinds.image.test_folder import as_folder, as_tar_gz, as_zip

from vae_pipeline.kinds.audio.encoding import save_recordings
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.observations import Examples, read_observations
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.spec import AudioSpec, load_spec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import AudioData, DrawnTonesData
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (12, 40))
# DIGIT_SPEAKER_TAKE.wav: two digits, three speakers, two takes.
FILES = {
    f"recordings/{digit}_{speaker}_{take}.wav": recorded(NOISE[6 * digit + 2 * place + take])
    for digit in (0, 1)
    for place, speaker in enumerate(("ann", "ben", "cid"))
    for take in (0, 1)
}
DIGIT, TAKE_1, SPEAKER = {"pattern": r"^(\d)_"}, {"pattern": r"_1\.wav$"}, {"groups": {"pattern": "_([a-z]+)_"}}


def section(place, **changes):
    values = {
        "kind": "audio",
        "rate_hz": RATE_HZ,
        "seconds": 0.005,
        "longer": "crop",
        "channels": "mono",
        "labels": "none",
        "corrupt": "fail",
        "train": {"path": str(place)},
        "valid": 0.2,
        "test": 0.3,
    }
    return AudioData.model_validate(values | changes)


def prepare(train, **changes):
    folder = Path(f"{train}.prepared")
    with filled_folder(folder) as filled:
        write(open_source(section(train, **changes), Finder(folder), 0), filled, 0)
    return Prepared.open(folder)


def names_of(prepared, part):
    """The files of a part, by what they hold."""
    digests = {
        np.float32(np.round(row * 32768) / 32768)[:3].tobytes(): name for row, name in zip(NOISE, FILES, strict=True)
    }
    near = {name: np.frombuffer(key, np.float32) for key, name in digests.items()}
    return {min(near, key=lambda name: np.abs(near[name] - row[0, :3]).max()) for row in getattr(prepared, part).x[:]}


@pytest.mark.parametrize("pack", [as_folder, as_zip, as_tar_gz])
def test_a_folder_or_an_archive_becomes_three_parts(tmp_path, pack):
    place = pack(tmp_path / "sounds", FILES)
    prepared = prepare(place, labels=DIGIT, test=TAKE_1, valid=0.34, split={"size": "exact"})
    spec = prepared.spec
    assert spec == AudioSpec(RATE_HZ, 40, 1, ("0", "1")) and load_spec(prepared.folder / "spec.json") == spec
    assert names_of(prepared, "test") == {name for name in FILES if name.endswith("_1.wav")}
    assert prepared.card["examples"] == {"train": 4, "valid": 2, "test": 6}
    assert prepared.card["classes"]["test"] == {"0": 3, "1": 3}
    every = np.concatenate([part.x[:] for part in (prepared.train, prepared.valid, prepared.test)])
    assert every.shape == (12, 1, 40) and every.dtype == np.float32
    nearest = np.abs(every[:, None, 0] - NOISE).max(axis=2).min(axis=1)
    assert nearest.max() < 2**-15
    labels = {name.split("/")[1][0] for name in names_of(prepared, "valid")}
    assert {spec.classes[label] for label in prepared.valid.labels} == labels


def test_folder_and_archive_hold_the_same_and_again_the_same_bytes(tmp_path):
    found = [prepare(pack(tmp_path / name, FILES), labels=DIGIT) for pack, name in ((as_folder, "a"), (as_zip, "b"))]
    assert found[0].digest() == found[1].digest() == prepare(tmp_path / "a", labels=DIGIT).digest()


def test_a_speaker_is_never_on_both_sides(tmp_path):
    place = as_folder(tmp_path / "sounds", FILES)
    prepared = prepare(place, split={"size": "exact", **SPEAKER}, valid=0.34, test=0.34)
    speakers = [{name.split("_")[1] for name in names_of(prepared, part)} for part in ("train", "valid", "test")]
    assert sorted(map(len, speakers)) == [1, 1, 1] and len(set.union(*speakers)) == 3
    one_out = prepare(place, split=SPEAKER, test={"pattern": "_ben_"}, valid=0.5)
    assert {name.split("_")[1] for name in names_of(one_out, "test")} == {"ben"}
    with pytest.raises(DataError, match="group 'ann', one of 3, is in train and in test"):
        prepare(place, split=SPEAKER, test=TAKE_1)


def test_windows_hold_all_of_a_recording_and_are_of_one_part(tmp_path):
    place = as_folder(
        tmp_path / "sounds", {f"{name}.wav": recorded(np.full(95, 0.1 * (name + 1))) for name in range(5)}
    )
    prepared = prepare(place, longer="windows", test=0.4, valid=0.2, split={"size": "exact"})
    assert prepared.card["examples"] == {"train": 6, "valid": 3, "test": 6}
    levels = [
        set(np.round(10 * part.x[:].max(axis=(1, 2))).tolist())
        for part in (prepared.train, prepared.valid, prepared.test)
    ]
    assert sorted(level for part in levels for level in part) == [1, 2, 3, 4, 5]
    counts = (prepared.train.x[:] != 0).sum(axis=(1, 2)).tolist()
    assert counts == [40, 40, 15] * 2
    assert prepared.card["recordings"]["padded"] == 5 and prepared.spec.longer == "windows"


def test_the_card_counts_what_was_done(tmp_path):
    files = {
        "other rate.flac": recorded(np.repeat(SINE, 2), 16000, "FLAC"),
        "stereo.wav": recorded(np.stack([SINE, -SINE], axis=1), subtype="FLOAT"),
        "short.ogg": recorded(SINE[:20], form="OGG"),
        "silent.wav": recorded(np.zeros(40)),
        "one sample.wav": wav(data=b"\x01\x00"),
        "loud.wav": recorded(np.full(40, 1.0)),
        "notes.txt": b"",
    }
    prepared = prepare(as_folder(tmp_path / "sounds", files), valid=0.2, test=0.2)
    found = prepared.card["recordings"]
    assert (
        found["count"] == 6 and found["rates_hz"] == {"8000": 5, "16000": 1} and found["channels"] == {"1": 5, "2": 1}
    )
    counts = {name: found[name] for name in ("resampled", "mixed", "padded", "cropped", "clipped", "silent")}
    assert counts == {"resampled": 1, "mixed": 1, "padded": 2, "cropped": 2, "clipped": 1, "silent": 2}
    assert found["seconds"] == pytest.approx((4 * 40 + 20 + 1) / RATE_HZ, abs=1e-3)
    assert prepared.card["dropped"] == {"not a recording (.txt)": 1}
    assert prepared.card["notes"][0] == (  # the mean of stereo.wav is silence
        "6 recordings, 0.0 s: 1 resampled, 1 mixed to mono, 2 padded with silence, 2 cropped, 1 at full scale, where "
        "they may have been clipped, 2 silent, 1 that never reach a hundredth of full scale"
    )


def test_quiet_recordings_and_silent_channels_are_counted(tmp_path):
    tones = [0.5 * np.sin(440 * place * np.arange(40) / RATE_HZ) for place in range(1, 5)]
    files = {
        "usual.wav": recorded(tones[0]),
        "quiet.wav": recorded(1e-4 * tones[1], subtype="FLOAT"),
        "left.wav": recorded(np.stack([tones[2], 0 * tones[2]], axis=1)),
        "both.wav": recorded(np.stack([tones[3], tones[3]], axis=1)),
    }
    found = prepare(as_folder(tmp_path / "d", files), valid=0.25, test=0.25, split={"size": "exact"}).card["recordings"]
    assert {name: found[name] for name in ("quiet", "lopsided", "silent")} == {"quiet": 1, "lopsided": 1, "silent": 0}


def test_energy_that_a_lower_rate_cannot_hold_is_counted(tmp_path):
    time = np.arange(8000) / 4 / RATE_HZ
    low, high = (np.sin(2 * np.pi * hertz * time) for hertz in (500, 0.75 * RATE_HZ))
    files = {"a.wav": 0.5 * low, "b.wav": 0.5 * high, "c.wav": 0.5 * low + 0.2 * high, "d.wav": 0.5 * low + 0.1 * high}
    place = as_folder(tmp_path / "sounds", {name: recorded(x, 4 * RATE_HZ) for name, x in files.items()})
    prepared = prepare(place, seconds=0.25, valid=0.25, test=0.25, split={"size": "exact"})
    assert prepared.card["recordings"]["dulled"] == 2  # b, and c with 4 / 29 of it; d has 1 / 26
    assert "2 with over a tenth of their energy above half of data.rate_hz, which is lost" in prepared.card["notes"][0]


def test_channels_that_are_kept_are_as_many_everywhere(tmp_path):
    stereo = {f"{place}.wav": recorded(NOISE[:2].T * (place + 1) / 5) for place in range(4)}
    place = as_folder(tmp_path / "sounds", stereo)
    prepared = prepare(place, channels="kept", valid=0.25, test=0.25, split={"size": "exact"})
    assert prepared.spec.event_shape == (2, 40)
    as_folder(place, {"mono.wav": recorded(SINE)})
    with pytest.raises(DataError, match=r"mono\.wav has 1 channels, and 2 are wanted"):
        prepare(place, channels="kept")


def test_broken_recordings_are_refused_or_dropped_and_counted(tmp_path):
    place = as_folder(
        tmp_path / "sounds", FILES | {"recordings/0_ann_2.wav": b"no sound", "recordings/0_ann_3.wav": wav(data=b"")}
    )
    with pytest.raises(DataError, match=r"0_ann_2\.wav is a broken recording"):
        prepare(place)
    (place / "link.wav").symlink_to("nowhere")
    with pytest.raises(DataError, match="is a link that leads nowhere"):
        prepare(place)
    prepared = prepare(place, corrupt="drop")
    assert prepared.card["dropped"] == {"link that leads nowhere": 1, "broken or empty recording": 2}
    assert sum(prepared.card["examples"].values()) == 12
    with pytest.raises(DataError, match=r"every recording in .* is broken or empty"):
        prepare(as_folder(tmp_path / "none", {"a.wav": b""}), corrupt="drop")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"pattern": "^([a-z])"}}, r"has no match of data\.labels\.pattern"),
        ({"test": {"pattern": "zebra"}}, "no recording for the test part"),
        ({"test": {"pattern": "wav"}}, "no recording for the train part"),
        ({"valid": {"pattern": "_1"}, "test": TAKE_1}, r"matches both data\.valid\.pattern and data\.test\.pattern"),
    ],
)
def test_patterns_that_do_not_fit_are_told(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        prepare(as_folder(tmp_path / "sounds", FILES), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"pattern": "("}}, "isn't a regular expression"),
        ({"train": {"path": "a", "key": "x"}}, "key is for arrays"),
        ({"split": {"groups": {"column": "speaker"}}}, "groups.column means nothing"),
        ({"test": TAKE_1, "split": {"duplicates": "together"}}, "take drop"),
        ({"rate_hz": 10**6}, "768000"),
        ({"seconds": 0}, "greater than 0"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        section("sounds", **changes)


def test_folders_are_classes_and_parts_have_places_of_their_own(tmp_path):
    files = {f"{name}/{take}.wav": recorded(NOISE[take]) for name in ("bell", "drum") for take in (0, 1, 2)}
    train, test = as_folder(tmp_path / "train", files), as_zip(tmp_path / "test.zip", files)
    prepared = prepare(train, labels="folders", test={"path": str(test)}, valid=0.0)
    assert prepared.spec.classes == ("bell", "drum") and prepared.card["examples"] == {
        "train": 6,
        "valid": 0,
        "test": 6,
    }
    assert prepared.card["duplicates"]["test_in_train"] == 6


def test_tones_have_the_spectrum_of_their_timbre(tmp_path):
    data = DrawnTonesData(kind="drawn_tones", examples=60, rate_hz=8000, seconds=0.5, valid=0.1, test=0.2)
    source = open_source(data, Finder(tmp_path), 3)
    again = open_source(data, Finder(tmp_path), 3)
    np.testing.assert_array_equal(source.train.rows, again.train.rows)
    assert source.spec.event_shape == (1, 4000) and np.abs(source.train.rows).max() <= 0.9
    hertz = np.fft.rfftfreq(4000, 1 / 8000)
    for row, label in zip(source.train.rows[:, 0], source.train.labels, strict=True):
        power = np.abs(np.fft.rfft(row * np.hanning(4000))) ** 2
        below = hertz < 600
        first = hertz[below][power[below].argmax()]
        harmonic = [power[np.abs(hertz - k * first) < 12].max() / power.max() for k in (1, 2, 3)]
        present = [share > 0.02 for share in harmonic]
        assert present == {"pure": [True, False, False], "hollow": [True, False, True], "bright": [True] * 3}[
            source.spec.classes[label]
        ]  # fmt: skip


@pytest.mark.parametrize("rate_hz", [221, 800])
def test_tones_of_a_low_rate_have_pitches_that_it_can_hold(rate_hz, tmp_path):
    fields = {"kind": "drawn_tones", "examples": 400, "seconds": 1.0, "valid": 0.1, "test": 0.2}
    rows = open_source(DrawnTonesData(rate_hz=rate_hz, **fields), Finder(tmp_path), 0).train.rows[:, 0]
    assert rows.any(axis=1).all() and np.isfinite(rows).all()
    with pytest.raises(ValidationError, match="greater than 220"):
        DrawnTonesData(rate_hz=220, **fields)


def test_a_spec_that_cannot_be_is_refused(tmp_path):
    spec = AudioSpec(RATE_HZ, 40, 2)
    for changes in ({"rate_hz": 0}, {"channels": 0}, {"length": 2**40}, {"dtype": "uint8"}, {"longer": "stretched"}):
        (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict() | changes))
        with pytest.raises(DataError, match="not a data spec"):
            load_spec(tmp_path / "spec.json")


@pytest.mark.parametrize(
    ("x", "message"), [(np.full((1, 1, 4), np.nan), "NaN"), (np.full((1, 1, 4), 300), "takes sound in .*32768")]
)
def test_raw_values_that_cannot_occur_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        AudioSpec(RATE_HZ, 4, 1).checked(x, 0, False)


@pytest.mark.slow
@pytest.mark.data
def test_the_recipe_of_spoken_digits_has_the_official_test_part(tmp_path):
    recipe = Recipe.load(Path("pipeline/spoken_digits.yaml"))
    source = open_source(recipe.data, Finder(tmp_path, os.environ["VAE_MIRROR"]), 0)
    assert len(source.train.names) == 2700 and len(source.test.names) == 300
    assert np.bincount(source.test.labels).tolist() == [30] * 10
    assert source.findings["rates_hz"] == {"8000": 3000}


SPEC = AudioSpec(RATE_HZ, 40, 1)


def test_new_recordings_are_read_as_those_that_trained(tmp_path):
    files = {"a.wav": recorded(np.repeat(SINE[:200], 2), 16000), "b.flac": recorded(SINE[:40], form="FLAC")}
    place = as_folder(tmp_path / "sounds", files)
    with pytest.warns(UserWarning, match=r"a\.wav: 16,000 samples a second become 8,000, of 0\.025 s the first 0\.005"):
        x = read_observations([place], SPEC, None, "none")
    assert x.shape == (2, 1, 40)
    np.testing.assert_allclose(x[1, 0], SINE[:40], atol=2**-15)
    in_windows = replace(SPEC, longer="windows")
    with pytest.warns(UserWarning, match=r"a second become 8,000$"):
        x = read_observations([place / "a.wav", place / "b.flac"], in_windows, None, "none")
    assert x.shape == (6, 1, 40)
    found = list(Examples([place / "b.flac"], in_windows, None, "none").some())
    assert [each.files for each in found] == [[str(place / "b.flac")]]


def test_arrays_of_samples_are_taken_and_another_length_is_told(tmp_path):
    np.save(tmp_path / "x.npy", NOISE.astype(np.float32))
    x = read_observations([tmp_path / "x.npy"], SPEC, None, "none")
    np.testing.assert_array_equal(x[:, 0], NOISE.astype(np.float32))
    with pytest.raises(DataError, match=r"holds an array of shape \[12, 40\]; wanted \[examples, 1, 41\]"):
        read_observations([tmp_path / "x.npy"], replace(SPEC, length=41), None, "none")


def test_broken_inputs_are_marked_or_refused(tmp_path):
    place = as_folder(
        tmp_path / "sounds", {"a.wav": recorded(SINE[:40]), "b.wav": wav(form=3, bits=32, data=b"\xff" * 160)}
    )
    with pytest.raises(DataError, match=r"b\.wav holds NaN or infinity"):
        read_observations([place], SPEC, None, "none")
    found = Examples([place], SPEC, None, "none", "mark").all()
    assert found.usable.tolist() == [0] and "NaN" in found.faults[1]


def test_sounds_are_written_as_a_wav_that_scipy_reads(tmp_path):
    x = np.stack([NOISE[:2], 3 * NOISE[2:4]]).astype(np.float32)
    save_recordings(tmp_path / "x.wav", x, replace(SPEC, channels=2))
    rate_hz, values = scipy.io.wavfile.read(tmp_path / "x.wav")
    assert rate_hz == RATE_HZ and values.shape == (80, 2)
    np.testing.assert_allclose(values / 32768, np.concatenate([*x.clip(-1, 1)], axis=1).T, atol=2**-14)
