"""Tables of the report's figures: each with its value, what it is to be compared with, and what it means."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any, Protocol

from vae_pipeline.evaluation.report.markup import datum, percent, table
from vae_pipeline.kinds.words import Wording
from vae_pipeline.recipe.figures import Figure, keys, shares


def told(figures: Iterable[Figure], metrics: Mapping[str, Any]) -> list[Figure]:
    """The figures that were measured, and those that were left out with a reason."""
    left_out = metrics.get("left_out", {})
    return [figure for figure in figures if metrics.get(figure.key) is not None or figure.key in left_out]


def beside(
    figure: Figure,
    metrics: Mapping[str, Any],
    words: Wording,
    number: Callable[[float], str],
    percent: Callable[[float], str],
    name: Callable[[str], str],
) -> list[str]:
    """The values that a figure is to be compared with; `number`, `percent` and `name` write what stands in a text."""
    shown = []
    for key, text in figure.beside:
        measured = metrics.get(key)
        values = measured if isinstance(measured, Mapping) else {} if measured is None else {"": measured}
        is_share = figure.share or key in shares()
        for each, value in values.items():
            written = percent(value) if is_share and isinstance(value, float) else number(value)
            shown.append(words.said(text, written, name=name(each)))
    return shown


class Measured(Protocol):
    """Figures, and the observations that they are of."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The figures by their keys."""
        ...

    @property
    def words(self) -> Wording:
        """The words for the observations."""
        ...


def figure_table(caption: str, figures: Iterable[Figure], findings: Measured) -> str:
    """The figures that were measured, each with what it is compared with and what it means; empty if none was."""
    metrics, words = findings.metrics, findings.words
    found = told(figures, metrics)
    if not found:
        return ""
    rows = [
        [
            escape(figure.name),
            _value(figure, metrics),
            "<br>".join(beside(figure, metrics, words, datum, percent, escape)),
        ]
        for figure in found
    ]
    return table(caption, ("figure", "value", "to compare"), rows, [_gloss(figure, findings) for figure in found])


def measured(key: str, value: float, error: float | None = None) -> str:
    """The value of a figure: in percent where it is a share."""
    return (percent if key in shares() else datum)(value, error)


def others(metrics: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Figures that have no words here, under their own names."""
    known = keys()
    return tuple(
        Figure(key, key.replace("_", " "), "", "bounds")
        for key, value in metrics.items()
        if isinstance(value, int | float) and key not in known | {"test_examples"}
        if not key.endswith("_standard_error")
    )


def _value(figure: Figure, metrics: Mapping[str, Any]) -> str:
    measured = metrics.get(figure.key)
    if measured is None:
        return "left out"
    if isinstance(measured, str):
        return escape(measured)
    value = (percent if figure.share else datum)(measured, metrics.get(f"{figure.key}_standard_error"))
    return f'{value} <span class="unit">{figure.unit}</span>' if figure.unit else value


def _gloss(figure: Figure, findings: Measured) -> str:
    reason = findings.metrics.get("left_out", {}).get(figure.key)
    gloss = escape(findings.words.said(figure.meaning(findings.metrics.get("measure", ""))), quote=False)
    return f"{gloss} Left out: {escape(reason)}." if reason else gloss
