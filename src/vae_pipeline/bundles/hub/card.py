"""README.md of a repository on the Hub: the model card, with the metadata by which the Hub finds and shows a model.

Source: huggingface.co/docs/hub/model-cards, for the fields.
"""

from typing import Any

import yaml

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.recipe.figures import FIGURES
from vae_pipeline.runtime.manifest import Manifest

LICENCES = frozenset((
    "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "gpl-2.0",
    "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "isc", "zlib", "unlicense", "wtfpl", "pddl", "odbl",
    "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "eupl-1.1", "eupl-1.2", "bsl-1.0",
    "artistic-2.0", "osl-3.0", "afl-3.0", "epl-1.0", "epl-2.0", "ecl-2.0", "ofl-1.1", "ncsa", "postgresql", "ms-pl",
))  # fmt: skip
"""Licences that the Hub knows, which are those of SPDX in small letters."""
SHOWN = ("headline", "reconstructions", "samples", "sentences", "detection")
"""The parts of the report whose figures the Hub shows."""


def readme(card: str, manifest: Manifest) -> str:
    """The card under its metadata."""
    return f"---\n{yaml.safe_dump(metadata(manifest), sort_keys=False, allow_unicode=True)}---\n\n{card}"


def metadata(manifest: Manifest) -> dict[str, Any]:
    """The fields of a card on the Hub. No `datasets`: a bundle doesn't know its data by the Hub's names."""
    kind = manifest.spec.kind
    task = {"pipeline_tag": "unconditional-image-generation"}
    drawn = isinstance(manifest.spec, ImageSpec) and not manifest.conditional
    detects = ["anomaly-detection"] if manifest.detection is not None else []
    return {
        **licence(manifest.licence),
        "library_name": "vae-pipeline",
        "tags": ["vae", "variational-autoencoder", "onnx", kind, *detects],
        **(task if drawn else {}),
        "model-index": [{"name": manifest.recipe, "results": [_results(manifest)]}],
    }


def licence(text: str) -> dict[str, str]:
    """The fields of a licence: an identifier, alone or before words in brackets on whom it is owed to; else other."""
    name = text.partition(" (")[0].strip().lower()
    return {"license": name} if name in LICENCES else {"license": "other", "license_name": text}


def _results(manifest: Manifest) -> dict[str, Any]:
    """The figures of the test part."""
    found = manifest.metrics
    metrics = [
        {"type": figure.key, "name": f"{figure.name} ({figure.unit})" if figure.unit else figure.name, "value": value}
        for figure in FIGURES
        if figure.part in SHOWN
        and isinstance(value := found.get(figure.key), int | float)
        and not isinstance(value, bool)
    ]
    return {
        "task": {"type": "density-estimation", "name": "Density estimation"},
        "dataset": {"type": manifest.recipe, "name": f"the test part of {manifest.recipe}"},
        "metrics": metrics,
    }
