"""The page of the table: each section's rows, with the names and units of their figures."""

import math

from benchmarks.store import Kept
from benchmarks.tables.gpu.sections import SECTIONS

NAMES = {
    "ms": "ms a step, median",
    "least": "lowest",
    "most": "highest",
    "cpu_ms": "CPU ms a step",
    "mib": "peak MiB on the device",
    "tflops": "TFLOP/s",
    "gb_s": "GB/s read and written",
    "share": "share of the rate",
    "per_s": "a second",
    "s_in_all": "seconds in all",
    "apart": "relative difference",
    "twice": "same bits twice",
    "resumed": "same bits resumed",
}


def page(kept: Kept) -> str:
    lines = [
        "# On a GPU",
        "",
        "Written by `make bench TABLE=gpu`, in one call of some eight minutes; data are drawn. A step is timed in five",
        "rounds after eight steps that warm up; at the end of each the device is waited for. Kernels are deterministic",
        "(`VAE_DETERMINISTIC=auto`) unless a row says otherwise.",
        "",
    ]
    for section in SECTIONS:
        if section.__name__ not in kept:
            lines += [f"## {section.__doc__}", "", "Not measured.", ""]
            continue
        found = kept[section.__name__]
        rows = found["rows"]
        keys = [key for key in NAMES if any(key in row for row in rows.values())]
        lines += [f"## {section.__doc__}", "", f"{found['date']}; {found['machine']}.", ""]
        lines += ["| | " + " | ".join(NAMES[key] for key in keys) + " |", "|---|" + "---:|" * len(keys)]
        for name, row in rows.items():
            lines.append(f"| {name} | " + " | ".join(_told(key, row.get(key)) for key in keys) + " |")
        lines.append("")
    return "\n".join(lines)


def _told(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key in ("twice", "resumed"):
        return "not tried" if math.isnan(value) else "yes" if value else "**no**"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
