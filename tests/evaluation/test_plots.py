"""Plots show names of classes that strangers chose."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from vae_pipeline.evaluation import plots

NAMES = ["$x_{$", "_b", "猫", "<b>&\\frac"]


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    save = Figure.savefig

    def keep(figure, *arguments, **options):
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_names_are_no_formulas_and_all_are_in_the_legend(tmp_path, drawn):
    points = np.random.default_rng(0).normal(size=(40, 2))
    plots.scatter(tmp_path / "z.png", points, np.arange(40) % 4, NAMES, ("z 1", "$z_{$"))
    legend = drawn[0].axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == NAMES


def test_names_above_heat_maps_are_no_formulas(tmp_path, drawn):
    pixels = np.zeros((4, 1, 4, 4), np.uint8)
    plots.heat_maps(tmp_path / "heat.png", pixels, np.ones((4, 4, 4)), None, NAMES)
    assert [axes.get_title(loc="left") for axes in drawn[0].axes[:4]] == NAMES
