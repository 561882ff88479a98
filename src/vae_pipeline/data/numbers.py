"""Numbers as people write them: 1234.5, 1,234.5, 1.234,5, 1 234,5, $12, 12 %, 1:30:00."""

import re
from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from vae_pipeline.errors import DataError
from vae_pipeline.spec.tables import CsvFormat

Format = tuple[str, str]
"""The decimal mark; and what groups thousands, or nothing."""
FORMATS: tuple[Format, ...] = tuple(
    (decimal, thousands) for thousands, decimal in product(("", ",", ".", " ", "'"), ".,") if decimal != thousands
)
ORDINARY: Format = (".", "")
EXPONENT = r"(?:[eE][+-]?\d+)?"
INFINITE = "[+-]?[iI]nf(?:inity)?"
SIGNS = "%$¢£¤¥₠₡₢₣₤₥₦₧₨₩₪₫€₭₮₯₰₱₲₳₴₵₸₹₺₻₼₽₾₿฿"
"""That a number may stand beside: per cent, or a currency."""
SIGN = f"[{SIGNS}]"
ALIKE = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "−": "-"})
DURATION = r"(?:[+-]?\d+ days?,? ?)?[+-]?\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?|[+-]?\d+ days?"
ODD = 20  # texts among numbers that are kept


def _pattern(written: Format) -> str:
    decimal, thousands = (f"[{each}]" if each else "" for each in written)
    plain = rf"[+-]?(?:\d+(?:{decimal}\d*)?|{decimal}\d+){EXPONENT}|{INFINITE}"
    return plain if not thousands else rf"{plain}|[+-]?[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+(?:{decimal}\d+)?"


PATTERNS = {written: _pattern(written) for written in FORMATS}
NUMBER_LIKE = rf"[+-]?[.,]?\d[\d., ']*{EXPONENT}|{INFINITE}"


def bare(texts: "pd.Series[str]") -> tuple["pd.Series[str]", set[str]]:
    """Texts without the sign that stands beside a number, and which signs do; alike characters made one."""
    texts = texts.str.translate(ALIKE)
    signed = texts.str.contains(SIGN)
    if not signed.any():
        return texts, {""}
    signs = set(texts[signed].str.extract(f"({SIGN})")[0])
    found = texts.str.replace(rf"^([+-]?) *{SIGN} *| *{SIGN}$", r"\1", regex=True)
    return found, signs if signed.all() else signs | {""}


class Writing:
    """How a column's numbers are written, as far as the texts seen so far leave it open."""

    def __init__(self) -> None:
        self.formats = set(FORMATS)
        self.signs: set[str] = set()
        self.odd: set[str] = set()
        """Texts that are no numbers; none are kept once there are more than `ODD`."""
        self.durations = True
        self.others: dict[Format, str] = {}
        """Of each format that is out, a number that isn't written so."""

    def add(self, texts: "pd.Series[str]") -> None:
        """More of them, each once."""
        if len(self.odd) > ODD and not self.durations:
            return
        self.durations = self.durations and bool(texts.str.fullmatch(DURATION).all())
        found, signs = bare(texts)
        number_like = found.str.fullmatch(NUMBER_LIKE)
        self.odd.update(texts[~number_like][: ODD + 1])
        found = found[number_like]
        if len(found):
            self.signs |= signs
        for decimal in ".,":
            rest = found[~found.str.fullmatch(PATTERNS[decimal, ""])]
            if not len(rest):
                continue
            for written in [each for each in self.formats if each[0] == decimal]:
                wrong = rest[~rest.str.fullmatch(PATTERNS[written])]
                if len(wrong):
                    self.formats.discard(written)
                    self.others[written] = str(wrong.iloc[0])


def format_of(columns: Mapping[str, Writing], told: CsvFormat, usual: Sequence[Format] = ()) -> Format:
    """The one format that numbers of all columns are written in; of several, the `usual` one, or the ordinary one.

    Raises:
        DataError: there is none, or numbers mean one thing by one format and another by another.
    """
    possible = [
        written for written in FORMATS
        if told.decimal in (None, written[0]) and told.thousands in (None, written[1])
        and all(written in column.formats for column in columns.values())
    ]  # fmt: skip
    for written in usual:
        if written in possible:
            return written
    example = next((text for column in columns.values() for text in column.others.values()), "")
    # Where semicolons separate, commas go before decimals, and what is 1.234 elsewhere may be 1,234.
    doubtful = told.separator == ";" and (",", "") not in possible and (",", ".") in possible
    if ORDINARY in possible and not doubtful:
        return ORDINARY
    if not possible:
        raise DataError(
            f"numbers aren't all written in one way, such as {example!r}: say in data.csv.decimal and "
            "data.csv.thousands how they are, and in data.columns what isn't a number"
        )
    if len({decimal for decimal, _ in possible}) > 1:
        raise DataError(
            f"{example!r} may be a number of thousands or one with decimals: say in data.csv.decimal which mark goes "
            "before decimals, and in data.csv.thousands which groups thousands"
        )
    return possible[0]


def values(texts: "pd.Series[str]", written: Format, sign: str) -> "pd.Series[float]":
    """The numbers that texts say; NaN of what is none, and of one beside another sign than `sign`."""
    decimal, thousands = written
    found = texts.str.translate(ALIKE)
    if sign:
        beside = re.escape(sign)
        found = found.str.replace(rf"^([+-]?) *{beside} *| *{beside}$", r"\1", regex=True)
    wrong = ~found.str.fullmatch(PATTERNS[written]) if written != ORDINARY else None
    if thousands:
        found = found.str.replace(thousands, "")
    if decimal != ".":
        found = found.str.replace(decimal, ".")
    numbers = pd.to_numeric(found, errors="coerce").astype(float)
    return numbers if wrong is None else numbers.mask(wrong)


def seconds(texts: "pd.Series[str]") -> "pd.Series[float]":
    """Of durations and times of a day; NaN of what is neither."""
    whole = texts.where(texts.str.count(":") != 1, texts + ":00")
    return pd.to_timedelta(whole.str.replace(",", ""), errors="coerce") / pd.Timedelta(seconds=1)
