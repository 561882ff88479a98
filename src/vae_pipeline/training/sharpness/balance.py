"""The adaptive weight, by which a term pulls on the decoder as hard as its recipe says."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

MOST = 1e4


def balanced(
    distortion: Tensor, gradients: Sequence[Tensor], share: float | Tensor
) -> tuple[list[Tensor], Float[Tensor, ""]]:
    """A term's gradients made `share` times as long as the distortion's, and the weight that makes them so.

    All are gradients at the decoder's output. The weight is share ‖distortion‖ / ‖gradients‖, and at most 10,000; where
    that is no number (a gradient is zero, or isn't finite) weight and gradients are zero.

    Source: Esser, Rombach and Ommer, Taming Transformers for High-Resolution Image Synthesis, 2021, eq. 7, there by the
    weights of the last layer, whose gradients are linear in these.
    """
    length = torch.stack([gradient.norm() for gradient in gradients]).norm()
    ratio = distortion.norm() / length
    weight = torch.where(ratio.isfinite(), share * ratio, torch.zeros_like(ratio)).clamp_max(MOST)
    return [torch.where(weight > 0, weight * each, torch.zeros_like(each)) for each in gradients], weight
