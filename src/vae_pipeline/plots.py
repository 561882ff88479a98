"""Pictures of a trained model, as PNG files that a person wants to look at; one style for all of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from vae_pipeline.files import writing
from vae_pipeline.pictures import Pixels, save_png, tile

Array = npt.NDArray[Any]

INK, GREY, GRID = "#24292f", "#6e7781", "#e6e8eb"
TRAIN, VALID = "#8c959f", "#0969da"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "figure.dpi": 130,
}


def curves(path: Path, history: Sequence[dict[str, float | None]], kept: int) -> None:
    """ELBO, distortion and rate by epoch; the epoch whose weights were kept is marked."""
    epochs = [row["epoch"] for row in history]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.3), layout="constrained")
        for axes, name in zip(figure.subplots(1, 3), ("elbo", "distortion", "rate"), strict=True):
            for part, colour in (("train", TRAIN), ("valid", VALID)):
                values = [row[f"{part}_{name}"] for row in history]
                if values[0] is not None:
                    axes.plot(epochs, values, color=colour, linewidth=1.8, label=part)
            axes.axvline(kept, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title("ELBO" if name == "elbo" else name)
            axes.set_xlabel("epoch")
            _frame_tail(axes)
        figure.axes[0].set_ylabel("nats")
        figure.axes[0].legend(loc="lower right")
        _save(figure, path)


def _frame_tail(axes: Axes) -> None:
    """Zoom on what follows the first steep epochs, which otherwise flatten everything else."""
    values = [np.asarray(line.get_ydata(), float) for line in axes.get_lines()[:-1]]
    tail = np.concatenate([series[len(series) // 20 :] for series in values])
    low, high = float(tail.min()), float(tail.max())
    margin = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def rates(path: Path, rate: Array, active: Array) -> None:
    """Rate of each latent dimension, largest first; inactive ones are grey."""
    order = np.argsort(-rate)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, min(11.0, 0.28 * len(rate) + 2)), 3.2), layout="constrained")
        axes = figure.subplots()
        colours = [VALID if active[index] else TRAIN for index in order]
        axes.bar(np.arange(len(rate)), rate[order], color=colours, width=0.75)
        step = max(1, len(rate) // 25)
        axes.set_xticks(np.arange(len(rate))[::step], [str(index) for index in order[::step]])
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("latent dimension")
        axes.set_ylabel("rate (nats)")
        axes.set_title(f"{int(active.sum())} of {len(rate)} dimensions are active, {rate.sum():.1f} nats in all")
        _save(figure, path)


def scatter(path: Path, points: Array, labels: Array | None, classes: Sequence[str], names: tuple[str, str]) -> None:
    """Posterior means in two dimensions, coloured by label."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 5.2), layout="constrained")
        axes = figure.subplots()
        size = max(2.0, min(14.0, 20000 / len(points)))
        if labels is None:
            axes.scatter(points[:, 0], points[:, 1], s=size, color=VALID, alpha=0.6, linewidths=0)
        else:
            palette = matplotlib.colormaps["tab10" if len(classes) <= 10 else "turbo"]
            spread = max(10, len(classes)) if len(classes) <= 10 else len(classes)
            for index, name in enumerate(classes):
                chosen = points[labels == index]
                colour = palette((index + 0.5) / spread)
                axes.scatter(chosen[:, 0], chosen[:, 1], s=size, color=colour, alpha=0.7, linewidths=0, label=name)
            if len(classes) <= 20:
                legend = axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=18**0.5 / size**0.5 * 1.4)
                for handle in legend.legend_handles:
                    if handle is not None:
                        handle.set_alpha(1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        axes.set_title("posterior means of the test part")
        _save(figure, path)


def pairs(path: Path, images: Pixels, reconstructions: Pixels, columns: int = 10) -> None:
    """Rows of images, each above its reconstruction."""
    rows = []
    for start in range(0, len(images), columns):
        rows += [images[start : start + columns], reconstructions[start : start + columns]]
    save_png(path, tile(np.concatenate(rows), columns, side=56, group=2))


def grid(path: Path, images: Pixels, columns: int) -> None:
    """Images side by side."""
    save_png(path, tile(images, columns, side=56))


def plane(side: int) -> Array:
    """A [side * side, 2] grid of N(0, I)'s quantiles, first axis rightwards and second upwards.

    Source: Kingma and Welling, 2014, figure 4.
    """
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    right, up = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([right.ravel(), up.ravel()], axis=1).astype(np.float32)


def traversals(mean: Array, dimensions: Array, steps: int = 9, reach: float = 2.5) -> Array:
    """Latents [dimensions * steps, latents]: each dimension in turn from -reach to reach, the others at `mean`."""
    latents = np.tile(mean, (len(dimensions), steps, 1))
    for row, dimension in enumerate(dimensions):
        latents[row, :, dimension] = np.linspace(-reach, reach, steps)
    return latents.reshape(-1, len(mean)).astype(np.float32)


def _save(figure: Figure, path: Path) -> None:
    with writing(path):
        # Without metadata: equal pictures, equal bytes.
        figure.savefig(path, metadata={"Software": None})
