"""A variant of a bundle: the same graphs in fewer bytes, with golden answers of their own and what they cost."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import onnx
import onnx.utils

from vae_pipeline.bundles.export.parity import Agreement, compare, run
from vae_pipeline.bundles.export.proto import joined, tidy
from vae_pipeline.bundles.variants.calibration import calibration
from vae_pipeline.bundles.variants.cost import Cost, measure, said
from vae_pipeline.bundles.variants.float16 import to_float16
from vae_pipeline.bundles.variants.int8 import to_int8
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.bundle import Array, Bundle
from vae_pipeline.runtime.files import file_of, whole
from vae_pipeline.runtime.manifest import FILE, GraphEntry, Manifest, VariantEntry
from vae_pipeline.runtime.sessions import TIMEOUT_S
from vae_pipeline.runtime.signatures import OPTIONAL, GraphName
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, DataError
from vae_pipeline.system.files import filled_folder, replace_file, require_writable, sha256_of, write_json

Kind = Literal["fp16", "int8"]
CALIBRATED, MEASURED = 512, 1000
"""Rows of train that set the ranges of int8's activations; of test, on which the cost is measured."""
TOLERANCE = 0.02
"""Relative tolerance of golden answers: a number that another CPU rounds the other way is one coarser step off."""


def shrink(folder: Path, to: Kind, data: Path, out: Path, timeout_s: float = TIMEOUT_S) -> Cost:
    """Fill `out` with the variant `to` of the bundle in `folder`, as docs/variants.md says.

    Raises:
        BundleError: `folder` isn't a whole bundle, is a variant already, or is of a kind that has no such variant.
        DataError: `data` isn't of the bundle's spec.
        OutputError: `out` can't be written.
        ParityError: an answer of the variant isn't finite.
    """
    require_writable(out, folder, data)
    verify(folder, timeout_s)
    bundle, prepared, card = Bundle.load(folder, timeout_s), Prepared.open(data), _card(folder)
    if bundle.variant:
        raise BundleError(f"{folder} is the {bundle.variant} variant of a bundle: name the bundle that it came from")
    if bundle.spec.kind == "text":
        raise BundleError(f"{folder} is a model of sentences, of which no variant is made: images and tables have them")
    if bundle.features:
        raise BundleError(f"{folder} is a model of features, whose variant could detect nothing: take it as it is")
    if bundle.manifest.privacy is not None and to == "int8":
        raise BundleError(
            f"{folder} was trained privately, and int8 takes its ranges from training rows without noise: take fp16"
        )
    if isinstance(bundle.spec, ImageSpec) and bundle.spec.noisy:
        raise BundleError(f"{folder} is a model of corrupted images, of which no variant is made: take it as it is")
    if prepared.spec != bundle.spec:
        raise DataError(f"{data} has another spec than the data of {folder}: name the data that it was trained on")
    with filled_folder(out) as partial:
        _fill(partial, bundle, to, *_rows(prepared.train, bundle, CALIBRATED))
        cost = measure(bundle, Bundle.load(partial, timeout_s), *_rows(prepared.test, bundle, MEASURED))
        write_json(partial / "variant.json", cost.to_dict())
        replace_file(partial / "MODEL_CARD.md", (card + said(cost)).encode())
        Manifest.load(partial).save_with(partial, "parity.json", "MODEL_CARD.md")
    return cost


def _fill(folder: Path, bundle: Bundle, to: Kind, x: Array, labels: Array | None) -> None:
    described: dict[str, GraphEntry] = {}
    protos: dict[str, onnx.ModelProto] = {}
    rows: list[Agreement] = []
    units = Units.of_manifest(bundle.manifest)
    for name, entry in bundle.manifest.graphs.items():
        if name in OPTIONAL:
            continue
        full = onnx.load(file_of(bundle.folder, entry.file))
        told = {entry.key: entry.value for entry in full.metadata_props} | {"vae.variant": to}
        if name == GraphName.GENERATE:
            proto = joined(_noise(full), protos[GraphName.SAMPLE], {"noise": "noise"}, full.doc_string, told)
        else:
            proto = _smaller(full, to, bundle, name, x, labels)
            tidy(proto, full.doc_string, told)
            onnx.checker.check_model(proto, full_check=True)
        protos[name] = proto
        file, golden = folder / entry.file, folder / entry.golden
        replace_file(file, proto.SerializeToString(deterministic=True))
        arrays = bundle.golden(name)
        given, wanted = ({key: arrays[key] for key in tensors} for tensors in (entry.inputs, entry.outputs))
        answers = run(file, given, wanted)
        rows += compare(name, answers, wanted, units)
        np.savez(golden, **given, **answers)  # type: ignore[arg-type]
        described[name] = replace(entry, sha256=sha256_of(file), golden_sha256=sha256_of(golden))
    variant = VariantEntry(to, sha256_of(bundle.folder / FILE))
    manifest = replace(bundle.manifest, variant=variant, detection=None, graphs=described, files={})
    for name, sha256 in manifest.arrays.items():
        shutil.copyfile(whole(bundle.folder, name, sha256), folder / name)
    manifest.save(folder)
    write_json(folder / "parity.json", {"tolerance": TOLERANCE, "agreement": [row.to_dict() for row in rows]})


def _smaller(
    full: onnx.ModelProto, to: Kind, bundle: Bundle, name: str, x: Array, labels: Array | None
) -> onnx.ModelProto:
    match to:
        case "fp16":
            return to_float16(full)
        case "int8":
            return to_int8(full, calibration(bundle, name, x, labels))
        case _:
            assert_never(to)


def _noise(generate: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of `export.noise` out of the whole: exact in float32, and so left as it is."""
    noise = onnx.utils.Extractor(generate).extract_model(["seed", "index"], ["noise"])
    noise.graph.name = "noise"
    del noise.graph.value_info[:]  # it lists the output too, which would be renamed with all within
    return noise


def _rows(part: Split, bundle: Bundle, count: int) -> tuple[Array, Array | None]:
    """Up to `count` rows from all over a part, whose order may be by class."""
    rows = np.linspace(0, len(part) - 1, min(count, len(part))).astype(np.int64)
    return part.x[rows], part.labels[rows] if bundle.classes and part.labels is not None else None


def _card(folder: Path) -> str:
    try:
        return (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder} has no MODEL_CARD.md that can be read: export again") from error
