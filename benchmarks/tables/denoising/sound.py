"""The denoisers of speech, each in a process of its own, judged by SI-SDR, STOI and PESQ."""

import hashlib
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.store import Store
from benchmarks.tables.denoising.mixtures import RATE_HZ, TEST_NOISES, VALID_NOISES, mixed, noises, speech
from benchmarks.tables.denoising.running import OURS, Row, told_by

SETS = ("digits", "rows of digits", "rows of words")
METHODS = (
    "noisy",
    "Wiener, of samples",
    "noisereduce, stationary",
    "noisereduce, not stationary",
    "Wiener, decision-directed",
    OURS,
)
SECTION = "speech"


class Listening:
    """Runs of denoisers of speech, and where what they reach is stored."""

    def __init__(self, store: Store, folder: Path, bundle: Path | None) -> None:
        self.store, self.folder, self.bundle = store, folder, bundle

    def measure(self, sets: Sequence[str], methods: Sequence[str]) -> None:
        """Store what each method reaches on each set."""
        parts = self._mixtures(sets)
        for name, method in product(parts, methods):
            if method == OURS and self.bundle is None:
                continue
            bundle = [self.bundle] if method == OURS else []
            (told,) = told_by(method, "denoise_sound.py", method, self.folder, name, *bundle)
            rows = self.store.rows(SECTION)
            rows.setdefault(name, {}).update({"set": parts[name], method: told | self._judged(name, method)})
            self.store.keep(SECTION, rows)

    def _mixtures(self, sets: Sequence[str]) -> dict[str, Row]:
        """Write the mixtures, and tell what they are."""
        mirror = Path(os.environ["VAE_MIRROR"])
        among = {"valid": noises(mirror, VALID_NOISES), "test": noises(mirror, TEST_NOISES)}
        told = {}
        for name, held in speech(mirror).items():
            if name not in sets:
                continue
            for part, clean, seed in (("valid", held.valid, 1), ("test", held.test, 2)):
                mixtures = mixed(clean, among[part], seed)
                np.savez(self.folder / f"{name}-{part}.npz", **mixtures)
            told[name] = {
                "recordings": len(held.test),
                "seconds": float(mixtures["ends"][-1]) / RATE_HZ / len(set(mixtures["snr"])),
                "digest": f"sha256:{hashlib.sha256(mixtures['noisy'].tobytes()).hexdigest()}",
            }
        return told

    def _judged(self, name: str, method: str) -> Row:
        """The means of each figure that all mixtures have, by SNR, and SI-SDR's gain by noise."""
        place = self.folder / f"{name}-test.npz"
        (told,) = told_by("judge", "judge_sound.py", place, self.folder / f"{name}-{method}.npy")
        mixtures = np.load(place)
        found = {figure: np.array(values, float) for figure, values in told.items()}
        whole = {figure: values for figure, values in found.items() if not np.isnan(values).any()}
        by_snr = {figure: by(values, mixtures["snr"]) for figure, values in whole.items()}
        return by_snr | {"gain by noise": by(found["gain"], mixtures["noise"])}


def by(values: npt.NDArray[np.float64], names: npt.NDArray[Any]) -> dict[str, float]:
    """The means of values, by name."""
    return {str(name): float(values[names == name].mean()) for name in dict.fromkeys(names.tolist())}
