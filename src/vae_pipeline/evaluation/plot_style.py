"""The style that all plots share, and how one is written."""

import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vae_pipeline.system.files import writing

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


def signed(value: float, form: str) -> str:
    """A number with the minus sign that the axes have."""
    return f"{value + 0.0:{form}}".replace("-", "−")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its file's name; equal figures have equal bytes."""
    with writing(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a sign that no font has is drawn as a box
        figure.savefig(path, metadata={"Date" if path.suffix == ".svg" else "Software": None})
