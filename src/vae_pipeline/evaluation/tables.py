"""A report's part on tables: drawn rows beside real ones."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.evaluation.row_plots import correlations, marginals
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.exact import exact
from vae_pipeline.kinds.table.spec import centre, require_target
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.drawn_rows import draw_rows
from vae_pipeline.metrics.privacy import privacy
from vae_pipeline.metrics.tables import synthesis
from vae_pipeline.metrics.usefulness import ROWS, usefulness
from vae_pipeline.models.table import TableVAE
from vae_pipeline.numerics.randomness import derive

LEAST = 50  # rows of either part: of fewer, shares say little
MANY = 1_000  # rows that are drawn at least


def describe(
    model: TableVAE, prepared: Prepared, spec: TableSpec, target: str | None, seed: int, folder: Path | None = None
) -> dict[str, Any]:
    """The figures of as many drawn rows as are compared, and their pictures where there is a folder for them.

    Raises:
        DataError: no column has the target's name.
    """
    require_target(spec, target)
    train, test = prepared.train, normal_part(prepared)
    if min(len(train), len(test)) < LEAST:
        return {"left_out": {"column_shapes": f"there are fewer than {LEAST} rows in a part"}}
    drawn = _kept(draw_rows(model, max(MANY, min(len(train), ROWS)), derive(seed, "drawn rows")), spec)
    real, held_out, columns = train.x[:], test.x[:], spec.columns
    found = {"drawn_rows": len(drawn)} | dataclasses.asdict(synthesis(real, held_out, drawn, columns, seed))
    found |= dataclasses.asdict(privacy(real, held_out, drawn, columns, seed))
    if target is not None:
        found |= usefulness(real, held_out, drawn, columns, target, seed)
    if folder is not None:
        marginals(folder / "marginals.png", real, drawn, columns)
        correlations(folder / "correlations.png", real, drawn, columns)
    return {name: value for name, value in found.items() if value is not None}


def _kept(drawn: npt.NDArray[np.float32], spec: TableSpec) -> npt.NDArray[np.float32]:
    """Rows that were drawn, less offsets, with columns that keep to what follows, as files of them do."""
    if not spec.follows:
        return drawn
    rows = spec.drawn(drawn)
    for at, column in enumerate(spec.columns):
        if column.name in {each.column for each in spec.follows}:
            rows[:, at] = exact(rows[:, at], column)
    return centre(rows, spec.columns)
