"""The report's part on what a model of images gives away, where the recipe asks for an audit."""

from vae_pipeline.evaluation.report.figures import figure_table
from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.shown import shown
from vae_pipeline.recipe.figures import figures_of

CLOSEST = "Samples above the training images that they lie nearest to."
PIXELS = (
    "The samples that lie nearest to a training image, of all of them, in pixels; under each, that image. A sample "
    "that is the same image was remembered, not made. Samples are means, and smooth ones lie near to much."
)
FEATURES = "The same in feature space, in which a copy that is moved or brighter may be near too."


def is_audited(findings: Findings) -> bool:
    """True if an audit was asked for."""
    return bool(findings.recipe["evaluate"].get("privacy"))


def privacy(findings: Findings) -> list[str]:
    """The nearest pairs in pixels and in features, one above the other, and the figures; nothing without an audit."""
    if not is_audited(findings):
        return []
    return [
        shown(findings, "closest_in_pixels.png", CLOSEST, PIXELS),
        shown(findings, "closest.png", CLOSEST, FEATURES),
        figure_table("The audit", figures_of("privacy"), findings),
    ]
