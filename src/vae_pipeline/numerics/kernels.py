"""Kernels, which say how alike two latents are."""

import torch
from jaxtyping import Float
from torch import Tensor

BANDWIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # relative to 2 * latents


def inverse_multiquadratic(
    a: Float[Tensor, "first latents"], b: Float[Tensor, "second latents"]
) -> Float[Tensor, "first second"]:
    """Σ_s s / (s + |a - b|²) of every pair, over bandwidths s.

    Source: Tolstikhin, Bousquet, Gelly and Schölkopf, Wasserstein Auto-Encoders, 2018, section 4.
    """
    squares = (a[:, None] - b).square().sum(-1)  # not expanded: float32 would lose what lies close, far from zero
    scales = [2.0 * a.shape[1] * width for width in BANDWIDTHS]
    return torch.stack([scale / (scale + squares) for scale in scales]).sum(0)
