"""The kind of each column of a table, read off its values some at a time, or as a recipe says."""

import re
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from vae_pipeline.kinds.spec import Column, ColumnKind
from vae_pipeline.kinds.table import numbers
from vae_pipeline.kinds.table.dates import ISO, DateWriting
from vae_pipeline.kinds.table.frames import texts
from vae_pipeline.kinds.table.spec import MOST_VALUES
from vae_pipeline.system.errors import DataError

MOST_POOLED = 65_536  # of one that was told to be a category: its rarer values are pooled
MANY = 20  # texts: where more than half of all rows have one of their own, it is no category
INDEX_NAMES = re.compile(r"unnamed: \d+|row names|index|id|.*[ _.-]id", re.IGNORECASE)
UNITS = re.compile(
    r"(?i:(.*[ _.-])?(id|patient|subject|participant|person|user|customer|client|member|household|account|device)"
    r"([ _.-]?(id|no|nr|number|key|code))?)|.*[a-z](Id|ID)"
)
"""Names of columns whose values may each be a unit that was observed several times, such as a patient."""
FEWEST_UNITS, ROWS_OF_A_UNIT = 10, 1.5
Seen = Literal["number", "boolean", "date", "text"]


class UndecidedColumnError(DataError):
    """A column whose values leave open what it is."""

    def __init__(self, said: str, column: str, **settled: Any) -> None:
        """`settled` are keys of a section `data` that would decide it, as the message says."""
        super().__init__(said)
        self.column, self.settled = column, settled


