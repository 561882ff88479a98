"""The way in which equal rows of a table are divided: they are one observation twice, or answers that many give."""

from typing import Literal

import numpy as np
import pandas as pd

from vae_pipeline.kinds.division import OFTEN


def duplicates_of(rows: pd.DataFrame) -> Literal["keep", "together"]:
    """The `split.duplicates` that suits rows: `keep` where equal ones come about by chance, else `together`.

    Two rows of independent columns are equal with the product, over columns, of the probability that two values are.
    Where so many rows have one such pair or more, as those of a few categories do, sets of equal rows are as large as
    their answers are frequent, and parts that each takes whole hold other shares of these than the table does.
    """
    count = len(rows)
    if count < 2:
        return "together"
    equal = _pairs(pd.util.hash_pandas_object(rows, index=False))
    if not equal:
        return "together"
    every = count * (count - 1) / 2
    by_chance = every * np.prod([_pairs(rows[name]) / every for name in rows])
    return "keep" if by_chance >= 1 or 1 + 2 * equal / count > OFTEN else "together"


def _pairs(values: "pd.Series[object]") -> float:
    """The number of pairs of equal values; those that are missing are equal."""
    counts = values.value_counts(dropna=False).to_numpy(float)
    return float((counts * (counts - 1)).sum() / 2)
