"""Charts are well-formed XML, and their marks are where the numbers say."""

from xml.etree import ElementTree

import numpy as np
import pytest

from vae_pipeline.evaluation.report.charts import BOTTOM, HEIGHT, LEFT, POINTS, TOP, WIDTH, bar_chart, line_chart


def marks(svg, tag, **attributes):
    found = ElementTree.fromstring(svg).iter(tag)
    return [mark for mark in found if all(mark.get(name) == value for name, value in attributes.items())]


def points(svg, name):
    (line,) = marks(svg, "polyline", **{"class": name})
    return np.array([pair.split(",") for pair in line.get("points").split()], float)


def test_lines_are_linear_in_epoch_and_value():
    epochs, values = list(range(1, 31)), np.linspace(-80, -60, 30) + np.random.default_rng(0).normal(size=30)
    svg = line_chart("ELBO", epochs, {"train": values.tolist(), "valid": [*values[:-1] - 3, None]}, kept=20)
    drawn = points(svg, "train")
    assert np.corrcoef(drawn[:, 0], epochs)[0, 1] == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(drawn[:, 1], values)[0, 1] == pytest.approx(-1, abs=1e-4)
    assert len(points(svg, "valid")) == 29
    dots = marks(svg, "circle")
    assert len(dots) == 2 and len({dot.get("cx") for dot in dots}) == 1
    assert float(dots[0].get("cx")) == drawn[19, 0]


def test_the_levels_are_where_the_line_would_be():
    svg = line_chart("rate", [1, 2, 3], {"train": [0.0, 5.0, 10.0]}, kept=3)
    drawn = points(svg, "train")
    names = {text.text: float(text.get("y")) - 3.5 for text in marks(svg, "text", **{"class": "tick level"})}
    assert {"0", "10"} <= set(names)
    assert names["0"] == pytest.approx(drawn[0, 1], abs=0.11) and names["10"] == pytest.approx(drawn[2, 1], abs=0.11)


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    svg = line_chart("rate", [1, 2], {"train": [1.0, 2.0], "valid": [1.0, 2.001]}, kept=2)
    first, second = (float(marks(svg, "text", **{"class": f"name {name}"})[0].get("y")) for name in ("train", "valid"))
    assert abs(first - second) >= 12


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0], [float("inf"), 1.0], [-1e6, 1e-3], [1e-7, 2e-7]])
def test_any_history_can_be_drawn(values):
    epochs = list(range(1, len(values) + 1))
    svg = line_chart("ELBO <&>", epochs, {"train": values, "valid": [None] * len(values)}, kept=1)
    assert marks(svg, "polyline", **{"class": "valid"}) == []
    assert np.isfinite(points(svg, "train")).all()


def test_a_long_history_is_thinned_and_keeps_its_end():
    values = np.sin(np.arange(10_000)).tolist()
    drawn = points(line_chart("ELBO", list(range(1, 10_001)), {"train": values}, kept=1), "train")
    assert len(drawn) <= POINTS + 1
    assert drawn[-1, 0] == pytest.approx(drawn[:, 0].max())


@pytest.mark.parametrize("count", [1, 8, 200])
def test_bars_are_sorted_and_proportional(count):
    values = np.random.default_rng(1).gamma(1.0, size=count)
    marked = values > 0.5
    svg = bar_chart("rate", values.tolist(), marked.tolist())
    bars = marks(svg, "rect")
    heights = np.array([float(bar.get("height")) for bar in bars])
    order = np.argsort(-values)
    np.testing.assert_allclose(heights / heights[0], values[order] / values.max(), atol=0.002)
    assert [bar.get("class") == "active" for bar in bars] == marked[order].tolist()
    assert [bar.find("title").text.split(":")[0] for bar in bars] == [f"dimension {index}" for index in order]
    assert all(float(bar.get("x")) >= LEFT and float(bar.get("x")) + float(bar.get("width")) <= WIDTH for bar in bars)
    assert all(TOP <= float(bar.get("y")) <= HEIGHT - BOTTOM for bar in bars)


def test_no_rate_at_all():
    assert len(marks(bar_chart("rate", [0.0, 0.0], [False, False]), "rect")) == 2
