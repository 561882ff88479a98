"""The knots that pin a column's scaling: a line, or the quantiles of its values to those of N(0, 1)."""

import numpy as np
from scipy.special import ndtri

from vae_pipeline.kinds.parts import Array
from vae_pipeline.kinds.spec import CLIP
from vae_pipeline.recipe.data import ColumnScaling

QUANTILES = 101
STEP = 2.0**-23  # relative distance of a float32 from the next
LEAST = 1e-31  # spread; a quantile's share of less is no normal float32


def knots_of(present: Array, scaling: ColumnScaling) -> tuple[tuple[float, float], ...]:
    """Knots of a scaling of numbers, of which all of `present` are there: `Column.knots`."""
    present = present.astype(np.float64)
    middle, scale = float(present.mean()), float(present.std())
    if scaling == "robust":
        low, middle, high = (float(value) for value in np.quantile(present, (0.25, 0.5, 0.75)))
        # A Gaussian's quartiles are 1.349 standard deviations apart; where half of all values are equal, that is 0.
        scale = (high - low) / 1.349 or scale
    if scale <= max(1e-6 * abs(middle), LEAST):  # constant, as far as float32 can tell
        scale = max(scale, STEP * (abs(middle) or 1.0), LEAST)  # any other value is far
    elif scaling == "quantile":
        return _quantile_knots(present, scale)
    return ((middle - CLIP * scale, -CLIP), (middle + CLIP * scale, CLIP))


def _quantile_knots(present: Array, scale: float) -> tuple[tuple[float, float], ...]:
    """Quantiles to those of N(0, 1); beyond the extremes a unit is a standard deviation, so that far stays far."""
    shares, least = np.linspace(0, 1, min(QUANTILES, len(present))), 0.5 / len(present)
    step = 1e-6 * (scale + abs(float(present.mean())))  # float32 tells knots apart that are this far from each other
    quantiles = np.round(np.quantile(present, shares) / step) * step
    raw, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    share = shares.clip(least, 1 - least)
    middle = ndtri(np.array([share[at : at + count].mean() for at, count in zip(first, counts, strict=True)]))
    inner = [(float(x), float(y)) for x, y in zip(raw, middle, strict=True)]
    (low, down), (high, up) = inner[0], inner[-1]
    return ((low - (CLIP + down) * scale, -CLIP), *inner, (high + (CLIP - up) * scale, CLIP))
