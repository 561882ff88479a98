"""Bundles of older formats are read as what they were."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lanes import alter

from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.formats import FORMAT, READ, upgraded
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.signatures import SIGNATURES, GraphName
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, DataError

OLD = Path(__file__).with_name("format_3.json")
"""A manifest of format 3 from before `export` noted the digests of the other files and of the manifest itself."""


def read(values, folder):
    (folder / "bundle.json").write_text(json.dumps(values))
    return Manifest.load(folder)


def without_detector(values):
    """As format 2 had it."""
    graphs = {name: graph for name, graph in values["graphs"].items() if name != GraphName.DETECT}
    return {key: value for key, value in values.items() if key != "detection"} | {"format": 2, "graphs": graphs}


def test_a_manifest_of_format_3(tmp_path):
    values = json.loads(OLD.read_text())
    manifest = read(values, tmp_path)
    assert (manifest.format, manifest.latents, manifest.noise, manifest.conditional) == (3, 2, 2, False)
    assert manifest.spec.event_shape == (1, 12, 12) and list(manifest.graphs) == list(SIGNATURES)
    assert manifest.detection is not None and manifest.detection.calibration.examples == 79
    assert manifest.variant is None and manifest.files == {}
    written = json.loads(json.dumps(manifest.to_dict()))
    assert written == values | {"files": {}}


def test_a_manifest_of_format_2_is_one_without_a_detector(tmp_path):
    values = json.loads(OLD.read_text())
    now = read(values, tmp_path)
    found = read(without_detector(values), tmp_path)
    graphs = {name: graph for name, graph in now.graphs.items() if name != GraphName.DETECT}
    assert found == replace(now, detection=None, graphs=graphs)


def test_a_bundle_of_format_2_is_used(lane, tmp_path):
    folder = shutil.copytree(lane.bundle, tmp_path / "bundle")

    def older(manifest):
        values = without_detector(manifest)
        manifest.clear()
        manifest.update(values)

    alter(folder, older)
    bundle = Bundle.load(folder)
    assert bundle.sample(2, seed=0).shape == (2, 1, 12, 12) and len(verify(folder)) == len(SIGNATURES) - 1
    with pytest.raises(DataError, match="has no detector"):
        bundle.detect(bundle.sample(1))


def test_every_older_format_has_its_upgrade_and_no_other_is_read(tmp_path):
    assert list(READ) == list(range(min(READ), FORMAT + 1))
    for number in READ:
        assert upgraded({"format": number}, tmp_path)["format"] == FORMAT
    for number, todo in ((min(READ) - 1, "export again"), (FORMAT + 1, "update vae-pipeline")):
        with pytest.raises(BundleError, match=f"has bundle format {number}, this version reads 2 and 3: {todo}"):
            upgraded({"format": number}, tmp_path)
