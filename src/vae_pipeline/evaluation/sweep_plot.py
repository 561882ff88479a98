"""The plots of a sweep: the best figure trial by trial, and the figure over each parameter."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, NullFormatter

from vae_pipeline.evaluation.plot_style import ALARM, GREY, STYLE, TRAIN, VALID, save
from vae_pipeline.recipe.figures import Figure

ACROSS = 3  # plots of parameters side by side
LOG_FROM = 20  # a parameter whose largest value is so many times its smallest has a logarithmic axis
MARKS = {"pruned": ("x", TRAIN), "refused": ("s", ALARM), "failed": ("v", ALARM)}
DOTS: Any = {"marker": "o", "linestyle": "none", "color": VALID, "markersize": 6, "markeredgecolor": "white"}

Rows = Sequence[Mapping[str, Any]]
"""Trials: their `trial`, `parameters`, `metric` and `state`."""


def history(path: Path, name: str, rows: Rows, figure: Figure, higher: bool) -> None:
    """The figure of each trial and the best one so far; trials without a figure stand along the lower edge."""
    done = [row for row in rows if row["metric"] is not None]
    best = (np.maximum if higher else np.minimum).accumulate([row["metric"] for row in done])
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(8.4, 4.2), layout="constrained")
        axes = canvas.subplots()
        numbers = [row["trial"] for row in done]
        reached = [*numbers, rows[-1]["trial"]], [*best, best[-1]]
        axes.step(*reached, where="post", color=VALID, linewidth=1.6, label="best so far")
        axes.plot(numbers, [row["metric"] for row in done], **DOTS, label="complete")
        for state, (mark, color) in MARKS.items():
            at = [row["trial"] for row in rows if row["state"] == state]
            if at:
                edge = axes.get_xaxis_transform()
                axes.plot(at, [0.03] * len(at), mark, color=color, markersize=5, transform=edge, label=state)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel(_named(figure))
        axes.set_title(f"{name}: {figure.name} on the validation part")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        save(canvas, path)


def parameters(path: Path, name: str, rows: Rows, figure: Figure, importances: Mapping[str, float]) -> None:
    """The figure over each parameter, with the share of its variance that the parameter accounts for."""
    done = [row for row in rows if row["metric"] is not None]
    names = list(rows[0]["parameters"])
    across = min(ACROSS, len(names))
    down = math.ceil(len(names) / across)
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(max(4.8, 3.4 * across), 0.5 + 3.0 * down), layout="constrained")
        grid = canvas.subplots(down, across, squeeze=False, sharey=True).flatten()
        for axes, each in zip(grid, names, strict=False):
            _over(axes, [row["parameters"][each] for row in done], [row["metric"] for row in done])
            axes.set_title(each.rpartition(".")[2] + (f"  ({importances[each]:.0%})" if each in importances else ""))
            axes.set_xlabel(each, fontsize=8, color=GREY)
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        for axes in grid[::across]:
            axes.set_ylabel(_named(figure))
        told = ", share of its variance by each parameter" if importances else ""
        canvas.suptitle(f"{name}: {figure.name} on the validation part{told}", fontsize=11, x=0.01, ha="left")
        save(canvas, path)


def _over(axes: Axes, values: Sequence[Any], figures: Sequence[float]) -> None:
    """Numbers stand where they are; choices side by side, as far as they are numbers in their order."""
    if all(isinstance(value, int | float) for value in values):
        axes.plot(values, figures, **DOTS)
        if min(values) > 0 and max(values) >= LOG_FROM * min(values):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # powers are formulas, which STYLE parses not
            axes.xaxis.set_minor_formatter(NullFormatter())
        return
    texts = sorted({str(value) for value in values}, key=_order)
    axes.plot([texts.index(str(value)) for value in values], figures, **DOTS)
    axes.set_xticks(range(len(texts)), [text if len(text) < 14 else f"{text[:12]}…" for text in texts])
    axes.margins(x=0.2)


def _order(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def _named(figure: Figure) -> str:
    return f"{figure.name} ({figure.unit})" if figure.unit else figure.name
