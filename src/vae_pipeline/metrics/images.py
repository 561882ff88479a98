"""The fidelity of a reconstruction to its image, and its sharpness; both on [0, 1]."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

Array = npt.NDArray[Any]

WINDOW_SCALE, WINDOW_RADIUS = 1.5, 5  # an 11 x 11 Gaussian window
LUMINANCE, CONTRAST = 0.01**2, 0.03**2  # the constants C1 and C2 for values on [0, 1]


@dataclass(frozen=True)
class Fidelity:
    """Averages over examples."""

    mse: float
    psnr: float
    """dB; the average of each image's own."""
    ssim: float
    mse_of_sample: float
    psnr_of_sample: float
    sharpness: float | None
    """Variance of the Laplacian over that of the images; None where those are flat."""
    psnr_of_input: float | None
    ssim_of_input: float | None
    """PSNR and SSIM of the corrupted images it was given, clipped to [0, 1]; None where it was given clean ones."""


@torch.inference_mode()
def fidelity(model: VAE, split: Split, seed: int, device: torch.device) -> Fidelity:
    """E[x|z], clipped to [0, 1], against its clean image: z is the posterior's mean or, `of_sample`, a draw."""
    squares, squares_of_sample, ssim, edges, given_edges = [], [], [], [], []
    given: list[Array] = []
    with seeded(derive(seed, "fidelity")), evaluating(model):
        for rows in batches(split, device, "reconstructions"):
            posterior = model.encode(rows.x, rows.label)
            target = model.scaling(rows.original).cpu().double().numpy()
            output = _decoded(model, posterior.mean, rows.label)
            of_sample = _decoded(model, posterior.rsample(), rows.label)
            squares.append(((target - output) ** 2).mean(axis=(1, 2, 3)))
            squares_of_sample.append(((target - of_sample) ** 2).mean(axis=(1, 2, 3)))
            ssim.append(structural_similarity(target, output))
            edges.append(laplacian_variance(output))
            given_edges.append(laplacian_variance(target))
            if rows.clean is not None:
                x = model.scaling(rows.x).clamp(0, 1).cpu().double().numpy()
                found = psnr(((target - x) ** 2).mean(axis=(1, 2, 3))), structural_similarity(target, x)
                given.append(np.stack(found))
    mse, mse_of_sample = np.concatenate(squares), np.concatenate(squares_of_sample)
    edges_of_images = float(np.concatenate(given_edges).mean())
    of_input = [float(figure) for figure in np.concatenate(given, 1).mean(1)] if given else [None, None]
    return Fidelity(
        float(mse.mean()),
        float(psnr(mse).mean()),
        float(np.concatenate(ssim).mean()),
        float(mse_of_sample.mean()),
        float(psnr(mse_of_sample).mean()),
        float(np.concatenate(edges).mean()) / edges_of_images if edges_of_images > 0 else None,
        *of_input,
    )


def _decoded(model: VAE, z: Tensor, labels: Tensor | None) -> Array:
    return model.decode(z, labels).mean.clamp(0, 1).cpu().double().numpy()


def psnr(mse: Array) -> Array:
    """10 log10(1 / MSE), for values on [0, 1]; at most 100 dB, so that one perfect image doesn't make it infinite."""
    return np.asarray(-10 * np.log10(np.maximum(mse, 1e-10)))


def structural_similarity(first: Array, second: Array) -> Array:
    """SSIM of each pair of [n, channels, height, width] on [0, 1], averaged over channels.

    An 11 x 11 Gaussian window of scale 1.5; the mean is over windows that lie inside the image or, where a
    side is under 11, over all of them with the image mirrored at its edges.

    Source: Wang, Bovik, Sheikh and Simoncelli, Image Quality Assessment, 2004, eq. 13.
    """
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 (half a second and 50 MiB, which training does without)

    def blur(values: Array) -> Array:
        scale = (0, 0, WINDOW_SCALE, WINDOW_SCALE)
        radius = (0, 0, WINDOW_RADIUS, WINDOW_RADIUS)
        return np.asarray(gaussian_filter(values, scale, radius=radius, mode="reflect"))

    mean_1, mean_2 = blur(first), blur(second)
    variance_1 = blur(first * first) - mean_1**2
    variance_2 = blur(second * second) - mean_2**2
    covariance = blur(first * second) - mean_1 * mean_2
    similarity = ((2 * mean_1 * mean_2 + LUMINANCE) * (2 * covariance + CONTRAST)) / (
        (mean_1**2 + mean_2**2 + LUMINANCE) * (variance_1 + variance_2 + CONTRAST)
    )
    if min(first.shape[2:]) > 2 * WINDOW_RADIUS:
        inside = slice(WINDOW_RADIUS, -WINDOW_RADIUS)
        similarity = similarity[:, :, inside, inside]
    return np.asarray(similarity.mean(axis=(1, 2, 3)))


def laplacian_variance(images: Array) -> Array:
    """Variance of the Laplacian of each of [n, channels, height, width]: high where there are edges.

    The stencil is four neighbours less four times the middle; at an edge, the pixel there is its own neighbour.

    Source: Pech-Pacheco, Cristóbal, Chamorro-Martínez and Fernández-Valdivia, Diatom Autofocusing in Brightfield
    Microscopy, 2000.
    """
    around = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    beside = around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]
    above = around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1]
    return np.asarray((beside + above - 4 * images).var(axis=(1, 2, 3)))


def entropy_floor(split: Split, low: float, high: float) -> float:
    """Σ H(x) over pixels, averaged over examples: the least cross-entropy that any Bernoulli can reach, in nats."""
    total = 0.0
    for start in range(0, len(split), 4096):
        x = (split.x[start : start + 4096].astype(np.float64) - low) / (high - low)
        inner = x[(x > 0) & (x < 1)]
        total -= float((inner * np.log(inner) + (1 - inner) * np.log1p(-inner)).sum())
    return total / len(split) if len(split) else math.nan
