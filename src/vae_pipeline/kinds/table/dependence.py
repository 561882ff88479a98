"""The search for columns that follow from others: a class from another column's class, a number as a sum of numbers.

Other ways to follow, such as a product, aren't sought. Columns that lack values follow from none.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table.follows import Follows

Floats = npt.NDArray[np.float64]
ROWS = 20_000  # that are looked at
ROWS_OF_EACH = 10  # for each class or column that another follows from, at least
MOST_CLASSES, MOST_NUMBERS = 256, 100
CHANCE = 1e-9  # that independent classes follow so
ROUNDED = 0.02  # of its standard deviation is the coarsest step to which a sum may have been rounded
EXACT = 1e-9  # of its standard deviation, by which a sum may be off by arithmetic
DECIMALS = (2, 3, 4, 6, 12)  # of weights, which rounded numbers tell no better than they were rounded
LIGHT = 1e-4  # of a number's standard deviation: what another adds to it at least


def dependent(rows: Floats, columns: Sequence[Column]) -> tuple[Follows, ...]:
    """The columns of rows [rows, columns], in the data's units, that follow from others in each of them."""
    rows = rows[:ROWS]
    whole = [at for at in range(len(columns)) if len(rows) and np.ptp(rows[:, at]) > 0]  # NaN isn't over 0
    of_classes = _of_classes(rows, columns, whole)
    known = {each.column for each in of_classes}
    numbers = [at for at in whole if columns[at].kind == "number" and columns[at].name not in known]
    return (*of_classes, *(_sums(rows, columns, numbers) if len(numbers) <= MOST_NUMBERS else ()))


def _of_classes(rows: Floats, columns: Sequence[Column], whole: Sequence[int]) -> list[Follows]:
    """Columns that follow from a class; of several that follow from each other the finest one follows from none."""
    different = {at: np.unique(rows[:, at], return_inverse=True) for at in whole}
    parents: list[int] = []
    found = []
    for at in sorted(whole, key=lambda at: -len(different[at][0])):
        values, inverse = different[at]
        parent = next((each for each in parents if _determines(*different[each], inverse)), None)
        if parent is not None:
            codes, first = np.unique(rows[:, parent], return_index=True)
            known = tuple(zip(codes.tolist(), rows[first, at].tolist(), strict=True))
            found.append(Follows(columns[at].name, (columns[parent].name,), known=known))
        elif columns[at].kind in ("category", "boolean") and len(values) <= min(MOST_CLASSES, len(rows) / ROWS_OF_EACH):
            parents.append(at)
    return found


def _determines(codes: Floats, of: npt.NDArray[np.intp], values: npt.NDArray[np.intp]) -> bool:
    """True if rows of one code have one value, and those of independent columns hardly would."""
    given = np.zeros(len(codes), np.intp)
    given[of] = values
    if not np.array_equal(given[of], values):
        return False
    shares = np.bincount(values) / len(values)
    again = np.bincount(of) - 1
    return bool((again * np.log(shares[given])).sum() < np.log(CHANCE))


def _sums(rows: Floats, columns: Sequence[Column], numbers: Sequence[int]) -> list[Follows]:
    """Numbers that are sums of earlier ones, which aren't."""
    parents: list[int] = []
    found = []
    for at in numbers:
        y = rows[:, at]
        scale, step = float(y.std()), columns[at].step
        allowed = step * 0.5 * (1 + 1e-6) if step <= ROUNDED * scale else 0.0
        weights = _weights(rows[:, parents], y, max(allowed, EXACT * scale)) if parents else None
        if weights is None or len(rows) < ROWS_OF_EACH * (len(parents) + 1):
            parents.append(at)
            continue
        used = [index for index in range(len(parents)) if weights[1 + index]]
        names = tuple(columns[parents[index]].name for index in used)
        of_each = tuple(float(weights[1 + index]) for index in used)
        found.append(Follows(columns[at].name, names, float(weights[0]), of_each))
    return found


def _weights(x: Floats, y: Floats, allowed: float) -> Floats | None:
    """The constant and weights of a sum that is y to within what is allowed; None where there is none."""
    middle, scale = x.mean(axis=0), x.std(axis=0)
    scaled = np.column_stack([np.ones(len(x)), (x - middle) / scale])
    solved = np.linalg.lstsq(scaled, y, rcond=None)[0]
    heavy = np.abs(solved[1:]) > LIGHT * y.std()
    if not heavy.any():
        return None
    chosen = np.column_stack([np.ones(len(x)), x[:, heavy]])
    part = np.linalg.lstsq(scaled[:, np.append(True, heavy)], y, rcond=None)[0][1:] / scale[heavy]
    weights = np.zeros(len(heavy) + 1)
    for decimals in DECIMALS:
        weights[1:][heavy] = part.round(decimals)
        weights[0] = np.median(y - chosen[:, 1:] @ weights[1:][heavy])
        weights[0] = weights[0].round(decimals)
        if (np.abs(chosen @ weights[np.append(True, heavy)] - y) <= allowed).all():
            return weights
    return None
