"""Wording: how reports and model cards name the observations of a kind, each noun with its own article."""

from dataclasses import dataclass, replace
from typing import assert_never

from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec

MOST_COLUMNS = 40  # that a description names


@dataclass(frozen=True)
class Wording:
    """The names of some observations; a text may use the first three as `{noun}`, `{nouns}` and `{a_noun}`."""

    noun: str
    nouns: str
    a_noun: str
    """The noun behind its article: a row, an image."""
    short: str
    """The plural with the shape: grey images of 8 × 8 pixels."""
    full: str
    """The plural with all that the spec says of one observation."""
    scaled: str
    """The values whose density a continuous likelihood gives."""
    raw: str = "Inputs are raw: scaling is part of every graph."
    """The inputs of graphs, in a sentence."""

    def of_features(self) -> "Wording":
        """The words where a model sees features of the observations."""
        return replace(self, scaled="standardised features")

    def said(self, text: str, *values: str, name: str = "") -> str:
        """The text with the nouns, the values and the name in their places: `{noun}`, `{}`, `{name}`."""
        return text.format(*values, name=name, noun=self.noun, nouns=self.nouns, a_noun=self.a_noun)


def words_of(spec: DataSpec) -> Wording:
    """The words for the observations that a spec describes."""
    match spec:
        case ImageSpec(shape=(channels, height, width)):
            colour = "binary" if spec.binary else {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
            shape = f"images of {channels} × {height} × {width} (channels, height, width)"
            values = f"{spec.dtype} in [{spec.low:g}, {spec.high:g}]{', binary' if spec.binary else ''}"
            return Wording(
                "image", "images", "an image", f"{colour} images of {width} × {height} pixels", f"{shape}, {values}",
                "values scaled to [0, 1]",
            )  # fmt: skip
        case AudioSpec(channels=channels):
            heard = {1: "mono", 2: "stereo"}.get(channels, f"{channels}-channel")
            short = f"{heard} recordings of {spec.seconds:g} s"
            full = f"{short}: {channels} × {spec.length:,} samples (channels, time) at {spec.rate_hz:,} Hz, in [-1, 1]"
            return Wording("recording", "recordings", "a recording", short, full, "samples, scaled by the model's view")
        case TableSpec(columns=columns):
            short = f"rows of {len(columns)} columns"
            named = ", ".join(f"{column.name} ({column.kind})" for column in columns[:MOST_COLUMNS])
            more = f" and {len(columns) - MOST_COLUMNS} more" if len(columns) > MOST_COLUMNS else ""
            return Wording(
                "row", "rows", "a row", short, f"{short}: {named}{more}", "columns, scaled as the recipe says"
            )
        case TextSpec():
            full = f"sentences of up to {spec.limit} tokens, the end counted, of a vocabulary of {spec.vocabulary:,}"
            raw = "Inputs are ids of tokens; the tokenizer, by which text becomes ids and back, is in `bundle.json`."
            return Wording("sentence", "sentences", "a sentence", "sentences", full, "tokens", raw)
        case _:
            assert_never(spec)
