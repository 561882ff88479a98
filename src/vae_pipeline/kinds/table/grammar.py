"""The rules of a table's rows, read from texts as people write them.

age >= 60                      a column; = != < <= > >=; and a value, or another column
workclass in Private, "a, b"   one of some values
workclass is missing           or: is not missing
total = net + tax              numbers by + - * / and ( ); of a date its days since 1970
"a b" <= `c-d`                 a column's name as it is, or in double quotes or backticks
unique(day, shop)              of a table, and not of one row
"""

import csv
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np

from vae_pipeline.kinds.table.holdings import described, listed, nearest
from vae_pipeline.kinds.table.records import TRUTH, days_of, iso_days, text_of
from vae_pipeline.kinds.table.rules import (
    COMPARISONS,
    Rule,
    Side,
    Unique,
    Values,
    column_of,
    compared,
    constant,
    missing,
    one_of,
    recoded,
)
from vae_pipeline.kinds.table.spec import Column, TableSpec
from vae_pipeline.system.errors import DataError

SIGNS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}
NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
LONGEST = 100  # words of a sum


class Token(NamedTuple):
    """A word of a rule."""

    kind: str
    word: str


class Grammar:
    """The rules that can be written of a table's columns."""

    def __init__(self, spec: TableSpec) -> None:
        self._columns = {column.name: column for column in spec.columns}
        self._ignored = spec.ignored
        known = "|".join(re.escape(name) for name in sorted(self._columns, key=len, reverse=True))
        self._token = re.compile(
            rf"\s*(?:(?P<name>\"[^\"]*\"|`[^`]*`|(?<!\w)(?:{known})(?!\w))|(?P<number>{NUMBER})"
            r"|(?P<comparison>==|!=|<=|>=|=|<|>)|(?P<sign>[-+*/(),])|(?P<word>[^\s<>=!+*/(),\"`]+))"
        )

    def rule(self, text: str) -> Rule:
        """The rule of a row that a text says.

        Raises:
            DataError: it says none, or one of a column or a value that isn't there.
        """
        found = self.check(text)
        if isinstance(found, Unique):
            raise DataError(f"{text!r} is of a whole table, and no condition of a row: make it a check")
        return found

    def check(self, text: str) -> Rule | Unique:
        """The rule that a text says.

        Raises:
            DataError: as `rule`.
        """
        if not isinstance(text, str):
            raise DataError(f"{text!r} was given; a rule is a text, such as 'age >= 60'")
        whole = re.fullmatch(r"\s*unique\s*\((.*)\)\s*", text, re.DOTALL)
        if whole:
            return Unique(text.strip(), tuple(self.column(each, text).name for each in _parted(whole[1])))
        gap = re.search(r"\sis\s+(not\s+)?missing\s*$", text)
        if gap and (lacks := self._columns.get(_bare(text[: gap.start()]))):  # whatever the columns are called
            return Rule(text.strip(), (lacks.name,), missing(lacks.name, not gap[1]), ())
        tokens: list[Token] = []
        for found in self._scan(text):
            token = _token(found)
            if token.kind == "comparison" or (tokens and token in (("word", "in"), ("word", "is"))):
                sole = self._sole(tokens, text[: found.start()].strip(), text)
                said = self._said if token.kind == "word" else self._compared
                return said(text.strip(), tokens, sole, token.word, text[found.end() :].strip())
            tokens.append(token)
        raise DataError(f"{text!r} is no rule: wanted a column, one of = != < <= > >= in, and a value")

    def tokens(self, text: str, rule: str) -> list[Token]:
        """The words of a part of a rule.

        Raises:
            DataError: some of it isn't understood.
        """
        found = list(self._scan(text))
        rest = text[found[-1].end() if found else 0 :].strip()
        if rest or len(found) > LONGEST:
            raise DataError(f"{rule!r}: {rest or 'so long a sum'!r} isn't understood")
        return [_token(each) for each in found]

    def column(self, name: str, rule: str) -> Column:
        """The column of a name.

        Raises:
            DataError: there is none.
        """
        if name in self._columns:
            return self._columns[name]
        if name in self._ignored:
            raise DataError(f"{rule!r}: the column {name} isn't drawn, as the model doesn't see it")
        near = nearest(name, self._columns) or f"; there are {listed(self._columns)}"
        raise DataError(f"{rule!r}: there is no column {name!r}{near}")

    def _scan(self, text: str) -> Iterator[re.Match[str]]:
        at = 0
        while found := self._token.match(text, at):
            yield found
            at = found.end()

    def _sole(self, tokens: list[Token], text: str, rule: str) -> Column | None:
        """The column that is all of a rule's left side; None where that is a sum."""
        if any(token.kind == "sign" for token in tokens) or [token.kind for token in tokens] == ["number"]:
            return None
        return self.column(tokens[0].word if len(tokens) == 1 else text, rule)

    def _said(self, text: str, left: list[Token], column: Column | None, word: str, rest: str) -> Rule:  # noqa: ARG002
        if column is None:
            raise DataError(f"{text!r}: `{word}` stands after the name of one column")
        if word == "in":
            values = tuple(self._value(each, column, text) for each in _parted(rest))
            return Rule(text, (column.name,), one_of(column.name, values), values)
        raise DataError(f"{text!r}: wanted `is missing` or `is not missing`")

    def _compared(self, text: str, left: list[Token], sole: Column | None, operator: str, right: str) -> Rule:
        if sole is not None:
            if sole.kind in ("category", "boolean") and COMPARISONS[operator] not in (np.equal, np.not_equal):
                raise DataError(f"{text!r}: {sole.name} is {described(sole)}; {operator} is of numbers and dates")
            value = _literal(right, sole)
            if value is not None:
                verdict = compared(operator, column_of(sole.name), constant(value))
                return Rule(text, (sole.name,), verdict, (value,))
            other = self._columns.get(_bare(right))
            if other is None and not re.search(r"[-+*/(]", right):
                self._value(right, sole, text)
            if sole.kind == "category":
                if other is None or other.kind != "category":
                    self._value(right, sole, text)
                assert other is not None  # or `_value` has told what there is
                return Rule(
                    text, (sole.name, other.name), compared(operator, column_of(sole.name), recoded(other, sole))
                )
        sums = [_Sum(self, tokens, text) for tokens in (left, self.tokens(right, text))]
        names = tuple(dict.fromkeys(name for each in sums for name in each.names))
        if sole is not None and sole.kind == "date" and not sums[1].names:
            self._value(right, sole, text)  # 2026-13-01 is no sum
        if not names:
            raise DataError(f"{text!r} names no column; there are {listed(self._columns)}")
        return Rule(text, names, compared(operator, sums[0].side, sums[1].side))

    def _value(self, text: str, column: Column, rule: str) -> float:
        value = _literal(text, column)
        if value is None:
            near = nearest(_bare(text), column.values) or nearest(_bare(text), self._columns, 0.8)
            if " and " in text:
                near = ": give each rule by itself"
            elif " or " in text:
                near = f": one of some values is written as `{column.name} in A, B`"
            elif not near and column.kind == "number":
                near = ": write it plainly, such as 1000.5"
            raise DataError(f"{rule!r}: {column.name} is {described(column)}, and {_bare(text)!r} is none{near}")
        return value


