"""Decoder gain: what another example's z costs the decoder. An encoder alone can't raise it, as it can rate and units.

    gain = E[log p(x|z) - log p(x|z')],    z ~ q(z|x),    z' ~ q(z|x') of another example x'

It is the permutation importance of z: 0 where the decoder ignores z. With p(x|z) the true conditional of q(z|x) it is
mutual information and lautum information together. Its nats follow the likelihood's scale, and are few where that is
wide; the share of examples that gain anything doesn't.

Source: Breiman, Random Forests, 2001, section 10; Palomar and Verdú, Lautum Information, 2008, eq. 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating, standard_error
from vae_pipeline.metrics.parts import at_once, read
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

ROWS = 1024  # examples at a time, at most


@dataclass(frozen=True)
class Gain:
    """The gain over some examples."""

    nats: float
    """The mean."""
    standard_error: float | None
    share: float
    """The share of examples that their own z explains better than another's: 0.5 by chance."""

    def figures(self) -> dict[str, float | None]:
        """Figures by their names in metrics.json."""
        return {
            "decoder_gain": self.nats,
            "decoder_gain_standard_error": self.standard_error,
            "decoder_gain_share": self.share,
        }

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> "Gain | None":
        """Inverse of `figures`; None where it wasn't measured."""
        if metrics.get("decoder_gain") is None:
            return None
        return cls(metrics["decoder_gain"], metrics["decoder_gain_standard_error"], metrics["decoder_gain_share"])


@torch.inference_mode()
def decoder_gain(model: VAE, split: Split, seed: int, device: torch.device, most: int) -> Gain | None:
    """The gain over at most `most` examples at even distances; None for a single one, beside which there is no other.

    A conditional model keeps the example's own label beside the other's z.
    """
    count = min(len(split), most)
    if count < 2:
        return None
    chosen = np.arange(count) * len(split) // count
    order = np.random.default_rng(derive(seed, "gain")).permutation(count)
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # one cycle, so that none keeps its own

    def given(rows: Tensor) -> Rows:
        return read(split, chosen[rows.numpy()], device)

    parts = torch.arange(count).split(max(1, at_once(split, ROWS) // 2))
    with seeded(derive(seed, "gain")), evaluating(model):
        z = torch.cat([model.encode(some.x, some.label).rsample() for some in map(given, parts)])
        costs = []
        for rows in parts:
            some = given(rows)
            likelihood = model.decode(torch.stack([z[rows], z[other[rows.numpy()]]]), some.label)
            costs.append(likelihood.log_prob(model.scaling(some.explained)).cpu().double().numpy())
    own, others = np.concatenate(costs, 1)
    gain = own - others
    return Gain(float(gain.mean()), standard_error(gain), float((gain > 0).mean() + (gain == 0).mean() / 2))
