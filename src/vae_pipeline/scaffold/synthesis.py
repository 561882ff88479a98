"""The recipe that suits the synthesis of a table's rows, by what was suggested for a VAE of them."""

from collections.abc import Mapping
from typing import Any

CELLS = 64
DATA = {"scaling": "quantile", "cells": CELLS}
"""Keys of the section `data`: any distribution of numbers, and what is far of a skewed one brought near."""
RATE, RATE_OF_FEW = 0.3, 0.6
"""The rate's weight: latents say most of a row, and little is left to independent noise. Of few rows they say less:
what is drawn would come near to single ones."""
LATENTS = 16
PASSES, LEAST, MOST = 40, 300, 6_000  # passes over the rows, and the steps that they come to
SMALL, LARGE = 2_000, 10_000  # rows: of batches of 64 and of 512
PRIVATE_BETA = 0.5
COMPONENTS, ROWS = 50, 100  # of the sampler's mixture, at most, and rows for each


def as_synthesizer(suggested: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Sections of a recipe for so many rows, with the likelihood, rate and sampler of a synthesiser."""
    batch = 64 if rows < SMALL else 256 if rows < LARGE else 512
    net = {"kind": "dense", "layers": [128, 128] if rows < SMALL else [256, 256], "activation": "silu"}
    model = {
        **suggested["model"],
        "encoder": net,
        "posterior": {"kind": "gaussian", "latents": LATENTS},
        "prior": {"kind": "standard_normal"},
        "decoder": net,
        "likelihood": {
            "kind": "mixed",
            "scale": "learned_per_column",
            "numbers": "histogram",
            "missing": "modelled",
        },
    }
    # The ELBO of beta 1 isn't what is trained: it may lie below that of independent columns. Few rows that are passed
    # often are known by heart.
    waived = ["below_baseline", "too_few_steps"] if rows < SMALL else ["below_baseline"]
    steps = max(LEAST, min(round(PASSES * rows // batch, -2), MOST))
    # The ELBO of beta 1, by which `best` judges, falls in training at a lower one: it would keep an early epoch.
    train = {"steps": steps, "batch": batch, "weight_decay": 0.0001, "keep": "last"}
    return {
        **suggested,
        "model": model,
        "rate_control": {"kind": "warm_up", "beta": RATE_OF_FEW if rows < SMALL else RATE, "share": 0.3},
        "train": {**suggested["train"], **train},
        "sampler": {"kind": "mixture", "components": max(1, min(COMPONENTS, rows // ROWS))},
        "detection": None,
        "evaluate": {**suggested["evaluate"], "waive": waived},
    }