class Outline:
    """The outline of a column, found from its values some at a time, or from what is told: a kind, a date's format."""

    def __init__(self, name: str, told: ColumnKind | None, written: str = "") -> None:
        self.name, self.told, self.written = name, told, written
        self.seen: set[Seen] = set()
        self.values: set[str] = set()
        """Texts of different values, no more than one over `MOST_POOLED`."""
        self.rows = self.missing = 0
        self.numbers, self.dates = numbers.Writing(), DateWriting()
        self.truths = True
        self.hashes: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] | None = []
        """A hash of each value, while no two in a piece were equal."""
        self.counter: float | None = None
        """The next whole number, while each value was one more than that of the row before."""

    def add(self, values: "pd.Series[object]") -> None:
        """Take in more of its values, as `frames.plain` gives them."""
        first, present = self.rows == 0, values.dropna()
        self.rows += len(values)
        self.missing += len(values) - len(present)
        unique = pd.Series(present.unique())
        if not len(unique):
            return
        kind = _seen(unique)
        self.seen.add(kind)
        if len(self.values) <= MOST_POOLED:
            self.values.update(texts(unique[: 2 * MOST_POOLED])[: MOST_POOLED + 1])
        if self.hashes is not None and len(unique) < len(present):
            self.hashes = None
        if self.hashes is not None:
            self.hashes.append(pd.util.hash_array(unique.to_numpy()))
        self._count(values, first)
        if kind == "text":
            self.truths = self.truths and bool(unique.str.lower().isin(["true", "false"]).all())
            if self.told in (None, "number"):
                self.numbers.add(unique)
            if self.told in (None, "date") and not self.written:
                self.dates.add(unique)

    def _count(self, values: "pd.Series[object]", first: bool) -> None:
        start = self.counter
        self.counter = None
        if (first or start is not None) and self.hashes is not None and self.missing == 0:
            found = pd.to_numeric(values, errors="coerce").to_numpy(float)
            start = found[0] if first else start
            if start is not None and np.array_equal(found, start + np.arange(len(found))):
                self.counter = start + len(found)

    @property
    def is_number(self) -> bool:
        """True if the column's texts are numbers, however they are written."""
        return "text" in self.seen and (
            self.told == "number" or (self.told is None and self._looks() == "number" and not self.numbers.durations)
        )

    def _looks(self) -> ColumnKind:
        """The kind that it looks like, if all is well."""
        if not self.seen:
            return "number"
        if self.seen != {"text"}:
            only = next(iter(self.seen)) if len(self.seen) == 1 else "text"
            return "category" if only == "text" else only
        if self.truths:
            return "boolean"
        if self.numbers.durations or self.numbers.all_numbers:
            return "number"
        return "date" if self.dates.formats else "category"

    def doubt(self) -> str | None:
        """A sign among its texts that may stand for a missing value."""
        signs = sorted(value for value in self.values if value and not any(each.isalnum() for each in value))
        return signs[0] if self.told is None and signs and self._looks() == "category" else None

    def below(self) -> str | None:
        """A text such as `(500)` among its numbers, which is read as a negative one."""
        return self.numbers.below if self.told is None and self.is_number else None

    def units(self) -> int:
        """The number of units that its values name, of which most have several rows; 0 where they look like none."""
        count = len(self.values)
        repeated = FEWEST_UNITS <= count <= self.rows / ROWS_OF_A_UNIT and count <= MOST_POOLED
        return count if repeated and self.seen <= {"text", "number"} and UNITS.fullmatch(self.name) else 0

    def code(self) -> str | None:
        """A text such as `02138` among its whole numbers, which is a code, as no number begins so."""
        if self.told is not None or self.seen != {"text"} or not all(value.isdecimal() for value in self.values):
            return None
        return min((value for value in self.values if value[0] == "0" and value.strip("0")), default=None)

    def code_kind(self) -> Literal["category", "ignored"]:
        """The kind of a column of codes: a category, unless too many of them differ."""
        return "category" if len(self.values) <= self._few() else "ignored"

    def left_out(self) -> str | None:
        """The reason why a model can't learn from it, where nothing is told of it."""
        if self.told is not None:
            return None
        if self.missing == self.rows and re.fullmatch(r"Unnamed: \d+", self.name):
            return "has neither name nor values"
        named = INDEX_NAMES.fullmatch(self.name) is not None
        if self.rows <= 2 or not self._all_differ():
            return None
        if self.counter is not None and (named or self.counter - self.rows in (0, 1)):
            return "counts the rows"
        looks = self._looks()
        if looks == "category" and self.rows > MANY and self._nearly() is None:
            return "holds a text of its own in every row"
        return "tells the rows apart" if named and looks in ("number", "category") and self._whole() else None

    def _all_differ(self) -> bool:
        if self.hashes is None or self.missing:
            return False
        return len(np.unique(np.concatenate(self.hashes))) == self.rows

    def _whole(self) -> bool:
        return all("." not in value and "," not in value for value in self.values)

    def column(self) -> Column:
        """The column, without knots.

        Raises:
            DataError: it holds what no kind of column does, or what may be of two.
        """
        kind, missing = self.told or self._looks(), self.missing > 0
        match kind:
            case "category":
                self._refuse_category()
                return Column(self.name, kind, missing, (), tuple(sorted(self.values)))
            case "number":
                return Column(self.name, kind, missing, (), written=self._sign())
            case "date":
                return Column(self.name, kind, missing, (), written=self.written or self._date_format())
            case _:
                return Column(self.name, kind, missing, ())

    def described(self) -> dict[str, Any]:
        """Findings for a reader: `values` is the number of different ones, null where there are too many to count."""
        reason = self.left_out()
        column = None if reason else self.column()
        return {
            "kind": f"left out: it {reason}" if column is None else column.kind,
            "written": "" if column is None else column.written,
            "missing": self.missing,
            "values": len(self.values) if len(self.values) <= MOST_POOLED else None,
            "example": min(self.values, default=""),
        }

    def _sign(self) -> str:
        if "text" not in self.seen:
            return ""
        if self.numbers.durations:
            return "duration"
        signs = self.numbers.signs
        if len(signs) > 1:
            shown = ", ".join(sorted(sign or "none" for sign in signs))
            raise UndecidedColumnError(
                f"column {self.name} holds numbers beside the signs {shown}: one unit is wanted; mend it, or set "
                f"data.columns.{self.name} to ignored",
                self.name,
                columns={self.name: "ignored"},
            )
        return next(iter(signs), "")

    def _date_format(self) -> str:
        formats = self.dates.formats
        if len(formats) > 1 and self.dates.examples:
            shown = " or ".join(each or "ISO 8601" for each in formats)
            raise UndecidedColumnError(
                f"column {self.name} holds {next(iter(self.dates.examples.values()))!r}, a date by {shown}: say which "
                f"in data.columns.{self.name}, such as {{kind: date, format: '{formats[-1]}'}}",
                self.name,
                columns={self.name: {"kind": "date", "format": formats[-1]}},
            )
        return formats[0] if formats else ISO

    def _nearly(self) -> tuple[str, list[str]] | None:
        """Name the kind that a column of texts nearly holds, and give the texts that stand in between."""
        odd, values = self.numbers.odd, self.values - self.numbers.odd
        unmarked = [text for text in odd if any(character.isalnum() for character in text)]
        if odd and len(odd) <= numbers.ODD and len(values) > (5 if unmarked else 1) and len(odd) <= len(values) / 2:
            example = min(values)
            return f"numbers, such as {example!r}, and among them {', '.join(map(repr, sorted(odd)[:5]))}", sorted(odd)
        if self.dates.nearly and self.rows > MANY:
            good, bad = self.dates.nearly
            return f"dates, such as {good!r}, and among them {bad!r}", [bad]
        return None

    def _few(self) -> int:
        """The most different values of a category that nobody told to be one."""
        return MOST_VALUES if self.rows <= MANY else min(MOST_VALUES, max(MANY, self.rows // 2))

    def _refuse_category(self) -> None:
        if self.told is None and self.seen == {"text"} and (nearly := self._nearly()):
            said, odd = nearly
            raise UndecidedColumnError(
                f"column {self.name} holds {said}: if that is how a missing value is written, list it in "
                f"data.missing, such as missing: ['?']; else mend it, or say in data.columns what {self.name} is",
                self.name,
                missing=odd,
            )
        if len(self.values) > (MOST_POOLED if self.told else self._few()):
            count, keep = str(len(self.values)), ", or to category to keep it"
            if len(self.values) > MOST_POOLED:
                count, keep = f"more than {MOST_POOLED:,}", ""
            elif len(self.values) > MOST_VALUES:
                keep += f" with its {MOST_VALUES} most frequent values told apart and the others pooled"
            raise UndecidedColumnError(
                f"column {self.name} holds {count} different values in {self.rows:,} rows, such as "
                f"{min(self.values)!r}: too many for a category; set data.columns.{self.name} to ignored{keep}",
                self.name,
                columns={self.name: "ignored"},
            )


def _seen(values: "pd.Series[object]") -> Seen:
    if types.is_bool_dtype(values):
        return "boolean"
    if types.is_numeric_dtype(values):
        return "number"
    return "date" if types.is_datetime64_any_dtype(values) else "text"
