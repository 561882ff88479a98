"""The spread of the numbers of a map of latents: what a model of these latents has to know of their scale."""

from typing import Any

import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches, subset
from vae_pipeline.models.spatial import QuantisedVAE, SpatialVAE
from vae_pipeline.numerics.randomness import derive

IMAGES = 10_000  # of the training part, at most
LEAST = 1e-6  # deviation of a channel that is told, or one whose codes are all the same would have 1 / 0


@torch.inference_mode()
def latent_map(model: SpatialVAE, train: Split, seed: int, device: torch.device) -> dict[str, Any]:
    """Mean and standard deviation of z of each channel, over images, places and draws of q(z|x).

    Those of draws need none: Var[z] = Var[E[z|x]] + E[Var[z|x]].
    """
    some = subset(train, IMAGES, derive(seed, "latent map"))
    first = second = torch.zeros(model.latent_shape[0], dtype=torch.float64)
    with evaluating(model):
        for rows in batches(some, device, "the map of latents"):
            q = model.encode(rows.x, rows.label)
            mean, variance = (each.cpu().double().unflatten(1, model.latent_shape) for each in (q.mean, q.variance))
            first = first + mean.sum((0, 2, 3))
            second = second + (mean.square() + variance).sum((0, 2, 3))
    count = len(some) * model.latent_shape[1] * model.latent_shape[2]
    middle = first / count
    return {
        "channels": model.latent_shape[0],
        "factor": model.factor,
        "encoder_radius": model.encoder.radius,
        "decoder_radius": model.decoder.radius,
        "mean": middle.tolist(),
        "deviation": (second / count - middle.square()).clamp_min(LEAST**2).sqrt().tolist(),
        "images": len(some),
        **({"levels": list(model.code_levels)} if isinstance(model, QuantisedVAE) else {}),
    }
