"""A bundle that is asked whether it is what it says: its files, what its graphs say of themselves, what they answer.

Needs what `runtime` needs: numpy and onnxruntime.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.agreement import differences
from vae_pipeline.errors import BundleError
from vae_pipeline.runtime import FORMAT, Bundle

SAME = ("recipe", "licence", "recipe_sha256", "data_sha256", "weights_sha256", "sampler")
"""What bundle.json and the metadata of each graph both say."""


@dataclass(frozen=True)
class Verified:
    """A graph that gave its golden answers."""

    graph: str
    sha256: str
    difference: float
    """Largest of all outputs, relative: `agreement.differences`."""


def verify(folder: Path | str) -> list[Verified]:
    """Check every file of a bundle, and run every graph on its golden inputs.

    Raises:
        BundleError: names the first thing that isn't as bundle.json says.
    """
    bundle = Bundle.load(folder)
    tolerance = _tolerance(bundle.folder / "parity.json")
    return [_verify(bundle, name, tolerance) for name in bundle.manifest["graphs"]]


def _verify(bundle: Bundle, name: str, tolerance: float) -> Verified:
    described = bundle.manifest["graphs"][name]
    file = bundle.folder / described["file"]
    session = bundle.session(name)
    told = session.get_modelmeta().custom_metadata_map
    wanted = {"format": str(FORMAT), "graph": name, "variant": bundle.variant}
    wanted |= {key: bundle.manifest[key] for key in SAME}
    for key, value in wanted.items():
        if told.get(f"vae.{key}") != value:
            raise BundleError(f"{file} says {key} {told.get(f'vae.{key}')!r}, bundle.json {value!r}: export again")
    for kind, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        found = {value.name: list(value.shape) for value in values}
        if found != {key: value["shape"] for key, value in described[kind].items()}:
            raise BundleError(f"{file} has {kind} {found}, which aren't those of bundle.json: export again")
    golden = _golden(bundle.folder / described["golden"], described)
    given = session.run(list(described["outputs"]), {key: golden[key] for key in described["inputs"]})
    unit = bundle.spec.unit
    worst = max(
        differences(output, answer, golden[output], unit)[1]
        for output, answer in zip(described["outputs"], given, strict=True)
    )
    if not worst <= tolerance:
        raise BundleError(
            f"{file} differs from its golden answers by {worst:.3g} (relative), over the tolerance {tolerance:g} of "
            "its export: this machine's onnxruntime doesn't compute it as the exporting one did"
        )
    return Verified(name, described["sha256"], worst)


def _golden(file: Path, described: dict[str, Any]) -> dict[str, Any]:
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest() != described["golden_sha256"]:
            raise BundleError(f"{file} isn't the file that was exported: export again")
        with np.load(file) as arrays:
            return {key: arrays[key] for key in [*described["inputs"], *described["outputs"]]}
    except FileNotFoundError as error:
        raise BundleError(f"{file} is missing from the bundle: export again") from error
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{file} doesn't hold the golden answers that bundle.json names: export again") from error


def _tolerance(file: Path) -> float:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["tolerance"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{file} isn't there, or isn't what `vae-pipeline export` wrote: export again") from error
