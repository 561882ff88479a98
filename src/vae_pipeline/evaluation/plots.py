"""Pictures of a trained model, as PNG files that a person wants to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_pipeline.evaluation.plot_style import ALARM, GREY, STYLE, TRAIN, VALID, save, signed
from vae_pipeline.kinds.image.pictures import Pixels, save_sheet

Array = npt.NDArray[Any]


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
        save(figure, path)


def _frame_tail(axes: Axes) -> None:
    """Zoom on what follows the first steep epochs, which otherwise flatten everything else."""
    values = [np.asarray(line.get_ydata(), float) for line in axes.get_lines()[:-1]]
    tail = np.concatenate([series[len(series) // 20 :] for series in values])
    low, high = float(tail.min()), float(tail.max())
    margin = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def rates(path: Path, rate: Array, active: Array, part: str = "dimension") -> None:
    """Rate of each latent dimension, or of each channel of a map, largest first; inactive ones are grey."""
    order = np.argsort(-rate)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, min(11.0, 0.28 * len(rate) + 2)), 3.2), layout="constrained")
        axes = figure.subplots()
        colours = [VALID if active[index] else TRAIN for index in order]
        axes.bar(np.arange(len(rate)), rate[order], color=colours, width=0.75)
        step = max(1, len(rate) // 25)
        axes.set_xticks(np.arange(len(rate))[::step], [str(index) for index in order[::step]])
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"latent {part}")
        axes.set_ylabel("rate (nats)")
        axes.set_title(f"{int(active.sum())} of {len(rate)} {part}s are active, {rate.sum():.1f} nats in all")
        save(figure, path)


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
            drawn = []
            for index in range(len(classes)):
                chosen = points[labels == index]
                colour = palette((index + 0.5) / spread)
                drawn.append(axes.scatter(chosen[:, 0], chosen[:, 1], s=size, color=colour, alpha=0.7, linewidths=0))
            if len(classes) <= 20:  # by their names here: a label that begins with _ would be left out
                place: Any = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
                legend = axes.legend(drawn, classes, markerscale=18**0.5 / size**0.5 * 1.4, **place)
                for handle in legend.legend_handles:
                    if handle is not None:
                        handle.set_alpha(1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        axes.set_title("posterior means of the test part")
        save(figure, path)


SCORES = {
    "negative_elbo": "−ELBO (nats)",
    "reconstruction_error": "squared error of the reconstruction, on scaled values",
    "reconstruction_probability": "−log p(x | z), averaged over z (nats)",
    "importance_bound": "− importance bound (nats)",
    "rate": "rate (nats)",
    "mahalanobis": "squared Mahalanobis distance of the latent mean",
    "hottest_part": "deviance in the hottest part of the heat map (nats a pixel)",
    "rank_ensemble": "mean rank of four scores, in places from the highest training example (± log)",
    "neighbour_ensemble": "−ELBO, nearest training rows and marginals: −log of their tails, added (nats)",
}


def scores(path: Path, score: Array, anomalous: Array, kind: str) -> None:
    """A histogram of the scores of normal rows and of anomalies, each group by shares of its own."""
    middle, spread = float(np.median(score)), float(np.subtract(*np.quantile(score, (0.75, 0.25)))) or 1.0
    placed = np.arcsinh((score - middle) / spread)  # straight near the middle, logarithmic in the tails
    edges = np.linspace(placed.min(), placed.max(), 61).tolist()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.3), layout="constrained")
        axes = figure.subplots()
        for name, chosen, colour in (("normal", ~anomalous, VALID), ("anomaly", anomalous, ALARM)):
            weights = np.full(int(chosen.sum()), 1 / chosen.sum())
            axes.hist(
                placed[chosen].tolist(),
                edges,
                weights=weights,
                color=colour,
                alpha=0.55,
                label=f"{name} ({len(weights):,})",
            )
        ticks = np.array([float(f"{middle + spread * np.sinh(tick):.2g}") for tick in axes.get_xticks()])
        axes.set_xticks(np.arcsinh((ticks - middle) / spread), [signed(float(tick), "g") for tick in ticks])
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(SCORES[kind])
        axes.set_ylabel("share of each group")
        axes.set_title("scores of the test part")
        axes.legend(loc="upper right")
        save(figure, path)


def heat_maps(path: Path, images: Pixels, heat: Array, masks: Array | None, names: Sequence[str]) -> None:
    """Columns of an image, its mask and its heat map; the heat of all is on one scale, black to its highest percent."""
    rows = {"image": images, "defect": masks, "heat map": heat}
    shown = {name: values for name, values in rows.items() if values is not None}
    low, high = np.quantile(heat, (0.5, 0.99))
    _, height, width = heat.shape
    # Grey words on no ground: they are read on a light page and on a dark one, where the maps can't be inverted.
    style = {"axes.grid": False, "figure.facecolor": "none", "text.color": GREY, "axes.labelcolor": GREY}
    with matplotlib.rc_context(STYLE | style):
        figure = Figure(figsize=(1.05 * len(images) + 0.3, 1.05 * height / width * len(shown) + 0.3))
        grid = figure.subplots(len(shown), len(images), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
        figure.subplots_adjust(left=0.03, right=0.995, bottom=0.01, top=0.92)
        for axes_of_row, (label, values) in zip(grid, shown.items(), strict=True):
            axes_of_row[0].set_ylabel(label, fontsize=9)
            for axes, value in zip(axes_of_row, values, strict=True):
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if label == "image":
                    axes.imshow(value.transpose(1, 2, 0) if len(value) == 3 else value[0], "gray", vmin=0, vmax=255)
                else:
                    colours, limits = ("gray", (0, 1)) if label == "defect" else ("inferno", (low, high))
                    axes.imshow(value, colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        for index, (axes, name) in enumerate(zip(grid[0], names, strict=True)):
            if index == 0 or names[index - 1] != name:
                axes.set_title(name, fontsize=9, fontweight="normal")
        save(figure, path)


def sounds(path: Path, waves: Array, spectrograms: Array, seconds: float, columns: int) -> None:
    """Waveforms [n, length], each above its spectrogram [n, bands, frames], in rows of so many."""
    lines = -(-len(waves) // columns)
    style = {"axes.grid": False, "figure.facecolor": "none", "text.color": GREY, "axes.labelcolor": GREY}
    with matplotlib.rc_context(STYLE | style):
        figure = Figure(figsize=(1.5 * columns, 1.7 * lines))
        ratios: Any = {"height_ratios": [1, 2] * lines, "wspace": 0.06, "hspace": 0.06}
        grid = figure.subplots(2 * lines, columns, squeeze=False, gridspec_kw=ratios)
        figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.99)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for index, (wave, spectrogram) in enumerate(zip(waves, spectrograms, strict=True)):
            line, column = divmod(index, columns)
            above, below = grid[2 * line, column], grid[2 * line + 1, column]
            above.plot(np.linspace(0, seconds, len(wave)), wave, color=VALID, linewidth=0.5)
            above.set(xlim=(0, seconds), ylim=(-1, 1))
            below.imshow(spectrogram, "inferno", vmin=0, vmax=1, origin="lower", aspect="auto")
        save(figure, path)


def pairs(path: Path, images: Pixels, reconstructions: Pixels, columns: int = 10) -> None:
    """Rows of images, each above its reconstruction."""
    stacked(path, (images, reconstructions), columns)


def stacked(path: Path, sets: Sequence[Pixels], columns: int = 10) -> None:
    """Rows of images, each above those that belong to it in the other sets."""
    rows = [each[start : start + columns] for start in range(0, len(sets[0]), columns) for each in sets]
    save_sheet(path, np.concatenate(rows), columns, side=56, group=len(sets))


def grid(path: Path, images: Pixels, columns: int) -> None:
    """Images side by side."""
    save_sheet(path, images, columns, side=56)
