"""Mixtures of speech with recorded noise, drawn by a seed, the same bytes for everyone who denoises them.

Speech is FSDD's official test part and Speech Commands; its validation mixtures are of FSDD's other takes and of other
words. Noises are divided by the recordings that they were cut from, so that none is on two sides. A recording has the
same noise at every SNR, which is the ratio of mean powers over the recording; where the sum would be over full scale,
mixture and speech are made softer by one factor.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from vae_pipeline.kinds.listing import list_recordings

RATE_HZ = 8_000
SNRS_DB = (-5, 0, 5, 10)
PAUSE = RATE_HZ // 5  # before each word of a row, and after the last
PEAK = 0.99
DIGITS, WORDS = 10, 5
"""Recordings in a row."""
TEST_NOISES = r"169127|194711|198965|170247|171207|193480|180380|181286|195497|204618|running_tap"
VALID_NOISES = r"165823|191327|164661|125929|177250|182613|exercise_bike"
Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Speech:
    """Recordings by name, and the noises that they are mixed with."""

    valid: dict[str, Wave]
    test: dict[str, Wave]


def speech(mirror: Path) -> dict[str, Speech]:
    """The sets, by name; of validation as many as tuning takes."""
    digits = recordings(mirror / "fsdd" / "recordings.tar.gz")
    words = recordings(mirror / "speech_commands" / "speech_commands_300.tar.xz")
    official = {name: x for name, x in digits.items() if re.search(r"_[0-4]\.wav$", name)}
    others = {name: x for name, x in digits.items() if re.search(r"_(7|19)\.wav$", name)}
    by_speaker = sorted(words, key=lambda name: Path(name).name)
    return {
        "digits": Speech(dict([*others.items()][::5]), official),
        "rows of digits": Speech(_rows(_takes(others)[::2], others, DIGITS), _rows(_takes(official), official, DIGITS)),
        "rows of words": Speech(_rows(by_speaker[:30], words, WORDS), _rows(by_speaker[30:], words, WORDS)),
    }


def _takes(digits: dict[str, Wave]) -> list[str]:
    """Names in the order of speaker, take and digit."""

    def place(name: str) -> tuple[str, int, str]:
        digit, speaker, take = Path(name).stem.split("_")
        return speaker, int(take), digit

    return sorted(digits, key=place)


def _rows(names: Sequence[str], of: dict[str, Wave], count: int) -> dict[str, Wave]:
    """Recordings in a row, with pauses; each is named by its first."""
    pause = np.zeros(PAUSE, np.float32)
    whole = [names[at : at + count] for at in range(0, len(names), count)]
    return {some[0]: np.concatenate([pause, *(part for name in some for part in (of[name], pause))]) for some in whole}


def recordings(archive: Path) -> dict[str, Wave]:
    """The recordings of an archive at 8 kHz, by name."""
    found = {}
    listing = list_recordings(archive)
    for name in sorted(listing.names):
        x, rate = soundfile.read(io.BytesIO(listing.read(name)), dtype="float32")
        found[name] = x if rate == RATE_HZ else soxr.resample(x, rate, RATE_HZ)
    return found


def noises(mirror: Path, pattern: str) -> dict[str, dict[str, Wave]]:
    """Noises whose name has the pattern, by class and name."""
    held = recordings(mirror / "noises" / "esc10_fold_4_16k_wav.tar.xz")
    held |= recordings(mirror / "noises" / "speech_commands_noise.tar.xz")
    found: dict[str, dict[str, Wave]] = {}
    for name in filter(re.compile(pattern).search, held):
        path = Path(name)
        found.setdefault(path.parent.name or path.stem, {})[name] = held[name]
    return found


def mixed(clean: dict[str, Wave], among: dict[str, dict[str, Wave]], seed: int) -> dict[str, Any]:
    """Each recording at each SNR: concatenated samples `clean` and `noisy`, `ends`, and `name`, `noise` and `snr`."""
    rows = [*_mixtures(clean, among, seed)]
    wanted, noisy, name, noise, snr = zip(*rows, strict=True)
    return {
        "clean": np.concatenate(wanted),
        "noisy": np.concatenate(noisy),
        "ends": np.cumsum([len(x) for x in wanted]),
        "name": np.array(name),
        "noise": np.array(noise),
        "snr": np.array(snr),
    }


def _mixtures(
    clean: dict[str, Wave], among: dict[str, dict[str, Wave]], seed: int
) -> Iterator[tuple[Wave, Wave, str, str, int]]:
    for number, (name, x) in enumerate(clean.items()):
        generator = np.random.default_rng([seed, number])
        kind = str(generator.choice([*among]))
        power = 0.0
        while not power:  # a noise may pause
            noise = among[kind][str(generator.choice([*among[kind]]))]
            part = np.take(noise, generator.integers(len(noise)) + np.arange(len(x)), mode="wrap")
            power = float(np.square(part, dtype=np.float64).mean())
        for snr in SNRS_DB:
            gain = np.sqrt(np.square(x, dtype=np.float64).mean() / power / 10 ** (snr / 10))
            noisy = x + gain * part
            softer = min(1.0, PEAK / float(np.abs(noisy).max()))
            yield (softer * x).astype(np.float32), (softer * noisy).astype(np.float32), name, kind, snr
