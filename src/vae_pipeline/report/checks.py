"""What was to be kept, and what was raised: the gates of the recipe, and alarms."""

from collections.abc import Mapping
from html import escape
from typing import Any

from vae_pipeline.report.findings import Findings
from vae_pipeline.report.markup import MINUS, datum, table


def needs_attention(findings: Findings) -> bool:
    """Whether a gate isn't kept, or an alarm was raised."""
    return bool(findings.breaches or findings.alarms)


def checks(findings: Findings) -> str:
    """Alarms, then gates, those that aren't kept first."""
    parts = []
    if findings.alarms:
        items = "\n".join(f"<li>{_alarm(alarm)}</li>" for alarm in findings.alarms)
        parts.append(f"<p>Alarms:</p>\n<ul>\n{items}\n</ul>")
    elif "alarms" in findings.metrics:
        parts.append("<p>No alarm was raised.</p>")
    if findings.gates:
        worst_first = sorted(findings.gates.items(), key=lambda gate: gate[0] not in findings.breaches)
        rows = [
            [escape(name), _optional(findings.metrics.get(name)), _bounds(gate, name in findings.breaches)]
            for name, gate in worst_first
        ]
        notes = [escape(findings.breaches.get(name, "")) for name, _ in worst_first]
        parts.append(table("Gates", ("figure", "value", "bounds"), rows, notes))
    else:
        parts.append("<p>The recipe sets no gates.</p>")
    return "\n".join(parts)


def _alarm(alarm: Mapping[str, Any]) -> str:
    epoch = f", in epoch {alarm['epoch']}" if alarm["epoch"] is not None else ""
    return f"<strong>{escape(str(alarm['name']))}</strong>{epoch}: {escape(str(alarm['about']))}"


def _optional(value: float | None) -> str:
    return "not measured" if value is None else datum(value)


def _bounds(gate: Mapping[str, float | None], broken: bool) -> str:
    bounds = ", ".join(f"{name} {bound:g}" for name, bound in gate.items() if bound is not None)
    return f"{bounds.replace('-', MINUS)}: {'<strong>not kept</strong>' if broken else 'kept'}"
