"""The model repository of an inference server: a folder of one model a graph.

It stays a bundle: bundle.json lies beside the models and says where the graphs are, so that
`vae-pipeline verify` checks what is about to be served.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, assert_never

from vae_pipeline.bundles.serving.protocol import metadata
from vae_pipeline.bundles.serving.triton import model_config
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.files import file_of, whole
from vae_pipeline.runtime.manifest import GraphEntry
from vae_pipeline.system.files import filled_folder, write_json

Layout = Literal["triton", "mlserver"]
VERSION = "1"
KEPT = ("parity.json", "MODEL_CARD.md", "report.html")
"""Files of an older bundle that neither layout alters, beside the golden answers; later ones name them."""
SERVER = {"parallel_workers": 0}
"""MLServer's settings: it answers in its own process. onnxruntime has threads of its own, and MLServer 1.7.1's
worker processes die with uvloop 0.22."""


def write_repository(bundle: Bundle, layout: Layout, out: Path) -> list[str]:
    """Fill `out`; the names of the models, which are RECIPE_GRAPH.

    Raises:
        OutputError: `out` can't be written.
    """
    manifest, described, names = bundle.manifest, {}, []
    with filled_folder(out) as folder:
        for graph, entry in manifest.graphs.items():
            name = f"{_plain(manifest.recipe)}_{graph}"
            match layout:
                case "triton":
                    (folder / name / VERSION).mkdir(parents=True)
                    (folder / name / "config.pbtxt").write_text(model_config(name, entry), encoding="utf-8")
                    file = f"{name}/{VERSION}/model.onnx"
                case "mlserver":
                    (folder / name).mkdir()
                    write_json(folder / name / "model-settings.json", model_settings(name, graph, entry))
                    file = f"{graph}.onnx"
                case _:
                    assert_never(layout)
            described[graph] = replace(entry, file=file, golden=f"{graph}.npz")
            shutil.copyfile(whole(bundle.folder, entry.file, entry.sha256), folder / file)
            golden = whole(bundle.folder, entry.golden, entry.golden_sha256)
            shutil.copyfile(golden, folder / described[graph].golden)
            names.append(name)
        if layout == "mlserver":
            write_json(folder / "settings.json", SERVER)
        for file, sha256 in (manifest.files | manifest.arrays).items():
            whole(bundle.folder, file, sha256)
        for file in (*(manifest.files or KEPT), *manifest.arrays):
            shutil.copyfile(file_of(bundle.folder, file), folder / file)
        replace(manifest, graphs=described).save(folder)
    return names


def model_settings(name: str, graph: str, described: GraphEntry) -> dict[str, Any]:
    """MLServer's model-settings.json of a graph, in a folder beside bundle.json.

    Source: https://docs.seldon.ai/mlserver, Model Settings.
    """
    return {
        "name": name,
        "implementation": "vae_pipeline.bundles.serving.bundle_model.BundleModel",
        "platform": "onnxruntime_onnx",
        "versions": [VERSION],
        "inputs": metadata(described.inputs),
        "outputs": metadata(described.outputs),
        "parameters": {"version": VERSION, "uri": "..", "extra": {"graph": graph}},
    }


def _plain(name: str) -> str:
    """A recipe's name as part of an address and of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
