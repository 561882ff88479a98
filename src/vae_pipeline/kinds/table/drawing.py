"""Rows that are wanted, of a stream of drawn ones, by rejection: each is a draw of p(row | conditions)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.table.exact import exact
from vae_pipeline.kinds.table.grammar import Grammar
from vae_pipeline.kinds.table.holdings import described
from vae_pipeline.kinds.table.keys import Keys
from vae_pipeline.kinds.table.rules import Rule, Values, require_possible
from vae_pipeline.kinds.table.spec import Column, TableSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
Stream = Callable[[int], Array]
"""A function that gives the next so many rows, in the data's units."""
PIECE = 4096
"""Rows that are drawn at a time, a multiple of what graphs and models compute at once."""
PATIENCE = 1_000_000
"""Rows that are drawn before too few may be kept."""
HOPELESS = 102_400
"""Rows that are drawn before none may be kept: of one row in 10,000 that fails once in 28,000 times."""
RAREST = 1_000
"""Rows of which one at least is to be kept after that."""


class Rules(TypedDict, total=False):
    """The wishes that a `Drawing` takes."""

    where: str | Sequence[str]
    balance: str | None
    checks: str | Sequence[str]
    only_valid: bool


class Drawing:
    """The rows that are wanted and, once they are drawn, what is to be told of them; it is used once."""

    def __init__(
        self,
        spec: TableSpec,
        where: str | Sequence[str] = (),
        balance: str | None = None,
        checks: str | Sequence[str] = (),
        only_valid: bool = False,
    ) -> None:
        """Each row meets the conditions `where`, and each class of the column `balance` comes as often as the others.

        Rows that break one of `checks` are counted, and left out if `only_valid`.

        Raises:
            DataError: a text is no rule of these columns, no row can meet the conditions, or a column has no classes.
        """
        grammar = Grammar(spec)
        self.columns = spec.columns
        self._where = [grammar.rule(text) for text in _each(where)]
        self._checks = [grammar.check(text) for text in _each(checks)]
        self._keys = [Keys() for _ in self._checks]
        if only_valid and not self._checks:
            raise DataError("rows that break a check are to be left out, and no check was given: give one")
        require_possible(self._where, spec.columns)
        self._only_valid = only_valid
        self._by = None if balance is None else grammar.column(balance, "balance")
        self._classes = [0.0] if self._by is None else _classes(self._by, self._where)
        self._kept = np.zeros(len(self._classes), int)
        self._came = np.zeros(len(self._classes), int)
        self._broken = np.zeros(len(self._checks), int)
        self._drawn = self._checked = 0

    def rows(self, stream: Stream, count: int) -> Iterator[Array]:
        """The first `count` rows of the stream that are wanted, some at a time.

        Raises:
            DataError: none is kept of `HOPELESS` rows, or fewer than one in `RAREST` of `PATIENCE` rows or more; or
                there are fewer rows than classes.
        """
        if count < len(self._classes):
            raise DataError(f"{count} rows were asked for; wanted {len(self._classes)} or more")
        each, more = divmod(count, len(self._classes))
        quota = each + (np.arange(len(self._classes)) < more)
        chooses = bool(self._where or self._by or self._only_valid)
        while (lacking := quota - self._kept).any():
            self._require_enough(lacking)
            x = stream(PIECE if chooses else min(PIECE, int(lacking[0])))
            values = self._values(x)
            met = np.logical_and.reduce([np.ones(len(x), bool), *(rule.met(values) for rule in self._where)])
            broken = self._breaking(values, met) if self._only_valid else np.zeros((0, len(x)), bool)
            index = np.where(met & ~broken.any(axis=0), self._index(values, len(x)), -1)
            keep = np.zeros(len(x), bool)
            for at, most in enumerate(lacking):
                keep[np.flatnonzero(index == at)[:most]] = True
            kept = np.bincount(index[keep], minlength=len(quota))
            last = int(np.flatnonzero(keep)[-1]) if (kept == lacking).all() else len(x) - 1
            until = np.arange(len(x)) <= last
            checked = met & until if self._only_valid else keep
            if not self._only_valid:
                broken = self._breaking(values, keep)
            self._kept += kept
            self._came += np.bincount(index[until & (index >= 0)], minlength=len(quota))
            self._broken += (broken & until).sum(axis=1)
            self._checked += int(checked.sum())
            self._drawn += last + 1
            if keep.any():
                yield x[keep]

    def told(self) -> dict[str, Any]:
        """Plain values to keep beside the rows: how many were drawn for how many, by what, and what was checked."""
        told: dict[str, Any] = {"rows": int(self._kept.sum()), "drawn": self._drawn}
        if self._where:
            told["where"] = [rule.text for rule in self._where]
        if self._by is not None:
            names = [_name(self._by, code) for code in self._classes]
            told["balance"] = {
                "column": self._by.name,
                "rows": dict(zip(names, self._kept.tolist(), strict=True)),
                "drawn": dict(zip(names, self._came.tolist(), strict=True)),
            }
        if self._checks:
            broken = dict(zip((check.text for check in self._checks), self._broken.tolist(), strict=True))
            told |= {"broken": broken, "checked": self._checked, "only_valid": self._only_valid}
        return told

    def _values(self, x: Array) -> Values:
        """The values of the columns that are asked for."""
        asked = {name for rule in (*self._where, *self._checks) for name in rule.columns}
        return {
            column.name: exact(x[:, index], column)
            for index, column in enumerate(self.columns)
            if column.name in asked or column is self._by
        }

    def _index(self, values: Values, count: int) -> npt.NDArray[np.int64]:
        """The index of each row's class, -1 where it is of none."""
        if self._by is None:
            return np.zeros(count, int)
        index = np.full(count, -1)
        for at, code in enumerate(self._classes):
            index[values[self._by.name] == code] = at
        return index

    def _breaking(self, values: Values, among: Flags) -> Flags:
        """[checks, rows]: rows that break a check, among some; keys are those of rows that break nothing else."""
        broken = np.zeros((len(self._checks), len(among)), bool)
        for at, check in enumerate(self._checks):
            if isinstance(check, Rule):
                broken[at] = among & (check.verdict(values) == 0)
        for at, check in enumerate(self._checks):
            if not isinstance(check, Rule):
                keys = np.stack([values[name] for name in check.columns], axis=1)
                asked = among & ~np.isnan(keys).any(axis=1)
                if self._only_valid:
                    asked &= ~broken.any(axis=0)
                broken[at, asked] = self._keys[at].seen(keys[asked])
        return broken

    def _require_enough(self, lacking: npt.NDArray[np.int64]) -> None:
        few = (lacking > 0) & (self._kept * RAREST < self._drawn)
        none = (lacking > 0) & (self._kept == 0) & (self._drawn >= HOPELESS)
        if not none.any() and (self._drawn < PATIENCE or not few.any()):
            return
        at = int(np.where(few, self._kept, self._drawn).argmin())
        wanted = [rule.text for rule in self._where] + ["all checks"] * self._only_valid
        if self._by is not None:
            wanted.append(f"{self._by.name}={_name(self._by, self._classes[at])}")
        kept = int(self._kept[at])
        fewer = f"ask for {kept * len(self._classes):,} rows, or " if kept else ""
        raise DataError(
            f"{kept:,} of {self._drawn:,} drawn rows meet {' and '.join(wanted)}, and drawing stops where fewer than "
            f"one in {RAREST:,} does: {fewer}ask for what is less rare, or fit a model to rows like these"
        )


def _each(texts: str | Sequence[str]) -> list[str]:
    return list(dict.fromkeys([texts] if isinstance(texts, str) else texts))


def _classes(column: Column, where: Sequence[Rule]) -> list[float]:
    """The codes of a column's classes that conditions on it leave.

    Raises:
        DataError: the column has none.
    """
    if column.kind not in ("category", "boolean"):
        raise DataError(f"{column.name} is {described(column)}; a column to balance is a category or a boolean")
    codes = np.arange(len(column.values) or 2, dtype=np.float64)
    for rule in where:
        if rule.columns == (column.name,):
            codes = codes[rule.met({column.name: codes})]
    if not len(codes):
        raise DataError(f"the conditions leave no value of {column.name} to balance: it is {described(column)}")
    return codes.tolist()


def _name(column: Column, code: float) -> str:
    return column.values[int(code)] if column.kind == "category" else str(bool(code))
