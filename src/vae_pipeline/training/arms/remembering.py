"""New images that remember labelled ones: they lie nearer to these than to others of the same kind."""

import numpy as np
import torch
from torch import nn

from vae_pipeline.metrics.image_privacy import KNOWN, in_pixels, told_by_samples
from vae_pipeline.metrics.parts import batches, subset
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.training.arms.generator import new_images
from vae_pipeline.training.arms.repeats import Drawn

IMAGES, ROWS = 1_000, 250  # new images, and so many at a time


@torch.inference_mode()
def nearer_to_labelled(generator: VAE, drawn: Drawn, scaling: nn.Module, device: torch.device) -> float:
    """The share of new images whose nearest image, in pixels, is a labelled one, among as many others that choose.

    It is 0.5 where new images know nothing of single ones.
    """
    labelled, others = drawn.labelled, drawn.choosing
    seed, count = derive(drawn.seed, "remembering"), min(len(labelled), len(others), KNOWN)
    assert labelled.labels is not None  # the study says so
    labels = torch.from_numpy(np.resize(labelled.labels, IMAGES)).to(device)
    with seeded(seed):
        new = [in_pixels(new_images(generator, some)) for some in labels.split(ROWS)]
    members, apart = (
        np.concatenate([in_pixels(scaling(rows.x)) for rows in batches(subset(part, count, seed), device, "distances")])
        for part in (labelled, others)
    )
    found = told_by_samples(members, apart, iter(new), "pixels")
    return float(found["nearer_to_training_in_pixels"])
