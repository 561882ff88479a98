"""The pictures of a report, each with its caption."""

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import figure, picture


def shown(findings: Findings, name: str, alt: str, caption: str, kind: str = "", place: str = "") -> str:
    """A picture of the report's folder, `broad` for its caption to stand below; empty where there is none of it."""
    png = findings.pictures.get(name)
    return "" if png is None else figure(picture(png, alt, kind), caption, place)
