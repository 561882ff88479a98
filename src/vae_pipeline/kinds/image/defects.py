"""Defects drawn on flawless images, from the seed: stripes, blobs, missing parts, and the masks of all three.

What is drawn has no part in training: it is for finding out whether a model of flawless images finds it.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from vae_pipeline.kinds.parts import Array, ImageSource, Indices, Part, Readable
from vae_pipeline.kinds.splitting import split
from vae_pipeline.recipe.data import DrawnDefectsData
from vae_pipeline.recipe.split import HASHED


def with_defects(data: DrawnDefectsData, source: ImageSource, seed: int) -> ImageSource:
    """The source, split, with a defect on a share of its test part; the label says which kind."""
    parts = split(source, seed)
    test = parts["test"]
    draw = np.random.default_rng([seed, 0])
    spoilt = draw.random(len(test.rows)) < data.share
    labels = np.where(spoilt, draw.integers(1, len(data.defects) + 1, len(test.rows)), 0)
    rows = DefectiveRows(test.rows, labels, ("", *data.defects), source.low, source.high, seed)
    train, valid = (dataclasses.replace(parts[name], labels=_none(parts[name])) for name in ("train", "valid"))
    return dataclasses.replace(
        source,
        classes=("normal", *data.defects),
        train=train,
        valid=valid if len(valid.rows) else 0.0,
        test=dataclasses.replace(test, rows=rows, labels=labels, masks=Masks(rows)),
        one_class=True,
        split=HASHED,  # they are split already
        groups={},
    )


def _none(part: Part) -> Indices:
    return np.zeros(len(part.rows), np.int64)


@dataclass(frozen=True)
class DefectiveRows:
    """Images, drawn on when they are read."""

    rows: Readable
    labels: Indices
    kinds: tuple[str, ...]
    low: float
    high: float
    seed: int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Indices) -> Array:
        images = np.array(self.rows[indices])
        for place, index in enumerate(indices):
            if self.labels[index]:
                draw = np.random.default_rng([self.seed, 1, index])
                image = spoil(images[place], self.kinds[self.labels[index]], self.low, self.high, draw)
                images[place] = np.rint(image) if images.dtype == np.uint8 else image
        return images


@dataclass(frozen=True)
class Masks:
    """Masks of the pixels in which drawn images differ from what they were; an unchanged pixel shows none."""

    rows: DefectiveRows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Indices) -> Array:
        return np.asarray((self.rows[indices] != self.rows.rows[indices]).any(axis=1), np.uint8)


def spoil(image: Array, kind: str, low: float, high: float, draw: np.random.Generator) -> Array:
    """One defect on one image [channels, height, width], so large that a person sees it; sizes are of the shorter side.

    A part is missing where something was: a square around a pixel that is drawn by its brightness becomes `low`. Each
    pixel of a stripe or a blob (or where all is dark, and nothing can be missing) goes at least halfway to the extreme
    that it is farther from.
    """
    height, width = image.shape[1:]
    side = min(height, width)
    bright = (image.sum(axis=0, dtype=np.float64) - low * len(image)).ravel()
    if kind == "missing" and bright.any():
        row, column = np.divmod(draw.choice(len(bright), p=bright / bright.sum()), width)
        reach = draw.uniform(0.14, 0.22) * side
        inside = (np.abs(np.arange(height) - row) <= reach)[:, None] & (np.abs(np.arange(width) - column) <= reach)
        return np.where(inside, low, image)
    row, column = draw.uniform(0.15, 0.85) * height, draw.uniform(0.15, 0.85) * width
    down, right = np.arange(height)[:, None] - row, np.arange(width) - column
    angle = draw.uniform(0, np.pi)
    along, across = down * np.sin(angle) + right * np.cos(angle), right * np.sin(angle) - down * np.cos(angle)
    if kind == "blob":
        first, second = np.maximum(draw.uniform(0.07, 0.14, 2) * side, 1)
        inside = (along / first) ** 2 + (across / second) ** 2 <= 1
    else:
        length, wide = draw.uniform(0.25, 0.5) * side, max(draw.uniform(0.03, 0.05) * side, 0.75)
        inside = (np.abs(along) <= length) & (np.abs(across) <= wide)
    farther = np.where(image < (low + high) / 2, high, low)
    return np.where(inside, image + draw.uniform(0.5, 1) * (farther - image.astype(np.float64)), image)
