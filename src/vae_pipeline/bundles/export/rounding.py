"""Parity of codes: a number halfway between two levels is rounded to either by a difference that any runtime may have.

So a graph of codes is asked for the rows that are farthest from that, and of a map of another size either code will do.
"""

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import read, taken
from vae_pipeline.models.codes import half, nearest
from vae_pipeline.models.spatial import QuantisedVAE
from vae_pipeline.models.vae import VAE

TIED = 1e-4  # of a level, by which a runtime's number may be another
LOOKED_AT = 256  # rows


@torch.inference_mode()
def clearest(model: VAE, test: Split) -> Split:
    """The rows that graphs are asked for, in their order; of codes those first whose numbers are far from a tie."""
    if not isinstance(model, QuantisedVAE):
        return test
    rows = np.arange(min(len(test), LOOKED_AT))
    seen = read(test, rows, torch.device("cpu"))
    within = model.within(seen.x, seen.label)
    tie = (within - within.floor() - 0.5).abs().flatten(1).amin(1)
    return taken(test, np.argsort(-tie.numpy(), kind="stable"))


def either(within: Tensor, found: Tensor, codes: Tensor, levels: Tensor) -> Tensor:
    """The codes, or those that were `found`, wherever their numbers are as near to these."""
    other = nearest(found, levels)
    return torch.where((within - other * half(levels)).abs() <= 0.5 + TIED, other, codes)
