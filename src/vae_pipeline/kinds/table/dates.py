"""Dates as people write them: ISO 8601, or a format that all texts of a column fit."""

from datetime import datetime
from itertools import product

import numpy as np
import pandas as pd

ISO = ""
DAYS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
    "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %b %y", "%d. %b %Y", "%d%b%Y", "%b %d %Y", "%b %d, %Y", "%b-%d-%Y",
    "%d %B %Y", "%d. %B %Y", "%B %d %Y", "%B %d, %Y", "%b %Y", "%B %Y", "%b-%y", "%b-%Y",
)  # fmt: skip
TIMES = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
FORMATS = (ISO, *(f"{day} {time}".strip() for day, time in product(DAYS, TIMES)))
DAY = 86_400_000_000  # microseconds
FIRST, LAST = -719_162.0, 2_932_896.0  # days since 1970 of the years 1 and 9999, beyond which no date is written


class DateWriting:
    """The formats by which all texts seen so far are dates."""

    def __init__(self) -> None:
        self.formats = FORMATS
        self.nearly: tuple[str, str] | None = None
        """A text that is a date and one that isn't, where most are dates of one format."""
        self.examples: dict[str, str] = {}
        """A text for each of two formats, which say different dates by it."""

    def add(self, texts: "pd.Series[str]") -> None:
        """Take in more texts, each once."""
        if not self.formats or not len(texts):
            return
        possible = [each for each in self.formats if self._first(str(texts.iloc[0]), each) or len(self.formats) < 9]
        found = {each: days(texts, each) for each in possible}
        whole = [each for each, dates in found.items() if not np.isnan(dates).any()]
        if not whole and found:
            dates = max(found.values(), key=lambda dates: np.isfinite(dates).sum())
            good = np.isfinite(dates)
            if good.mean() >= 0.5:
                self.nearly = str(texts[good].iloc[0]), str(texts[~good].iloc[0])
        for other in whole[1:]:
            apart = found[whole[0]] != found[other]
            if apart.any():
                self.examples[other] = str(texts[apart].iloc[0])
        self.formats = tuple(whole)

    @staticmethod
    def _first(text: str, written: str) -> bool:
        if written == ISO:
            return True
        try:
            datetime.strptime(text, written)
        except ValueError:
            return False
        return True


def days(texts: "pd.Series[str]", written: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Days since 1970 that texts say; NaN of what is no date."""
    return since_1970(pd.to_datetime(texts, format=written or "ISO8601", errors="coerce", utc=True))


def since_1970(dates: "pd.Series[pd.Timestamp]") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Days of each, in UTC where no zone is said; NaN where one is missing."""
    if getattr(dates.dtype, "tz", None) is not None:
        dates = dates.dt.tz_convert(None)
    moments = dates.to_numpy("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / DAY)


def moments(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "pd.Series[pd.Timestamp]":
    """The dates of days since 1970, to the second; those before the year 1 or after 9999 are its first or last day."""
    whole = np.rint(np.clip(values, FIRST, LAST) * 86400).astype("datetime64[s]")
    return pd.Series(whole).dt.tz_localize("UTC")
