"""The page's part on gates and alarms: a gate that failed and an alarm that stands ask for attention."""

from collections.abc import Mapping
from html import escape
from typing import Any

from vae_pipeline.evaluation.report.figures import measured
from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import MINUS, table
from vae_pipeline.recipe.figures import shares


def needs_attention(findings: Findings) -> bool:
    """True if a gate isn't kept, or an alarm stands."""
    return bool(findings.breaches or findings.standing)


def attention(findings: Findings) -> str:
    """The alarms that stand and the gates that aren't kept."""
    alarms = [f"<li>{_alarm(alarm)}</li>" for alarm in findings.standing]
    gates = [f"<li><strong>{escape(name)}</strong>: {escape(said)}</li>" for name, said in findings.breaches.items()]
    return _listed("Alarms:", alarms) + _listed("Gates that aren't kept:", gates)


def checks(findings: Findings) -> str:
    """Checks that need no attention: bounds that the recipe sets, implied gates that it waives, alarms now over."""
    parts = []
    if "alarms" in findings.metrics and not findings.alarms:
        parts.append("<p>No alarm was raised.</p>")
    over = [f"<li>{_alarm(alarm)}</li>" for alarm in findings.alarms if alarm.get("cleared") is not None]
    parts.append(_listed("Alarms that are over:", over, "past"))
    if findings.gates:
        rows = [
            [escape(name), _optional(name, findings.metrics.get(name)), _bounds(name, gate, name in findings.breaches)]
            for name, gate in findings.gates.items()
        ]
        parts.append(table("Gates", ("figure", "value", "bounds"), rows, [""] * len(rows)))
    implied = [name for name in findings.breaches if name not in findings.gates]
    if not implied:
        parts.append("<p>The gates that every recipe has are kept, or waived by this one.</p>")
    waived = [f"<li>{escape(name)}: {escape(said)}</li>" for name, said in findings.waived.items()]
    parts.append(_listed("Gates that this recipe waives, and would not keep:", waived, "past"))
    return "\n".join(part for part in parts if part)


def _listed(title: str, items: list[str], kind: str = "") -> str:
    if not items:
        return ""
    lines = "\n".join(items)
    shown = f' class="{kind}"' if kind else ""
    return f"<div{shown}>\n<p>{title}</p>\n<ul>\n{lines}\n</ul>\n</div>"


def _alarm(alarm: Mapping[str, Any]) -> str:
    """An alarm that is over is history: when it was, without its figures."""
    name, began, cleared = f"<strong>{escape(str(alarm['name']))}</strong>", alarm["epoch"], alarm.get("cleared")
    if cleared is not None:
        return f"{name}, from epoch {began} to {cleared}"
    return f"{name}{f', since epoch {began}' if began is not None else ''}: {escape(str(alarm['about']))}"


def _optional(name: str, value: float | None) -> str:
    return "not measured" if value is None else measured(name, value)


def _bounds(name: str, gate: Mapping[str, float | None], broken: bool) -> str:
    ends = {end: bound for end, bound in gate.items() if bound is not None}
    is_share = name in shares()
    bounds = ", ".join(f"{end} {100 * bound:g} %" if is_share else f"{end} {bound:g}" for end, bound in ends.items())
    return f"{bounds.replace('-', MINUS)}: {'<strong>not kept</strong>' if broken else 'kept'}"
