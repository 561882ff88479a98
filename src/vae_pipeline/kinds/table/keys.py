"""The keys of a table's rows that came before, in 8 bytes each."""

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]


class Keys:
    """All keys so far. That of one column is its value, that of several a hash of 64 bits.

    Of 1e7 rows, two that differ have the same hash with a probability of 3e-6.
    """

    def __init__(self) -> None:
        self._sorted: list[Bits] = []
        """Arrays that rise, each over twice as long as the next: few to search, and seldom merged."""

    def seen(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """True of rows [rows, columns] whose key a row before them has, of these or of earlier ones; all are kept."""
        keys = np.zeros(len(rows), np.uint64)
        for column in (rows + 0.0).T:  # -0 becomes 0
            keys = _mixed(keys) ^ np.ascontiguousarray(column).view(np.uint64)
        found, first = np.unique(keys, return_index=True)
        new = np.ones(len(found), bool)
        for earlier in self._sorted:
            places = np.searchsorted(earlier, found).clip(max=len(earlier) - 1)
            new &= earlier[places] != found
        seen = np.ones(len(rows), bool)
        seen[first[new]] = False
        if new.any():
            self._sorted.append(found[new])
        while len(self._sorted) > 1 and len(self._sorted[-2]) <= 2 * len(self._sorted[-1]):
            self._sorted.append(np.sort(np.concatenate([self._sorted.pop(), self._sorted.pop()]), kind="stable"))
        return seen


def _mixed(keys: Bits) -> Bits:
    """The last steps of SplitMix64, one to one; Steele, Lea and Flood, Fast Splittable Generators, 2014."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
    return keys ^ (keys >> np.uint64(31))
