"""Numbers as people write them: 1234.5, 1,234.5, 1.234,5, 1 234,5, $12, ($12), 12-, 12 %, 1:30:00."""

import re
from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from vae_pipeline.kinds.table.spec import CsvFormat
from vae_pipeline.system.errors import DataError

Format = tuple[str, str]
"""The decimal mark; and what groups thousands, or nothing."""
FORMATS: tuple[Format, ...] = tuple(
    (decimal, thousands) for thousands, decimal in product(("", ",", ".", " ", "'"), ".,") if decimal != thousands
)
ORDINARY: Format = (".", "")
EXPONENT = r"(?:[eE][+-]?\d+)?"
INFINITE = "[+-]?[iI]nf(?:inity)?"
SIGNS = "%$¢£¤¥₠₡₢₣₤₥₦₧₨₩₪₫€₭₮₯₰₱₲₳₴₵₸₹₺₻₼₽₾₿฿"
"""Signs that a number may stand beside: per cent, and currencies."""
SIGN = f"[{SIGNS}]"
NOUGHTS = "٠۰०০๐０"
"""The digit 0 of other scripts, each followed by 1 to 9: Arabic twice, Devanagari, Bengali, Thai, full width."""
ALIKE = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "−": "-", "٫": ".", "٬": ","}
    | {chr(ord(nought) + digit): str(digit) for nought in NOUGHTS for digit in range(10)}
)
NEGATIVE = rf"^(?P<before>{SIGN}?) *\( *(?P<within>[^()+-]*\d[^()+-]*?) *\) *(?P<after>{SIGN}?)$"
"""A number below nought in brackets, as accounts have it: ($500), $(500)."""
BEHIND = rf"^(?P<number>[^()+-]*\d[^()+-]*?) *- *(?P<after>{SIGN}?)$"
"""A number with its minus behind it."""
DURATION = r"(?:[+-]?\d+ days?,? ?)?[+-]?\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?|[+-]?\d+ days?"
ODD = 20  # texts among numbers that are kept


def _pattern(written: Format) -> str:
    decimal, thousands = (f"[{each}]" if each else "" for each in written)
    plain = rf"[+-]?(?:\d+(?:{decimal}\d*)?|{decimal}\d+){EXPONENT}|{INFINITE}"
    return plain if not thousands else rf"{plain}|[+-]?[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+(?:{decimal}\d+)?"


PATTERNS = {written: _pattern(written) for written in FORMATS}
NUMBER_LIKE = rf"[+-]?[.,]?\d[\d., ']*{EXPONENT}|{INFINITE}"


def alike(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Texts with alike characters made one, and with the minus before a number where it's below nought."""
    texts = texts.str.translate(ALIKE)
    texts = texts.str.replace(NEGATIVE, r"-\g<before>\g<within>\g<after>", regex=True)
    return texts.str.replace(BEHIND, r"-\g<number>\g<after>", regex=True).str.replace(r"^- +", "-", regex=True)


def bare(texts: "pd.Series[str]") -> tuple["pd.Series[str]", set[str]]:
    """Texts as `alike` makes them, without the sign that stands beside a number, and which signs do."""
    texts = alike(texts)
    signed = texts.str.contains(SIGN)
    if not signed.any():
        return texts, {""}
    signs = set(texts[signed].str.extract(f"({SIGN})")[0])
    found = texts.str.replace(rf"^([+-]?) *{SIGN} *| *{SIGN}$", r"\1", regex=True)
    return found, signs if signed.all() else signs | {""}


class Writing:
    """The ways in which a column's numbers may be written, as far as the texts seen so far leave it open."""

    def __init__(self) -> None:
        self.formats = set(FORMATS)
        self.signs: set[str] = set()
        self.odd: set[str] = set()
        """Texts that are no numbers; none are kept once there are more than `ODD`."""
        self.durations = True
        self.below: str | None = None
        """A number in brackets or with its minus behind it."""
        self.usual = False
        """True if one is written otherwise, without which brackets may mean anything."""
        self.others: dict[Format, str] = {}
        """A number that isn't written so, for each format that is out."""

    def add(self, texts: "pd.Series[str]") -> None:
        """Take in more texts, each once."""
        self.durations = self.durations and bool(texts.str.fullmatch(DURATION).all())
        if len(self.odd) > ODD:
            return
        ordinary = texts.str.fullmatch(PATTERNS[ORDINARY])
        if ordinary.any():
            self.usual = True
            self.signs.add("")
            others = {written for written in self.formats if written[0] != ORDINARY[0]}  # the rest have these too
            self._fit(texts[ordinary & texts.str.contains(".", regex=False)] if others else texts[:0], others)
        if not ordinary.all():
            found, signs = bare(texts[~ordinary])
            number_like = found.str.fullmatch(NUMBER_LIKE)
            self.odd.update(texts[~ordinary][~number_like][: ODD + 1])
            if number_like.any():
                self.signs |= signs
                self._fit(found[number_like], set(FORMATS))
                numbers = texts[~ordinary][number_like]
                turned = numbers.str.contains(r"\)|-$", regex=True) & ~numbers.str.startswith("-")
                self.usual = self.usual or not turned.all()
                self.below = self.below or next(iter(numbers[turned]), None)

    @property
    def all_numbers(self) -> bool:
        """True if all texts are numbers, written in one way."""
        return not self.odd and bool(self.formats) and (self.usual or self.below is None)

    def _fit(self, texts: "pd.Series[str]", formats: set[Format]) -> None:
        for written in sorted(self.formats & formats) if len(texts) else ():
            wrong = texts[~texts.str.fullmatch(PATTERNS[written])]
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
    """The numbers that texts say; NaN for a text that is none, or is beside another sign than `sign`."""
    if written != ORDINARY or sign:
        return _spelt_out(texts, written, sign)
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    other = numbers.isna()
    return numbers.fillna(_spelt_out(texts[other], written, sign)) if other.any() else numbers


def _spelt_out(texts: "pd.Series[str]", written: Format, sign: str) -> "pd.Series[float]":
    decimal, thousands = written
    found = alike(texts)
    if sign:
        beside = re.escape(sign)
        found = found.str.replace(rf"^([+-]?) *{beside} *| *{beside}$", r"\1", regex=True)
    fits = found.str.fullmatch(PATTERNS[written])
    found = found.str.replace(thousands, "") if thousands else found
    return pd.to_numeric(found.str.replace(decimal, "."), errors="coerce").astype(float).where(fits)


def seconds(texts: "pd.Series[str]") -> "pd.Series[float]":
    """Seconds of durations and times of a day, and numbers, which are seconds; NaN for other texts."""
    plain = pd.to_numeric(texts, errors="coerce").astype(float)
    whole = texts.where(texts.str.count(":") != 1, texts + ":00")
    found = pd.to_timedelta(whole.where(plain.isna()).str.replace(",", ""), errors="coerce") / pd.Timedelta(seconds=1)
    return found.fillna(plain)
