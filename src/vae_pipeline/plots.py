"""Pictures of a trained model, as PNG files that a person wants to look at; one style for all of them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri

from vae_pipeline.files import writing
from vae_pipeline.pictures import Pixels, save_sheet

Array = npt.NDArray[Any]

INK, GREY, GRID, SHADE = "#24292f", "#6e7781", "#e6e8eb", "#f6f8fa"
TRAIN, VALID, ALARM = "#8c959f", "#0969da", "#cf222e"
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
    "text.parse_math": False,  # a name with dollar signs is a name, and no formula
    "svg.hashsalt": "vae-pipeline",  # else names within it are drawn at random
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


def rate_distortion(path: Path, name: str, points: Sequence[dict[str, Any]], latents: int, floor: float | None) -> None:
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
            label=f"highest ELBO, {_signed(-rate[best] - distortion[best], '.2f')}",
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
        _save(figure, path)


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
            f"ELBO {_signed(-total, 'g')}",
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


def _signed(value: float, form: str) -> str:
    """A number with the minus sign that the axes have."""
    return f"{value + 0.0:{form}}".replace("-", "−")


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
        _save(figure, path)


SCORES = {
    "negative_elbo": "−ELBO (nats)",
    "reconstruction_error": "squared error of the reconstruction, on scaled values",
    "reconstruction_probability": "−log p(x | z), averaged over z (nats)",
    "importance_bound": "− importance bound (nats)",
    "rate": "rate (nats)",
    "mahalanobis": "squared Mahalanobis distance of the latent mean",
    "hottest_part": "deviance in the hottest part of the heat map (nats a pixel)",
    "rank_ensemble": "mean rank of all scores among held-back examples",
}


def scores(path: Path, score: Array, anomalous: Array, kind: str) -> None:
    """How the scores of normal rows and of anomalies are spread, each group by shares of its own."""
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
        axes.set_xticks(np.arcsinh((ticks - middle) / spread), [_signed(float(tick), "g") for tick in ticks])
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(SCORES[kind])
        axes.set_ylabel("share of each group")
        axes.set_title("scores of the test part")
        axes.legend(loc="upper right")
        _save(figure, path)


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
        _save(figure, path)


def pairs(path: Path, images: Pixels, reconstructions: Pixels, columns: int = 10) -> None:
    """Rows of images, each above its reconstruction."""
    rows = []
    for start in range(0, len(images), columns):
        rows += [images[start : start + columns], reconstructions[start : start + columns]]
    save_sheet(path, np.concatenate(rows), columns, side=56, group=2)


def grid(path: Path, images: Pixels, columns: int) -> None:
    """Images side by side."""
    save_sheet(path, images, columns, side=56)


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
    with writing(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a sign that no font has is drawn as a box
        # Without metadata: equal pictures, equal bytes.
        figure.savefig(path, metadata={"Date" if path.suffix == ".svg" else "Software": None})
