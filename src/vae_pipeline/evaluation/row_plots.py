"""Pictures of drawn rows beside real ones: each column's distribution, and how columns go together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from vae_pipeline.evaluation.plot_style import STYLE, TRAIN, VALID, save
from vae_pipeline.kinds.spec import Column

Array = npt.NDArray[Any]
COLUMNS = 24  # that have a place in a picture, at most
CLASSES = 8  # of a column, the most frequent ones
BINS = 30
ACROSS = 4
LONG = 14  # characters of a class's name
LONGEST = 2 * LONG  # of a column's
THOUSANDS = EngFormatter(sep="")  # 2k, 3M


def marginals(path: Path, real: Array, drawn: Array, columns: Sequence[Column]) -> None:
    """The distribution of each column: bars of classes, a histogram of numbers."""
    shown = range(min(len(columns), COLUMNS))
    rows = -(-len(shown) // ACROSS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 2.1 * rows + 0.3), layout="constrained")
        for at, axes in zip(shown, figure.subplots(rows, ACROSS, squeeze=False).flat, strict=False):
            column = columns[at]
            draw = _bars if column.kind in ("boolean", "category") else _histogram
            draw(axes, real[:, at], drawn[:, at], column)
            axes.set_title(_short(column.name, LONGEST), fontsize=9)
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.tick_params(labelsize=7)
        for axes in figure.axes[len(shown) :]:
            axes.set_visible(False)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        save(figure, path)


def _bars(axes: Axes, real: Array, drawn: Array, column: Column) -> None:
    classes, counts = np.unique(real[~np.isnan(real)], return_counts=True)
    shown = classes[np.argsort(-counts, kind="stable")[:CLASSES]]
    names = [_short(column.values[int(each)] if column.values else str(bool(each)), LONG) for each in shown]
    for rows, side, colour, label in ((real, -0.2, TRAIN, "training rows"), (drawn, 0.2, VALID, "drawn rows")):
        shares = [(rows == each).mean() for each in shown]
        axes.bar(np.arange(len(shown)) + side, shares, 0.4, color=colour, label=label)
    axes.set_xticks(np.arange(len(shown)), names, rotation=30, ha="right", fontsize=6)


def _histogram(axes: Axes, real: Array, drawn: Array, column: Column) -> None:  # noqa: ARG001
    real, drawn = real[~np.isnan(real)], drawn[~np.isnan(drawn)]
    low, high = np.quantile(real, [0.005, 0.995]) if len(real) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    for values, colour, label in ((real, TRAIN, "training rows"), (drawn, VALID, "drawn rows")):
        counts = np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / max(1, len(values))
        filled = label == "training rows"
        axes.stairs(counts, edges, color=colour, fill=filled, alpha=0.7 if filled else 1, label=label)


def _plain(value: float, _: int | None) -> str:
    """A number at an axis: 0.02, 20, 2k."""
    return THOUSANDS(value) if abs(value) >= 1e3 else f"{value:.6g}"


def correlations(path: Path, real: Array, drawn: Array, columns: Sequence[Column]) -> None:
    """Three maps: how strongly columns go together in real rows, in drawn ones, and the difference."""
    columns = columns[:COLUMNS]
    if len(columns) < 2:
        return
    sides = [association(rows[:, : len(columns)], columns) for rows in (real, drawn)]
    maps = (*sides, sides[1] - sides[0])
    names = [_short(column.name, LONGEST) for column in columns]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 4.4), layout="constrained")
        for axes, values, title in zip(
            figure.subplots(1, 3), maps, ("training rows", "drawn rows", "drawn less training"), strict=True
        ):
            apart = title.startswith("drawn less")
            drawing = axes.imshow(
                values, "RdBu_r" if apart else "Blues", vmin=-0.5 if apart else 0, vmax=0.5 if apart else 1
            )
            axes.set_title(title)
            axes.grid(visible=False)
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
            axes.set_yticks(range(len(names)), names if axes is figure.axes[0] else [""] * len(names), fontsize=6.5)
            figure.colorbar(drawing, ax=axes, shrink=0.6).ax.tick_params(labelsize=7)
        save(figure, path)


def association(rows: Array, columns: Sequence[Column]) -> Array:
    """The strength with which each pair goes together, [columns, columns], from 0 to 1.

    |Pearson's correlation| of two numbers, the correlation ratio of a class and a number, and Cramér's V of two classes
    (Cramér, Mathematical Methods of Statistics, 1946). Rows that lack either value are left out.
    """
    is_class = [column.kind in ("boolean", "category") for column in columns]
    found = np.eye(len(columns))
    for first in range(len(columns)):
        for second in range(first):
            both = ~np.isnan(rows[:, first]) & ~np.isnan(rows[:, second])
            one, other = rows[both, first].astype(np.float64), rows[both, second].astype(np.float64)
            if is_class[second] and not is_class[first]:
                one, other = other, one
            measure = _cramer if is_class[first] and is_class[second] else _ratio
            if not is_class[first] and not is_class[second]:
                measure = _pearson
            found[first, second] = found[second, first] = measure(one, other) if len(one) > 1 else 0.0
    return found


def _pearson(one: Array, other: Array) -> float:
    return 0.0 if one.std() == 0 or other.std() == 0 else float(abs(np.corrcoef(one, other)[0, 1]))


def _ratio(classes: Array, values: Array) -> float:
    """The square root of the share of the variance that lies between the classes."""
    if values.std() == 0:
        return 0.0
    _, places = np.unique(classes, return_inverse=True)
    counts = np.bincount(places)
    between = np.bincount(places, values - values.mean()) ** 2 / counts
    return float(np.sqrt(between.sum() / ((values - values.mean()) ** 2).sum()))


def _cramer(one: Array, other: Array) -> float:
    (first, rows), (second, columns) = (np.unique(values, return_inverse=True) for values in (one, other))
    least = min(len(first), len(second)) - 1
    if least < 1:
        return 0.0
    counts = np.bincount(rows * len(second) + columns, minlength=len(first) * len(second)).astype(float)
    counts = counts.reshape(len(first), len(second))
    wanted = counts.sum(1, keepdims=True) * counts.sum(0) / len(one)
    return float(np.sqrt(((counts - wanted) ** 2 / wanted).sum() / (len(one) * least)))


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
