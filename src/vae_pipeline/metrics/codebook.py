"""The use of a codebook: which codes occur at the places of some examples' maps, and how evenly."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.models.spatial import QuantisedVAE


@dataclass(frozen=True)
class CodebookUse:
    """The codes of all places of some examples."""

    size: int
    """Codes of the codebook."""
    share: float
    """The share of the codebook that occurs; of as many codes as there are places, where these are fewer."""
    perplexity: float
    """exp of the entropy of the codes' frequencies: so many codes that are all as frequent would have as much."""

    def figures(self) -> dict[str, float]:
        """Figures by their names in metrics.json."""
        return {
            "codebook_use": self.share,
            "codebook_perplexity": self.perplexity,
            "codebook_size": self.size,
        }


def codebook_use(model: QuantisedVAE, codes: npt.NDArray[Any]) -> CodebookUse:
    """The use that flat maps of codes [examples, latents] make of a model's codebook."""
    levels = np.array(model.code_levels)
    half = (levels // 2)[:, None]
    level = np.rint(codes.reshape(len(codes), len(levels), -1) * half + half).astype(np.int64)
    number = np.ravel_multi_index(tuple(level.transpose(1, 0, 2)), tuple(levels))
    _, counts = np.unique(number, return_counts=True)
    share, size = counts / counts.sum(), math.prod(model.code_levels)
    entropy = -float((share * np.log(share)).sum())
    return CodebookUse(size, len(counts) / min(size, number.size), math.exp(entropy))
