"""A small table of every kind of column, with values missing, and a recipe that learns it."""

from pathlib import Path

import numpy as np
import pandas as pd

from vae_pipeline.recipe import Recipe


def mixed_frame(count: int = 400, seed: int = 0) -> pd.DataFrame:
    """Normal rows, in which the columns go together, and one of ten in which they don't."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=count)
    anomalous = draw.random(count) < 0.1
    away = np.where(anomalous, draw.choice([-6.0, 6.0], count), 0.0)
    frame = pd.DataFrame({
        "amount": 100 + 20 * hidden + away * 20 + draw.normal(size=count),
        "balance": 5 - 2 * hidden + draw.normal(scale=0.3, size=count),
        "country": np.where(hidden > 0.5, "NO", np.where(hidden > -0.5, "SE", "DK")),
        "new": hidden + draw.normal(scale=0.5, size=count) > 0,
        "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 90, count), unit="D"),
        "id": [f"row {index}" for index in range(count)],
        "fraud": anomalous.astype(int),
    })  # fmt: skip
    frame.loc[draw.random(count) < 0.1, "balance"] = np.nan
    frame.loc[draw.random(count) < 0.1, "country"] = None
    return frame


def table_recipe(root: Path, path: Path, **data: object) -> Recipe:
    """The recipe tumours, short, on a table at `path`."""
    values = Recipe.load(root / "pipeline" / "tumours.yaml").model_dump(mode="json")
    values["data"] = {
        "kind": "table",
        "file": {"path": str(path)},
        "label": {"column": "fraud", "normal": "0"},
        "columns": {"id": "ignored"},
        "scaling": "standard",
        "one_class": True,
        "valid": 0.2,
        "test": 0.4,
        **data,
    }
    values["train"] |= {"epochs": 40}
    values["evaluate"] |= {"samples": 20, "gates": {}, "waive": ["too_few_steps"]}
    values["sampler"] = "gaussian"
    return Recipe.model_validate(values)
