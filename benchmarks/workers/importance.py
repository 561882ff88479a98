"""The importance bound in plain torch, for models of anyone: no code of this package, nor of pythae."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

AT_ONCE = 500


def some(images: np.ndarray, count: int) -> Tensor:
    """`count` images [count, 784], drawn without looking: the first ones of MNIST aren't like the others."""
    chosen = np.random.default_rng(0).choice(len(images), count, replace=False)
    return torch.from_numpy(images[np.sort(chosen)]).float().flatten(1)


@torch.no_grad()
def importance_bound(
    encode: Callable[[Tensor], tuple[Tensor, Tensor]], decode: Callable[[Tensor], Tensor], x: Tensor, samples: int
) -> Tensor:
    """log 1/K sum p(x, z) / q(z|x) of binary images [n, 784], nats; p(z) = N(0, I), q a diagonal Gaussian.

    `encode` gives means and log-variances [n, latents], `decode` logits [rows, 784].
    """
    torch.manual_seed(0)
    found = []
    for image in x:
        mean, log_variance = (part.double() for part in encode(image[None]))
        weights = []
        for _ in range(samples // AT_ONCE):
            noise = torch.randn(AT_ONCE, mean.shape[1], dtype=torch.float64)
            z = mean + noise * (0.5 * log_variance).exp()
            log_p_x = -torch.nn.functional.binary_cross_entropy_with_logits(
                decode(z.float()).double(), image.double().expand(AT_ONCE, -1), reduction="none"
            ).sum(-1)
            weights.append(log_p_x + 0.5 * (noise.square() + log_variance - z.square()).sum(-1))
        found.append(torch.cat(weights).logsumexp(0) - math.log(samples))
    return torch.stack(found)
