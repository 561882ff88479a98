"""The recipe that suits the synthesis of a table's rows, by what was suggested for a VAE of them."""

from collections.abc import Mapping
from typing import Any

CELLS = 64
DATA = {"scaling": "quantile", "cells": CELLS, "dependent": True}
"""Keys of the section `data`: any distribution of numbers, what is far of a skewed one brought near, and columns that
follow from others."""
RATE, RATE_OF_FEW = 0.3, 0.6
"""The rate's weight: latents say most of a row, and little is left to independent noise. Of few rows they say less:
what is drawn would come near to single ones."""
LATENTS = 16
PASSES, LEAST, MOST = 40, 300, 6_000  # passes over the rows, and the steps that they come to
ENOUGH = 1_000  # steps, under which it is meant that weights move little
SMALL, LARGE = 2_000, 10_000  # rows: of batches of 64 and of 512
PRIVATE_BATCH, PRIVATE_STEPS_A_PASS, PRIVATE_STEPS = 2_048, 4, 600
PRIVATE_LEARNING_RATE, PRIVATE_RATE, PRIVATE_COMPONENTS = 0.004, 0.5, 20
COMPONENTS, ROWS = 50, 100  # of the sampler's mixture, at most, and rows for each


def as_synthesizer(
    suggested: Mapping[str, Any], rows: int, private: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Sections of a recipe for so many rows, with the likelihood, rate and sampler of a synthesiser.

    `private` are the epsilon and delta that training is to keep; None where it promises nothing.
    """
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
            "shares": "decoded" if private else "matched",
            "missing": "modelled",
        },
    }
    # The ELBO of beta 1 isn't what is trained: it may lie below that of independent columns. Few rows that are passed
    # often are known by heart.
    steps = max(LEAST, min(round(PASSES * rows // batch, -2), MOST))
    waived = ["below_baseline", "too_few_steps"] if steps < ENOUGH else ["below_baseline"]
    # The ELBO of beta 1, by which `best` judges, falls in training at a lower one: it would keep an early epoch.
    train = {"steps": steps, "batch": batch, "weight_decay": 0.0001, "keep": "last"}
    sections = {
        **suggested,
        "model": model,
        "rate_control": {"kind": "warm_up", "beta": RATE_OF_FEW if rows < SMALL else RATE, "share": 0.3},
        "train": {**suggested["train"], **train},
        "sampler": {"kind": "mixture", "components": max(1, min(COMPONENTS, rows // ROWS))},
        "detection": None,
        "evaluate": {**suggested["evaluate"], "waive": waived},
    }
    return sections if private is None else _privately(sections, rows, private)


def _privately(sections: Mapping[str, Any], rows: int, private: Mapping[str, float]) -> dict[str, Any]:
    """The sections with noise: large batches, whose sum drowns it, and a prior that is learned by noisy gradients."""
    batch = max(1, min(PRIVATE_BATCH, rows // PRIVATE_STEPS_A_PASS))
    train = {
        "steps": PRIVATE_STEPS,
        "batch": batch,
        "learning_rate": PRIVATE_LEARNING_RATE,
        "clip": None,
        "private": dict(private),
    }
    return {
        **sections,
        "model": {**sections["model"], "prior": {"kind": "mixture", "components": PRIVATE_COMPONENTS}},
        "rate_control": {**sections["rate_control"], "beta": PRIVATE_RATE},
        "train": {**sections["train"], **train},
        "sampler": "prior",
    }
