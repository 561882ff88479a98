"""Grey bars on a dark ground: data with a known structure, for tests and a first try."""

import numpy as np

from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.recipe.data import SyntheticData


def open_bars(data: SyntheticData, seed: int) -> ImageSource:
    """Draw one bar an image: upright or lying (the label), its place, width and brightness at random."""
    draw = np.random.default_rng([seed, 0])
    count, side = data.examples, data.side
    lying = draw.integers(0, 2, count)
    width = draw.integers(1, max(2, side // 3), count)
    start = draw.integers(0, side - width + 1)
    brightness = draw.integers(128, 256, count)
    place = np.arange(side)
    inside = (place >= start[:, None]) & (place < (start + width)[:, None])
    profile = np.where(inside, brightness[:, None], 0)
    upright = np.broadcast_to(profile[:, None, :], (count, side, side))
    images = np.where(lying[:, None, None] == 1, upright.transpose(0, 2, 1), upright)
    return ImageSource(
        shape=(1, side, side),
        dtype="uint8",
        low=0,
        high=255,
        classes=("upright", "lying"),
        train=Part(images.astype(np.uint8)[:, None], lying.astype(np.int64)),
        valid=data.valid,
        test=data.test,
        split=data.split,
        origins={f"{count} bars of side {side}": f"seed:{seed}"},
    )
