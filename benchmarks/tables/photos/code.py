"""Bits and errors of codes of photographs: draws of the posterior, its mean in steps, and JPEG."""

import io
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.inference import Encoding

MULTIPLES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # of the posterior's deviation
BEYOND = 64  # steps beyond those that training tiles came to, which have a code too
Array = npt.NDArray[Any]
Row = dict[str, Any]


class Rounding:
    """Rounds means to steps, and knows the bits of each step."""

    def __init__(self, model: Bundle, found: Encoding, validation: Array) -> None:
        seen = model.encode_map(validation)
        deviation = np.exp(found.log_variance).mean((0, 2, 3), keepdims=True) ** 0.5
        error = squared(validation, model.decode_map(drawn(seen)))
        self.told: Row = {}
        costs = []
        for multiple in MULTIPLES:
            self._fit(found.mean, multiple * deviation)
            back, bits = self(seen.mean)
            own = squared(validation, model.decode_map(back))
            costs.append(bits * np.log(2) + validation.size * own / (2 * error))
            shown = {"bits a pixel": bits / validation.size, "PSNR": psnr(own), "cost": costs[-1] / validation.size}
            self.told[f"{multiple:g}"] = shown
        best = MULTIPLES[int(np.argmin(costs))]
        self._fit(found.mean, best * deviation)
        self.told["chosen"] = best

    def _fit(self, means: Array, step: Array) -> None:
        """Learn how often each step occurs in each channel; one that never did counts as half a time."""
        steps = np.rint(means / step).astype(np.int64)
        self.step, self.low, self.high = step, steps.min() - BEYOND, steps.max() + BEYOND
        counts = [
            np.bincount(each.ravel() - self.low, minlength=self.high - self.low + 1)
            for each in np.moveaxis(steps, 1, 0)
        ]
        share = np.stack(counts) + 0.5
        self.bits = -np.log2(share / share.sum(1, keepdims=True))

    def __call__(self, means: Array) -> tuple[Array, float]:
        """The rounded means, and the bits of all."""
        steps = np.rint(means / self.step).astype(np.int64).clip(self.low, self.high)
        spent_on = self.bits[np.arange(means.shape[1])[:, None, None], steps - self.low]
        return (steps * self.step).astype(np.float32), float(spent_on.sum())


def code(model: Bundle, rounding: Rounding, x: Array) -> dict[str, Row]:
    """Bits a pixel and PSNR of a photograph, of a draw and the mean at the KL and of the rounded mean; and JPEG's."""
    found = model.encode_map(x)
    back, bits = rounding(found.mean)
    height, width = x.shape[2:]
    rows = {}
    for name, z, cost in (
        ("draw", drawn(found), rate(found)),
        ("mean", found.mean, rate(found)),
        ("rounded", back, bits),
    ):
        own = psnr(squared(x, model.decode_map(z)[:, :, :height, :width]))
        theirs, within = jpeg_at(x[0, 0], cost)
        rows[name] = {"bits a pixel": cost / x.size, "PSNR": own, "JPEG": theirs, "within": within}
    return rows


def means(rows: list[dict[str, Row]]) -> dict[str, Row]:
    """The means over photographs, by code."""
    found = {}
    for name in rows[0]:
        each = [row[name] for row in rows]
        found[name] = {
            "images": len(each),
            "better": sum(row["PSNR"] > row["JPEG"] for row in each),
            **{key: float(np.mean([row[key] for row in each])) for key in ("bits a pixel", "PSNR", "JPEG")},
            "JPEG needs more": sum(not row["within"] for row in each),
        }
    return found


def drawn(found: Encoding) -> Array:
    """A draw of q(z|x), seed 0."""
    noise = np.random.default_rng(0).standard_normal(found.mean.shape, np.float32)
    return np.asarray(found.mean + np.exp(0.5 * found.log_variance) * noise, np.float32)


def rate(found: Encoding) -> float:
    """KL(q || N(0, 1)) in bits."""
    mean, log_variance = np.float64(found.mean), np.float64(found.log_variance)
    return float(0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum() / np.log(2))


def squared(x: Array, found: Array) -> float:
    """The mean squared error of what a picture file would hold."""
    return float(np.square(np.rint(found).clip(0, 255) - np.float64(x)).mean())


def psnr(error: float) -> float:
    """PSNR in dB of a mean squared error, of values from 0 to 255."""
    return float(10 * np.log10(255**2 / error))


def jpeg_at(image: Array, bits: float) -> tuple[float, bool]:
    """PSNR of JPEG at so many bits, the header's counted, between the two qualities whose files come nearest.

    False where the smallest file already has more: its PSNR is given.
    """

    @cache
    def file(quality: int) -> bytes:
        written = io.BytesIO()
        Image.fromarray(image).save(written, "JPEG", quality=quality, optimize=True)
        return written.getvalue()

    def quality_of(quality: int) -> tuple[int, float]:
        return 8 * len(file(quality)), psnr(squared(image, np.asarray(Image.open(io.BytesIO(file(quality))))))

    low, high = 1, 95
    if 8 * len(file(low)) > bits:
        return quality_of(low)[1], False
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if 8 * len(file(middle)) <= bits else (low, middle)
    (fewer, worse), (more, better) = quality_of(low), quality_of(high)
    return worse + (better - worse) * min(1.0, (bits - fewer) / max(1, more - fewer)), True