class _Sum:
    """A sum or product of columns and numbers."""

    def __init__(self, grammar: Grammar, tokens: list[Token], rule: str) -> None:
        self.names: list[str] = []
        self._grammar, self._rest, self._rule = grammar, tokens[::-1], rule
        self.side = self._sum()
        if self._rest:
            raise DataError(f"{rule!r}: {self._rest[-1].word!r} isn't understood where it stands")

    def _next(self, *words: str) -> str | None:
        """The next word, taken, if it is one of these."""
        return self._rest.pop().word if self._rest and self._rest[-1].word in words else None

    def _sum(self) -> Side:
        side = self._product()
        while sign := self._next("+", "-"):
            side = _both(sign, side, self._product())
        return side

    def _product(self) -> Side:
        side = self._factor()
        while sign := self._next("*", "/"):
            side = _both(sign, side, self._factor())
        return side

    def _factor(self) -> Side:
        if self._next("-"):
            return _both("-", constant(0.0), self._factor())
        if self._next("("):
            side = self._sum()
            if not self._next(")"):
                raise DataError(f"{self._rule!r}: a ) is missing")
            return side
        if not self._rest:
            raise DataError(f"{self._rule!r}: it ends where a column or a number is wanted")
        token = self._rest.pop()
        if token.kind == "number":
            return constant(float(token.word))
        column = self._grammar.column(token.word, self._rule)
        if column.kind == "category":
            raise DataError(f"{self._rule!r}: {column.name} is {described(column)}, and no number")
        self.names.append(column.name)
        return column_of(column.name)


def _both(sign: str, left: Side, right: Side) -> Side:
    def side(values: Values) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        with np.errstate(all="ignore"):
            return np.asarray(SIGNS[sign](left(values), right(values)))

    return side


def _token(found: re.Match[str]) -> Token:
    kind = str(found.lastgroup)
    return Token(kind, _bare(found[kind]) if kind == "name" else found[kind])


def _bare(text: str) -> str:
    """A text without the quotes around it."""
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`"
    return text[1:-1] if quoted else text


def _parted(text: str) -> list[str]:
    """Texts with commas between; one that holds a comma is in double quotes."""
    return [_bare(each) for each in next(csv.reader([text], skipinitialspace=True), [])] or [""]


def _literal(text: str, column: Column) -> float | None:
    """The number that stands for a value of a column; None where the text is none."""
    for each in (text.strip(), _bare(text)):
        value = _number(each, column)
        if value is not None:
            return value
    return None


def _number(text: str, column: Column) -> float | None:
    match column.kind:
        case "boolean":
            return TRUTH.get(text.lower())
        case "category":
            return next(
                (float(code) for code, value in enumerate(column.values) if text_of(value) == text_of(text)), None
            )
        case "date":
            try:
                return days_of(datetime.strptime(text, column.written)) if column.written else iso_days(text)
            except ValueError:
                return iso_days(text)
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None
