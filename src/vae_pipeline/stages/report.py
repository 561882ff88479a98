"""index.html: what evaluate found, as a page for a person."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vae_pipeline.evaluation.gates import Gates
from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.page import page
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.latents import ACTIVE, Latents
from vae_pipeline.stages.job import Job
from vae_pipeline.system.files import replace_file
from vae_pipeline.system.version import __version__
from vae_pipeline.training.trained import Trained

PAGE = "index.html"


def write_page(
    folder: Path,
    job: Job,
    prepared: Prepared,
    trained: Trained,
    used: Latents,
    metrics: Mapping[str, Any],
    gates: Gates,
) -> None:
    """Write index.html into `folder`, where plots/ lies."""
    digests = {"prepared data": prepared.digest(), "weights": trained.weights_sha256}
    if "features_sha256" in metrics:
        digests["features of the Fréchet distance"] = metrics["features_sha256"]
    findings = Findings(
        name=job.name,
        recipe=trained.recipe.model_dump(mode="json") | {"evaluate": job.recipe.evaluate.model_dump(mode="json")},
        seed=job.seed,
        spec=prepared.spec,
        card=prepared.card,
        metrics=metrics,
        breaches=gates.failed,
        waived=gates.waived,
        history=trained.history,
        kept_epoch=trained.kept_epoch,
        active=(used.variance_of_means > ACTIVE).tolist(),
        pictures={path.name: path.read_bytes() for path in sorted((folder / "plots").glob("*.png"))},
        sounds={path.name: path.read_bytes() for path in sorted((folder / "plots").glob("*.wav"))},
        digests={name: f"sha256:{digest}" for name, digest in digests.items()},
        versions={"vae-pipeline": __version__, "torch": torch.__version__},
    )
    replace_file(folder / PAGE, page(findings).encode())
