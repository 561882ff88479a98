"""The plot of distortion over rate, a point for each model of one recipe at several prices of the rate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae_pipeline.evaluation.plot_style import GREY, GRID, SHADE, STYLE, TRAIN, VALID, save, signed

Array = npt.NDArray[Any]


def draw(path: Path, name: str, points: Sequence[dict[str, Any]], latents: int, floor: float | None) -> None:
    """Distortion over rate, a point a model in the order of training; along the slanting lines the ELBO is equal.

    Source: Alemi et al., Fixing a Broken ELBO, 2018, figure 1.
    """
    rate, distortion = (np.array([point[axis] for point in points]) for axis in ("rate", "distortion"))
    wide, high = float(np.ptp(rate)) or 1.0, float(np.ptp(distortion)) or 1.0
    best = int(np.argmin(rate + distortion))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 5.4), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.set_xlim(min(0.0, float(rate.min())) - 0.06 * wide, float(rate.max()) + 0.16 * wide)
        axes.set_ylim(float(distortion.min()) - 0.14 * high, float(distortion.max()) + 0.12 * high)
        lowest = float(distortion.min())
        if floor is not None and axes.get_ylim()[0] < floor < lowest:
            lowest = floor
        _regions(axes, lowest)
        _equal_elbo(axes, lowest, np.stack([rate, distortion], 1))
        axes.plot(rate, distortion, color=VALID, linewidth=1.8, marker="o", markersize=7, markeredgecolor="white")
        axes.plot(
            rate[best],
            distortion[best],
            color=VALID,
            linestyle="none",
            marker="o",
            markersize=13,
            markerfacecolor="none",
            label=f"highest ELBO, {signed(-rate[best] - distortion[best], '.2f')}",
        )
        for group in _neighbours(rate / wide, distortion / high):
            beta = ", ".join(f"{points[index]['beta']:.3g}" for index in group)
            active = ", ".join(str(points[index]["active_units"]) for index in group)
            place: Any = {"xy": (rate[group[0]], distortion[group[0]]), "textcoords": "offset points"}
            axes.annotate(f"β {beta}", xytext=(10, 14), fontweight="bold", **place)
            axes.annotate(f"{active} of {latents} active", xytext=(10, 4), fontsize=8, color=GREY, **place)
        axes.set_xlabel("rate R (nats)")
        axes.set_ylabel("distortion D (nats)")
        axes.set_title(f"{name}: rate and distortion by β, validation part")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, handletextpad=0.2)
        save(figure, path)


def _regions(axes: Axes, lowest: float) -> None:
    """The two edges of the frame in words: no rate, and no distortion left that more rate could take away."""
    (left, _), (low, _) = axes.get_xlim(), axes.get_ylim()
    axes.axvspan(left, 0, color=SHADE, linewidth=0, zorder=0)
    axes.axhspan(low, lowest, color=SHADE, linewidth=0, zorder=0)
    style: Any = {"color": GREY, "fontsize": 9, "style": "italic", "va": "center"}
    collapsed, autoencoding = "collapsed: z tells nothing of x", "autoencoding: D near its floor, more R buys little"
    axes.text(left / 2, 0.5, collapsed, style, transform=axes.get_xaxis_transform(), rotation=90, ha="center")
    axes.text(0.98, (low + lowest) / 2, autoencoding, style, transform=axes.get_yaxis_transform(), ha="right")


def _equal_elbo(axes: Axes, low: float, points: Array) -> None:
    """Light lines D + R = const within the frame as it is, labelled near its lower end unless a point is there."""
    (_, right), (_, high) = axes.get_xlim(), axes.get_ylim()
    for total in MaxNLocator(9).tick_values(low, right + high):
        start, end = max(0.0, total - high), min(right, total - low)
        if end - start < 0.15 * right:
            continue
        axes.plot([start, end], [total - start, total - end], color=GRID, linewidth=1.0, zorder=0.5)
        x = end - 0.05 * right
        apart = (np.array([x, total - x]) - points) / (right, high - low)
        if (np.abs(apart - (0.06, 0.04)) < (0.12, 0.09)).all(1).any():
            continue
        axes.text(
            x,
            total - x,
            f"ELBO {signed(-total, 'g')}",
            fontsize=7.5,
            color=TRAIN,
            ha="center",
            va="center",
            rotation=-45,
            rotation_mode="anchor",
            transform_rotates_text=True,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 1},
            zorder=0.6,
        )


def _neighbours(x: Array, y: Array) -> list[list[int]]:
    """Runs of points that lie too close together for a label each."""
    groups = [[0]]
    for index in range(1, len(x)):
        first = groups[-1][0]
        if abs(x[index] - x[first]) < 0.11 and abs(y[index] - y[first]) < 0.07:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
