"""New observations: means at draws of the sampler, rows of a table with noise, classes and gaps, or noisy images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.table.drawing import Drawing, Rules, Stream
from vae_pipeline.runtime.graphs import Graphs
from vae_pipeline.runtime.inputs import SEEDS, Labels
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.runtime.temperature import Temperature, drawn
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
LEAST = np.float32(2.0**-24)
"""The distance of even numbers from 0 and from 1, at least."""


def draws(of: Graphs, draw: bool | None) -> bool:
    """True if p(x|z) is to be drawn from: where that is asked for, or nothing is and the data are a table's rows.

    Raises:
        DataError: draws are asked for, and no graph makes any.
        BundleError: no observations are made at all.
    """
    of.entry(GraphName.DECODER)
    rows = GraphName.SAMPLE_ROWS in of.manifest.graphs
    if draw and not rows and GraphName.SAMPLE_DRAWN not in of.manifest.graphs:
        variant = of.manifest.variant
        reason = (
            f"is a variant, {variant.kind}: take the full bundle"
            if variant is not None
            else "draws no rows: export it again"
            if of.spec.kind == "table"
            else "draws no images: set export.draws: true in its recipe and export it again"
            if of.spec.kind == "image"
            else f"is of {of.spec.kind}, whose samples are means"
        )
        raise DataError(f"{of.folder} {reason}, or ask for means")
    return rows if draw is None else draw


def even(count: int, seed: Sequence[int] | np.random.Generator, width: int) -> npt.NDArray[np.float32]:
    """Numbers [count, width] that are even in (0, 1)."""
    return np.random.default_rng(seed).random((count, width), np.float32).clip(LEAST, 1 - LEAST)


class SampleStream:
    """The samples of a seed, one after the other: the same however many are asked for at a time."""

    def __init__(self, of: Graphs, seed: int, temperature: Temperature = 1.0, draw: bool | None = None) -> None:
        """`temperature` and `draw` as in `Bundle.sample`.

        Raises:
            DataError: draws are asked for, and no graph makes any.
        """
        self.of, self.seed, self.temperature, self.draws = of, seed, temperature, draws(of, draw)
        self._noise, self._even = np.random.default_rng(seed), np.random.default_rng((seed, 1))

    def __call__(self, count: int, labels: Labels = None) -> Array:
        """The next samples [count, *event] in the data's units, NaN where a drawn row lacks a value.

        Raises:
            DataError: less than one is wanted, a temperature is none, or labels are.
        """
        of = self.of
        if count < 1:
            raise DataError(f"at least 1 sample is wanted; given {count}")
        noise = drawn(count, self._noise, self.temperature, of.manifest.tempered, of.manifest.noise)
        if not self.draws:
            return of.spec.natural(of.rows(GraphName.SAMPLE, {"noise": noise}, labels)[0])
        name = GraphName.SAMPLE_ROWS if of.spec.kind == "table" else GraphName.SAMPLE_DRAWN
        width = int(of.manifest.graphs[name].inputs["uniform"].event[0])
        answers = of.rows(name, {"noise": noise, "uniform": even(count, self._even, width)}, labels)
        return _drawn_rows(of.spec, answers) if isinstance(of.spec, TableSpec) else of.spec.natural(answers[0])


def sampled(
    of: Graphs, count: int, seed: int, labels: Labels, temperature: Temperature, draw: bool | None,
    rules: Rules,
) -> Array:  # fmt: skip
    """The answer of `Bundle.sample`."""
    stream = SampleStream(of, seed, temperature, draw)
    return _wanted(of, lambda some: stream(some, labels), count, stream.draws, rules)


def generated(
    of: Graphs, count: int, seed: int, first: int, labels: Labels, draw: bool | None, rules: Rules
) -> Array:  # fmt: skip
    """The answer of `Bundle.generate`."""
    if count < 1 or not 0 <= first <= SEEDS - count or not 0 <= seed < SEEDS:
        raise DataError(
            f"seed {seed} and draws {first} to {first + count - 1} were given; wanted whole numbers from 0 to "
            f"{SEEDS - 1}, and at least 1 draw"
        )
    of.entry(GraphName.GENERATE)
    if draw and of.spec.kind == "image":
        raise DataError("generate gives the means of images: take sample for draws, or leave draw out")
    whole, done = draws(of, draw), first

    def rows(some: int) -> Array:
        nonlocal done
        some = min(some, SEEDS - done)
        if not some:
            raise DataError(f"the draws of seed {seed} end at {SEEDS - 1:,}: take another seed for more rows")
        index, done = np.arange(done, done + some, dtype=np.float32), done + some
        inputs = {"seed": np.full(some, seed, np.float32), "index": index}
        if not whole:
            return of.spec.natural(of.rows(GraphName.GENERATE, inputs, labels)[0])
        assert isinstance(of.spec, TableSpec)  # no other kind's draws are generated
        return _drawn_rows(of.spec, of.rows(GraphName.GENERATE_ROWS, inputs, labels))

    return _wanted(of, rows, count, whole, rules)


def _wanted(of: Graphs, stream: Stream, count: int, whole: bool, rules: Rules) -> Array:
    """The first `count` rows of a stream that the rules want; what is told of them is kept.

    Raises:
        DataError: there are rules, and these aren't whole rows of a table.
    """
    if not any(rules.values()):
        return stream(count)
    if not isinstance(of.spec, TableSpec) or not whole:
        raise DataError(f"conditions were given, which are of the drawn rows of a table: {of.folder} gives others here")
    drawing = Drawing(of.spec, **rules)
    x = np.concatenate(list(drawing.rows(stream, count)))
    of.draws = drawing.told()
    return x


def _drawn_rows(spec: TableSpec, answers: list[Array]) -> Array:
    """Rows in the data's units, NaN where a value is missing, whose columns keep to what follows."""
    values, present = answers
    return spec.drawn(np.where(present > 0, values, np.float32(np.nan)))
