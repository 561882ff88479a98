"""Figure: one key of metrics.json, as whoever names it must know it."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from vae_pipeline.recipe.data import Kind

Need = Literal["detector", "anomalies", "masks", "denoiser", "audit"]
Part = Literal["headline", "bounds", "reconstructions", "sentences", "samples", "privacy", "detection", "latents"]
EVERY: tuple[Kind, ...] = ("image", "audio", "table", "text")
IMAGE: tuple[Kind, ...] = ("image",)
AUDIO: tuple[Kind, ...] = ("audio",)
PERCEIVED: tuple[Kind, ...] = ("image", "audio")
TEXT: tuple[Kind, ...] = ("text",)
TABLE: tuple[Kind, ...] = ("table",)
VALUES: tuple[Kind, ...] = ("image", "audio", "table")
DENOISER: tuple[Need, ...] = ("denoiser",)
ANOMALIES: tuple[Need, ...] = ("detector", "anomalies")


def in_percent(share: float) -> str:
    """A share of 1 as it is printed."""
    return f"{100 * share:.3g} %"


@dataclass(frozen=True)
class SummaryColumn:
    """A column of the table that `summary` prints."""

    title: str
    form: str = "{:.2f}"
    """The value's format; other figures may stand in it under their keys."""
    error: bool = False
    """True if the standard error stands beside it."""
    dispensable: int = 9
    """The order in which columns go where a terminal is too narrow: the highest number first; those with 0 stay."""


@dataclass(frozen=True)
class Figure:
    """One key of metrics.json."""

    key: str
    name: str
    gloss: str
    part: Part
    """The table of the report that it stands in."""
    _: KW_ONLY
    unit: str = ""
    share: bool = False
    """True of a share of 1, which is shown in percent with what it is compared with; counts beside it stay counts."""
    better: Literal["higher", "lower"] | None = None
    kinds: tuple[Kind, ...] = EVERY
    """The kinds of observation that have it."""
    needs: tuple[Need, ...] = ()
    """The sections that a recipe must have beside such observations."""
    gate: bool = True
    """True if a recipe may set bounds for it."""
    column: SummaryColumn | None = None
    beside: tuple[tuple[str, str], ...] = ()
    """Keys of what it is to be compared with, each with its words; of a mapping all values are shown, by `{name}`."""
    cross_entropy: str = ""
    """The gloss where the likelihood is none, but a cross-entropy."""

    def meaning(self, measure: str) -> str:
        """The gloss for a likelihood of that measure, and the direction that is better."""
        gloss = self.cross_entropy if self.cross_entropy and measure == "cross_entropy" else self.gloss
        return f"{gloss} {self.better.capitalize()} is better." if self.better else gloss
