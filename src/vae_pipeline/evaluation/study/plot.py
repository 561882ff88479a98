"""The picture of a study: the paired gains of each arm, a panel for each size."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from vae_pipeline.evaluation.plot_style import ALARM, GREY, INK, STYLE, TRAIN, VALID, save
from vae_pipeline.evaluation.study.findings import NONE, OfSize

ACROSS = 3  # panels side by side


def draw(path: Path, name: str, found: Sequence[OfSize], metric: str, figure: str, choosing: str) -> None:
    """Draw the gain of every repeat as a dot, and of every arm the mean with its corrected interval.

    Blue is the part that chooses, grey the test part; the arm of the verdict is ringed.
    """
    across = min(ACROSS, len(found))
    down = -(-len(found) // across)
    arms = list(found[0].valid)
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(2.2 + 3.3 * across, 1.0 + (0.5 + 0.36 * len(arms)) * down), layout="constrained")
        grid = canvas.subplots(down, across, squeeze=False, sharey=True, sharex=True).flatten()
        for axes, each in zip(grid, found, strict=False):
            axes.axvline(0, color=INK, linewidth=0.8)
            for part, color, off in (("valid", VALID, -0.16), ("test", TRAIN, 0.16)):
                none = each.figures(NONE, part, metric)
                for row, arm in enumerate(arms):
                    gain = (each.valid if part == "valid" else each.test)[arm]
                    dots = [100 * (a - b) for a, b in zip(each.figures(arm, part, metric), none, strict=True)]
                    axes.plot(dots, [row + off] * len(dots), ".", color=color, alpha=0.35, markersize=4)
                    axes.plot([100 * gain.low, 100 * gain.high], [row + off] * 2, color=color, linewidth=1.6)
                    label = {"valid": choosing, "test": "test"}[part] if row == 0 else None
                    axes.plot(100 * gain.mean, row + off, "o", color=color, markersize=5, label=label)
            if each.verdict is not None:
                place = 100 * each.valid[each.verdict].mean, arms.index(each.verdict) - 0.16
                axes.plot(*place, "o", markersize=12, markerfacecolor="none", color=ALARM)
            axes.set_title(f"{each.size} labels")
            axes.set_yticks(range(len(arms)), [arm.replace("_", " ") for arm in arms])
        for axes in grid[len(found) :]:
            axes.set_visible(False)
        grid[0].invert_yaxis()  # shared: the first arm is topmost everywhere
        for axes in grid[max(0, len(found) - across) : len(found)]:
            axes.set_xlabel(f"gain of {figure} (points)", color=GREY)
            axes.tick_params(labelbottom=True)
        handles, labels = grid[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside upper right", ncols=2)
        canvas.suptitle(f"{name}: gains over no augmentation", fontsize=11, x=0.01, ha="left")
        save(canvas, path)
