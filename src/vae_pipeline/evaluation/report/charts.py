"""Charts as inline SVG, in colours of the page's own stylesheet, so that they follow it into the dark."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from vae_pipeline.evaluation.report.markup import MINUS

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 38, 28, 24
WIDE, TALL = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
POINTS = 400  # more of a line can't be seen
NAME = 13  # the height of a line's name

Place = Callable[[float], float]


def line_chart(title: str, epochs: Sequence[int], series: Mapping[str, Sequence[float | None]], kept: int) -> str:
    """Lines by epoch, each named at its end; the epoch whose weights were kept is marked.

    The first twentieth may leave the frame: steep as it is, it would flatten everything else.
    """
    lines = {
        name: [
            (epoch, value)
            for epoch, value in zip(epochs, values, strict=True)
            if value is not None and math.isfinite(value)
        ]
        for name, values in series.items()
    }
    lines = {name: points for name, points in lines.items() if points}
    tail = [value for points in lines.values() for _, value in points[len(points) // 20 :]]
    margin = 0.06 * (max(tail) - min(tail)) or 1.0
    low, high = min(tail) - margin, max(tail) + margin
    first, last = epochs[0], max(epochs[-1], epochs[0] + 1)

    def x(epoch: float) -> float:
        return LEFT + WIDE * (epoch - first) / (last - first)

    def y(value: float) -> float:
        return TOP + TALL * (high - value) / (high - low)

    parts = [_levels(low, high, y)]
    parts += [_text("tick", x(epoch), HEIGHT - 7, f"{epoch:g}") for epoch in _ticks(first, last) if epoch % 1 == 0]
    parts.append(f'<line class="kept" x1="{x(kept):.1f}" x2="{x(kept):.1f}" y1="{TOP}" y2="{TOP + TALL}"/>')
    # An inner <svg> clips what leaves the frame.
    parts.append(f'<svg y="{TOP}" width="{WIDTH}" height="{TALL}" viewBox="0 {TOP} {WIDTH} {TALL}">')
    for name, points in lines.items():
        shown = [*points[: -1 : -(-len(points) // POINTS)], points[-1]]
        path = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in shown)
        parts.append(f'<polyline class="{name}" points="{path}"/>')
        parts += [
            f'<circle class="{name}" cx="{x(epoch):.1f}" cy="{y(value):.1f}" r="3"/>'
            for epoch, value in points
            if epoch == kept
        ]
    parts.append("</svg>")
    ends = _apart({name: y(points[-1][1]) for name, points in lines.items()})
    parts += [_text(f"name {name}", WIDTH - RIGHT + 7, place + 4, name) for name, place in ends.items()]
    return _svg(title, f"{title} by epoch, {' and '.join(lines)}; epoch {kept} was kept", parts)


def bar_chart(title: str, values: Sequence[float], marked: Sequence[bool], part: str = "dimension") -> str:
    """Bars from the highest to the lowest, each with its number below; those that aren't marked are pale."""
    order = sorted(range(len(values)), key=lambda index: -values[index])
    high = max(*values, 1e-9) * 1.06
    step = min(WIDE / len(values), 40.0)

    def y(value: float) -> float:
        return TOP + TALL * (1 - max(value, 0.0) / high)

    parts = [_levels(0.0, high, y)]
    for place, index in enumerate(order):
        left, top = LEFT + (place + 0.14) * step, y(values[index])
        parts.append(
            f'<rect class="{"active" if marked[index] else "idle"}" x="{left:.2f}" y="{top:.1f}" '
            f'width="{0.72 * step:.2f}" height="{TOP + TALL - top:.1f}">'
            f"<title>{part} {index}: {values[index]:.3f} nats</title></rect>"
        )
        if place % math.ceil(16 / step) == 0:
            parts.append(_text("tick", left + 0.36 * step, HEIGHT - 7, str(index)))
    described = f"{title}: from {values[order[0]]:.3f} down to {values[order[-1]]:.3f} nats over {len(values)}"
    return _svg(title, described, parts)


def _svg(title: str, described: str, parts: Sequence[str]) -> str:
    content = "\n".join([f'<text class="title" x="0" y="13">{escape(title)}</text>', *parts])
    label = escape(described.replace("-", MINUS))
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">\n{content}\n</svg>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _levels(low: float, high: float, y: Place) -> str:
    """Horizontal lines at round values, named at the left."""
    return "\n".join(
        f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        + _text("tick level", LEFT - 6, y(value) + 3.5, f"{value:g}".replace("-", MINUS))
        for value in _ticks(low, high)
    )


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round values within the bounds: multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(power * factor for factor in (5, 2, 1) if power * factor * 3 <= (high - low) * 1.0000001)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(index * step, digits) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """The ends of lines, top to bottom, moved so far apart that their names don't cover each other."""
    placed: dict[str, float] = {}
    below = -math.inf
    for name in sorted(ends, key=lambda name: ends[name]):
        placed[name] = below = max(ends[name], below + NAME)
    excess = max(0.0, below - (TOP + TALL))
    return {name: place - excess for name, place in placed.items()}
