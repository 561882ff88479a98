"""Rows that a model of a table draws."""

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.models.table import TableVAE
from vae_pipeline.numerics.randomness import seeded

BATCH = 1_000


@torch.inference_mode()
def draw_rows(model: TableVAE, count: int, seed: int) -> npt.NDArray[np.float32]:
    """Raw rows, less offsets, NaN where a value is missing."""
    device = next(model.parameters()).device
    found = []
    with seeded(seed), evaluating(model):
        for size in [BATCH] * (count // BATCH) + [count % BATCH] * (count % BATCH > 0):
            z = model.draw(torch.randn(size, model.noise).to(device))
            even = torch.rand(size, model.rows.uniform).clamp(2.0**-24, 1 - 2.0**-24).to(device)
            drawn = model.draw_rows(z, even)
            found.append(torch.where(drawn.present > 0, drawn.values, torch.nan).cpu().numpy())
    return np.concatenate(found)
