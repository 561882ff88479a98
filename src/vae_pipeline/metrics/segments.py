"""The segments of examples that a recipe names: by a column of a table, or by the label of a conditional model."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec, TableSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.system.errors import DataError

FEWEST = 19  # examples, which tell a false-alarm rate of 0.05


@dataclass(frozen=True)
class Segmentation:
    """A rule that tells the segment of an example."""

    by: str
    """The name of the column, or `label`."""
    column: int | None
    """The place of the column in a row; None where it's the label."""
    names: tuple[str, ...]
    """The names of the segments, by their code."""

    @classmethod
    def of(cls, wanted: DetectionSection | None, spec: DataSpec) -> "Segmentation | None":
        """The segments that the section names; None if it names none.

        Raises:
            DataError: the table has no such column, or it is none of categories or booleans.
        """
        if wanted is None or wanted.segment is None:
            return None
        if not isinstance(spec, TableSpec):
            return cls(wanted.segment, None, spec.classes)
        fit = {column.name: column for column in spec.columns if column.kind in ("category", "boolean")}
        if wanted.segment not in fit:
            raise DataError(
                f"detection.segment is {wanted.segment}, which is no column of categories or booleans that the model "
                f"sees: take {', '.join(fit) or 'null, as there is none'}"
            )
        return cls(wanted.segment, spec.names.index(wanted.segment), fit[wanted.segment].values or ("false", "true"))

    def codes(self, split: Split) -> npt.NDArray[np.int64]:
        """The segment of each example; that of an unknown value is beyond the last, and of a missing one -1."""
        if self.column is None:
            assert split.labels is not None  # the recipe says that the model is conditional
            return split.labels
        return np.nan_to_num(split.x[:][:, self.column], nan=-1).astype(np.int64)

    def rows(self, split: Split) -> dict[str, npt.NDArray[np.int64]]:
        """The places of the examples of each segment, by its name."""
        codes = self.codes(split)
        return {name: np.flatnonzero(codes == code) for code, name in enumerate(self.names)}


def large_enough(rows: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.int64]]:
    """The segments with examples enough for a tail of their own."""
    return {name: found for name, found in rows.items() if len(found) >= FEWEST}
