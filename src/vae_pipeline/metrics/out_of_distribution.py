"""Scores that tell images of another kind where -ELBO doesn't: plain images are likely under a model of busy ones."""

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import PerExample, evaluating
from vae_pipeline.metrics.parts import at_once, batches
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive

STEPS = 60
LEARNING_RATE = 0.1
DRAWS = 4  # of z, an even number: each with its mirror image


def complexity(images: npt.NDArray[Any], spec: ImageSpec) -> PerExample:
    """The length of each image as a PNG file, in nats; -ELBO minus this doesn't favour plain images.

    -ELBO has to be of a likelihood of 8-bit values, such as `discretised_logistic`.

    Source: Serrà et al., Input complexity and out-of-distribution detection with likelihood-based generative models,
    2020.
    """
    return np.array([_png_bytes(image) * 8 * math.log(2) for image in to_pixels(images, spec.low, spec.high)])


def _png_bytes(image: npt.NDArray[np.uint8]) -> int:
    file = io.BytesIO()
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.tell()


def atypicality(score: PerExample, known: PerExample) -> PerExample:
    """The distance of a score from the mean of known ones, to either side.

    Source: Nalisnick et al., Detecting out-of-distribution inputs to deep generative models using typicality, 2019.
    """
    distance: PerExample = np.abs(score - known.mean())
    return distance


def likelihood_regret(model: VAE, split: Split, seed: int, device: torch.device) -> PerExample:
    """Gain of an image's ELBO, in nats, if q(z|x) is optimised for it alone; small where the encoder knows its kind.

    Every image has the same draws, whose mean is 0 and variance 1.

    Source: Xiao, Yan and Amit, Likelihood regret, 2020.

    Raises:
        ValueError: the posterior isn't a diagonal Gaussian.
    """
    drawn = torch.Generator().manual_seed(derive(seed, "regret") % 2**63)
    half = torch.randn(DRAWS // 2, model.latents, generator=drawn)
    noise = torch.cat([half, -half])
    noise = (noise / noise.square().mean(0).sqrt()).unsqueeze(1).to(device)
    with evaluating(model):
        return np.concatenate(
            [
                _regret(model, rows, noise)
                for rows in batches(split, device, "scores", max(1, at_once(split, 1024) // DRAWS))
            ]
        )


def _regret(model: VAE, rows: Rows, noise: Tensor) -> PerExample:
    with torch.no_grad():
        inferred, target = model.encode(rows.x, rows.label), model.scaling(rows.explained)
    if not isinstance(inferred, DiagonalGaussian):
        raise ValueError(f"likelihood regret needs a diagonal Gaussian q(z|x); this is a {type(inferred).__name__}")
    own = inferred.mean.clone().requires_grad_(), inferred.log_variance.clone().requires_grad_()
    optimiser = torch.optim.Adam(own, LEARNING_RATE)
    first = best = torch.empty(0)
    for step in range(STEPS + 1):
        inference = model.explain(target, DiagonalGaussian(*own).draw(noise), rows.label)
        bound = -(inference.distortion() + inference.rate()).mean(0)
        best = bound.detach() if step == 0 else torch.maximum(best, bound.detach())
        first = best if step == 0 else first
        gradient = torch.autograd.grad(-bound.sum(), own)
        for parameter, slope in zip(own, gradient, strict=True):
            parameter.grad = slope
        optimiser.step()
    return np.asarray((best - first).cpu().double())
