"""Images behind Gaussian noise, drawn by a seed, the same bytes for everyone who denoises them."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.decoding import read_whole
from vae_pipeline.kinds.image.spec import LEVELS
from vae_pipeline.kinds.listing import list_pictures

DIGITS, PHOTOGRAPHS = (0.25, 0.5), (15 / 255, 25 / 255, 50 / 255)
"""Deviations of the noise, on [0, 1]."""
TUNED_ON = {"digits": 20, "photographs": 4}
TESTED_ON = 100  # of the 10,000 test images of digits and clothes
EACH = {"Set12": 1, "BSD68": 4}  # one of so many photographs, since BM3D takes a quarter of a minute for one
Images = list[npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Shown:
    """Clean images on [0, 1], and the deviations of the noise."""

    valid: Images
    test: Images
    deviations: tuple[float, ...]


def shown(mirror: Path) -> dict[str, Shown]:
    """The sets, by name; those of validation are of each set's training part."""
    trained = photographs(mirror / "photos" / "train400.tar")[:: 400 // TUNED_ON["photographs"]]
    found = {}
    for name, folder in (("MNIST", "mnist"), ("Fashion-MNIST", "fashion_mnist")):
        valid = small(mirror / folder / "train-images-idx3-ubyte.gz", TUNED_ON["digits"])
        found[name] = Shown(valid, small(mirror / folder / "t10k-images-idx3-ubyte.gz", TESTED_ON), DIGITS)
    for name, step in EACH.items():
        tested = photographs(mirror / "photos" / f"{name.lower()}.tar")[::step]
        found[name] = Shown(trained, tested, PHOTOGRAPHS)
    return found


def small(file: Path, count: int) -> Images:
    """The first images of a file of the format IDX."""
    values = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16)
    return [*(values.reshape(-1, 28, 28)[:count] / 255)]


def photographs(archive: Path) -> Images:
    """The grey photographs of a .tar, in the order of their names."""
    pictures = list_pictures(archive)
    return [read_whole(pictures.read(name), name, 1, LEVELS)[0] / 255 for name in sorted(pictures.names)]


def noisy(clean: Images, deviation: float, seed: int) -> Images:
    """Each image with noise of its own, neither clipped nor rounded."""
    drawn = (np.random.default_rng([seed, number]) for number in range(len(clean)))
    return [x + deviation * generator.standard_normal(x.shape) for x, generator in zip(clean, drawn, strict=True)]


def written(of: Shown, deviation: float, place: Path) -> None:
    """Both parts of a set at one deviation, as .npz: the images of a part one after the other, and their shapes."""
    parts: dict[str, Any] = {"deviation": deviation}
    for part, clean, seed in (("valid", of.valid, 1), ("test", of.test, 2)):
        parts[f"{part}_shapes"] = [x.shape for x in clean]
        for name, images in (("clean", clean), ("noisy", noisy(clean, deviation, seed))):
            parts[f"{part}_{name}"] = np.concatenate([x.ravel() for x in images]).astype(np.float32)
    np.savez(place, **parts)
