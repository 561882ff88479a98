"""Figures that only some kind of observation has, beside those that all have."""

from collections.abc import Mapping
from typing import Any, assert_never

import torch

from vae_pipeline.kinds.spec import ImageSpec, TableSpec, TextSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.sentences import sentence_figures
from vae_pipeline.models.vae import VAE


def figures_of_kind(
    model: VAE, prepared: Prepared, metrics: Mapping[str, Any], seed: int, device: torch.device
) -> dict[str, Any]:
    """Figures of the test part that one kind of data has; `metrics` are those of any. Pictures are the stages' task."""
    match prepared.spec:
        case TextSpec() as spec:
            return sentence_figures(model, prepared, spec, metrics, seed, device)
        case ImageSpec() | TableSpec():
            return {}
        case _:
            assert_never(prepared.spec)
