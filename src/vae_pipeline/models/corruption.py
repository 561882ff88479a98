"""Images that are corrupted: each kind is a function of a clean image on [0, 1], a level and a generator.

What comes out is neither clipped nor rounded, but for `jpeg`, whose format does both.
"""

import io
import math
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.kinds.corruption import Corruption
from vae_pipeline.kinds.parts import Indices
from vae_pipeline.models.levels import level_of
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.sound.corruption import corrupted_sound
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe import corruption as recipe
from vae_pipeline.recipe.sound_corruption import SoundStep

Picture = Float[Tensor, "channels height width"]
REACH = 4  # deviations to either side at which a blur's filter ends


def gaussian(x: Picture, deviation: float, generator: torch.Generator) -> Picture:
    """N(x, deviation²)."""
    return x + deviation * torch.randn(x.shape, generator=generator)


def poisson(x: Picture, peak: float, generator: torch.Generator) -> Picture:
    """Poisson(peak x) / peak; values under 0, which an earlier step may have made, count as 0."""
    return torch.poisson(peak * x.clamp_min(0), generator=generator) / peak


def salt_and_pepper(x: Picture, share: float, generator: torch.Generator) -> Picture:
    """0 in one half of a share of the places, 1 in the other half."""
    drawn = torch.rand(x.shape[1:], generator=generator)
    return torch.where(drawn < share, (drawn < share / 2).float(), x)


def speckle(x: Picture, deviation: float, generator: torch.Generator) -> Picture:
    """x (1 + n), n ~ N(0, deviation²)."""
    return x * (1 + deviation * torch.randn(x.shape, generator=generator))


def masking(x: Picture, share: float, side: int, generator: torch.Generator) -> Picture:
    """0 in squares of `side` pixels, each with the probability `share`."""
    height, width = x.shape[1:]
    kept = torch.rand(-(-height // side), -(-width // side), generator=generator) >= share
    return x * kept.repeat_interleave(side, 0).repeat_interleave(side, 1)[:height, :width]


def blur(x: Picture, deviation: float) -> Picture:
    """A Gaussian filter; beyond its edge an image goes on as its edge is."""
    reach = math.ceil(REACH * deviation)
    filtered = (-0.5 * (torch.arange(-reach, reach + 1) / deviation).square()).exp()
    filtered = (filtered / filtered.sum()).view(1, 1, 1, -1)
    lines = x.unsqueeze(1)
    for _ in range(2):
        padded = nn.functional.pad(lines, (reach, reach, 0, 0), mode="replicate")
        lines = nn.functional.conv2d(padded, filtered).transpose(2, 3)
    return lines.squeeze(1)


def jpeg(x: Picture, quality: int) -> Picture:
    """JPEG of that quality and back, in colour where there are three channels, else each channel in grey."""
    from PIL import Image  # noqa: PLC0415 (it costs only those who corrupt by it)

    pixels = (255 * x.clamp(0, 1)).round().to(torch.uint8).numpy()
    planes = [pixels.transpose(1, 2, 0)] if len(pixels) == 3 else list(pixels)
    found = []
    for plane in planes:
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(plane)).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file), np.float32) / 255)
    return torch.from_numpy(found[0].transpose(2, 0, 1).copy() if len(pixels) == 3 else np.stack(found))


def corrupted(x: Picture, step: recipe.ImageCorruption, generator: torch.Generator) -> Picture:
    """One step on one image; of a range of levels, at one that is drawn evenly."""
    match step:
        case recipe.GaussianNoise():
            return gaussian(x, level_of(step.deviation, generator), generator)
        case recipe.PoissonNoise():
            return poisson(x, level_of(step.peak, generator), generator)
        case recipe.SaltAndPepper():
            return salt_and_pepper(x, level_of(step.share, generator), generator)
        case recipe.Speckle():
            return speckle(x, level_of(step.deviation, generator), generator)
        case recipe.Masking():
            return masking(x, level_of(step.share, generator), step.side, generator)
        case recipe.Blur():
            return blur(x, level_of(step.deviation, generator))
        case recipe.Jpeg():
            return jpeg(x, round(level_of(step.quality, generator)))
        case _:
            assert_never(step)


def corrupted_rows(
    clean: Rows, corruption: Corruption | None, numbers: slice | Indices, epoch: int | None = None
) -> Rows:
    """Raw observations on a CPU, corrupted as those of these numbers in their split are; as they are where none are.

    What is drawn depends on seed, part and row; in training, where the corruption is drawn anew, on the epoch too.
    """
    if corruption is None:
        return clean
    low, width = corruption.low, corruption.high - corruption.low
    scaled = (clean.x.float() - low) / width
    generator, names = (
        torch.Generator(),
        (corruption.part, *((epoch,) if corruption.anew and epoch is not None else ())),
    )
    for place, row in enumerate(corruption.rows[numbers].tolist()):
        generator.manual_seed(derive(corruption.seed, "corruption", *names, row))
        for step in corruption.steps:
            if isinstance(step, SoundStep):
                scaled[place] = corrupted_sound(scaled[place], step, corruption.beside, generator)
            else:
                scaled[place] = corrupted(scaled[place], step, generator)
    return Rows(scaled * width + low, clean.label, clean.x if corruption.target else None, clean.x)
