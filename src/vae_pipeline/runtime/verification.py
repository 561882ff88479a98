"""A bundle that is asked whether it is what it says: its files, what its graphs say of themselves, what they answer.

Needs what `runtime` needs: numpy and onnxruntime.
"""

from dataclasses import dataclass
from pathlib import Path

from vae_pipeline.runtime.agreement import Units, differences
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.files import file_of, whole
from vae_pipeline.runtime.formats import READ
from vae_pipeline.runtime.sessions import TIMEOUT_S
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.typed_json import read_json, typed

SAME = ("recipe", "licence", "recipe_sha256", "data_sha256", "weights_sha256", "sampler")
"""Facts that bundle.json and the metadata of each graph both state."""


@dataclass(frozen=True)
class Verified:
    """A graph that gave its golden answers."""

    graph: str
    sha256: str
    difference: float
    """Largest of all outputs, relative: `agreement.differences`."""


@dataclass(frozen=True)
class _Parity:
    """The part of parity.json that is read."""

    tolerance: float


def verify(folder: Path | str, timeout_s: float = TIMEOUT_S) -> list[Verified]:
    """Check every file of a bundle, and run every graph on its golden inputs.

    Raises:
        BundleError: names the first thing that isn't as bundle.json says.
    """
    bundle = Bundle.load(folder, timeout_s)
    for name, sha256 in (bundle.manifest.files | bundle.manifest.arrays).items():
        whole(bundle.folder, name, sha256)
    tolerance = _tolerance(bundle.folder)
    return [_verify(bundle, name, tolerance) for name in bundle.manifest.graphs]


def _verify(bundle: Bundle, name: str, tolerance: float) -> Verified:
    graph = bundle.manifest.graphs[name]
    file = bundle.folder / graph.file
    told = bundle.session(name).get_modelmeta().custom_metadata_map
    written = told.get("vae.format")
    if written not in map(str, READ):
        raise BundleError(f"{file} says format {written!r}, and bundle.json {bundle.manifest.format}: export again")
    wanted = {"graph": name, "variant": bundle.variant}
    wanted |= {key: getattr(bundle.manifest, key) for key in SAME}
    for key, value in wanted.items():
        if told.get(f"vae.{key}") != value:
            raise BundleError(f"{file} says {key} {told.get(f'vae.{key}')!r}, bundle.json {value!r}: export again")
    golden = bundle.golden(name)
    given = bundle.run(name, {key: golden[key] for key in graph.inputs})
    units = Units.of_manifest(bundle.manifest)
    worst = max(
        differences(answer, golden[output], units.of(output))[1]
        for output, answer in zip(graph.outputs, given, strict=True)
    )
    if not worst <= tolerance:
        raise BundleError(
            f"{file} differs from its golden answers by {worst:.3g} (relative), over the tolerance {tolerance:g} of "
            "its export: this machine's onnxruntime doesn't compute it as the exporting one did"
        )
    return Verified(name, graph.sha256, worst)


def _tolerance(folder: Path) -> float:
    file = file_of(folder, "parity.json")
    try:
        return typed(_Parity, read_json(file)).tolerance
    except (OSError, ValueError) as error:
        raise BundleError(f"{file} isn't what `vae-pipeline export` wrote ({error}): export again") from error
