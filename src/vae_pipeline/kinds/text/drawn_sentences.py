"""Sentences of a small grammar: text with a known structure, for tests and a first try."""

import numpy as np

from vae_pipeline.kinds.parts import TextSource
from vae_pipeline.recipe.data import DrawnSentencesData

ANIMALS = ("cat", "dog", "horse", "bird", "mouse", "fox")
PEOPLE = ("teacher", "child", "doctor", "farmer", "singer", "pilot")
QUALITIES = ("small", "old", "quiet", "hungry", "happy", "tired")
SIGHT = ("sees", "follows", "likes", "watches", "finds", "hears")
PLACES = ("garden", "street", "forest", "kitchen", "field", "river")
ENDS = (".", "?", "!")


def draw_sentences(data: DrawnSentencesData, seed: int) -> TextSource:
    """Draw one sentence an example: who, perhaps what like, does what to whom, perhaps where."""
    draw = np.random.default_rng([seed, 0])
    lines = [_sentence(draw) for _ in range(data.examples)]
    return TextSource(
        train=lines,
        valid=data.valid,
        test=data.test,
        split=data.split,
        tokenizer=data.tokenizer,
        limit=data.limit,
        long=data.long,
        origins={f"{data.examples} sentences of a small grammar": f"seed:{seed}"},
    )


def _sentence(draw: np.random.Generator) -> str:
    def one(words: tuple[str, ...]) -> str:
        return words[draw.integers(len(words))]

    def somebody() -> list[str]:
        quality = [one(QUALITIES)] if draw.random() < 0.5 else []
        return ["the", *quality, one(ANIMALS if draw.random() < 0.5 else PEOPLE)]

    where = ["in", "the", one(PLACES)] if draw.random() < 0.5 else []
    return " ".join([*somebody(), one(SIGHT), *somebody(), *where, one(ENDS)])
