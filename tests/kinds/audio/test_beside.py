"""Noises and impulse responses beside the data: read once, divided, written, and refused where they can't be used."""

import numpy as np
import pytest
from tests.kinds.audio.test_decoding import RATE_HZ, recorded
from tests.kinds.audio.test_recordings import FILES, prepare
from tests.kinds.image.test_folder import as_folder, as_zip

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.system.errors import DataError

DRAW = np.random.default_rng(7)
NOISES = {f"noise/{kind}_{take}.wav": recorded(DRAW.uniform(-1, 1, 60 + take)) for kind in "ab" for take in (1, 2, 3)}
ROOMS = {f"{name}.wav": recorded(0.5 ** np.arange(30)) for name in ("large", "small", "hall")}


def beside(place, valid="_2", test="_3"):
    return {"files": [{"path": str(place)}], "valid": {"pattern": valid}, "test": {"pattern": test}}


def prepare_beside(folder, noises=None, rooms=None, **changes):
    more = {}
    if noises is not None:
        more["noises"] = beside(as_zip(folder / "noises", noises))
    if rooms is not None:
        more["rooms"] = beside(as_folder(folder / "rooms", rooms), "small", "hall")
    return prepare(as_folder(folder / "sounds", FILES), **more, **changes)


def test_each_part_has_noises_of_its_own_in_the_order_of_their_names(tmp_path):
    prepared = prepare_beside(tmp_path, noises=NOISES, rooms=ROOMS)
    for part, take in {"train": 1, "valid": 2, "test": 3}.items():
        tape = getattr(prepared, part).beside["noises"]
        assert len(tape) == 2 and tape.ends.tolist() == [60 + take, 120 + 2 * take]
        assert len(getattr(prepared, part).beside["rooms"]) == 1
    assert prepared.card["noises"]["test"] == {"count": 2, "seconds": round(126 / RATE_HZ, 3)}
    assert len(prepared.card["origins"]) == 3
    np.testing.assert_allclose(tape.stretch(60, 70)[0, 3:6], tape.x[0, :3])


def test_they_are_brought_to_the_rate_and_channels_of_the_data(tmp_path):
    other = {name: recorded(DRAW.uniform(-1, 1, (120, 2)), 2 * RATE_HZ) for name in NOISES}
    tape = prepare_beside(tmp_path, noises=other).train.beside["noises"]
    assert tape.x.shape == (1, 120) and tape.ends.tolist() == [60, 120]


@pytest.mark.parametrize(
    ("noises", "said"),
    [
        ({"readme.txt": b"no sound"}, "holds no recordings"),
        ({name: recorded(np.zeros(60)) for name in NOISES}, "no recording for the train part that isn't silent"),
        ({"a_1.wav": NOISES["noise/a_1.wav"], "b_1.wav": NOISES["noise/b_1.wav"]}, "for the valid part"),
        ({**NOISES, "noise/c_2_3.wav": recorded(np.ones(5))}, "matches both data.noises.valid.pattern and"),
        ({**NOISES, "noise/d_1.wav": b"RIFF but no recording"}, "is a broken recording"),
    ],
)
def test_noises_that_cannot_be_used_are_refused_in_a_line(tmp_path, noises, said):
    with pytest.raises(DataError, match=said) as refused:
        prepare_beside(tmp_path, noises=noises)
    assert "\n" not in str(refused.value)


def test_a_broken_noise_is_left_out_where_the_recipe_says_so(tmp_path):
    prepared = prepare_beside(tmp_path, noises={**NOISES, "noise/d_1.wav": b"RIFF but none"}, corrupt="drop")
    assert prepared.card["dropped"]["broken or empty recording"] == 1


def test_a_tape_that_was_altered_is_refused(tmp_path):
    prepared = prepare_beside(tmp_path, noises=NOISES)
    np.save(prepared.folder / "train_noises_ends.npy", np.array([5]))
    with pytest.raises(DataError, match="isn't what was prepared"):
        Prepared.open(prepared.folder)
