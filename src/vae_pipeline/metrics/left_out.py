"""Limits of contributions by columns that are left out in turn: a pass through the model for each of them."""

from vae_pipeline.kinds.spec import DataSpec, TableSpec
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.system.errors import DataError

KNOWN = 512  # held-back rows by which it is known what a column usually costs
WIDEST = 128  # columns of a table of which each is left out in a graph
ROWS = 2**14  # draws decoded at a time, at most


def rows_at_once(draws: int, columns: int) -> int:
    """Rows whose columns are left out at a time: each is as many rows as it has columns."""
    return max(1, ROWS // (draws * columns))


def require_narrow(wanted: DetectionSection | None, spec: DataSpec) -> None:
    """Refuse contributions that take too many passes in a graph.

    Raises:
        DataError: the table has too many columns for them.
    """
    left_out = wanted is not None and wanted.contributions == "left_out"
    if left_out and isinstance(spec, TableSpec) and len(spec.columns) > WIDEST:
        raise DataError(
            f"detection.contributions is left_out, a pass for each column, and the table has {len(spec.columns)}; up "
            f"to {WIDEST} can be: set it to distortion"
        )
