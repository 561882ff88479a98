import re
import shutil

import numpy as np
import onnx
import pytest
from tests.lanes import alter

from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import SIGNATURES
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import sha256_of


@pytest.fixture
def bundle(lane, tmp_path):
    return shutil.copytree(lane.bundle, tmp_path / "bundle")


def described_anew(bundle, graph, **values):
    """bundle.json with other values of one graph, so that what lies behind the digests is looked at."""
    alter(bundle, lambda manifest: manifest["graphs"][graph].update(values))


def test_a_whole_bundle_gives_its_golden_answers(bundle):
    rows = verify(bundle)
    assert [row.graph for row in rows] == list(SIGNATURES)
    assert max(row.difference for row in rows) < 1e-4


def altered_weight(bundle):
    proto = onnx.load(bundle / "decoder.onnx")
    weight = next(value for value in proto.graph.initializer if len(value.dims) == 2)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0] += 1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(proto, bundle / "decoder.onnx")


def test_an_edited_weight_is_found(bundle):
    altered_weight(bundle)
    with pytest.raises(BundleError, match=r"decoder\.onnx isn't the file that was exported"):
        verify(bundle)


def test_an_edited_weight_is_found_by_its_answers_too(bundle):
    altered_weight(bundle)
    described_anew(bundle, "decoder", sha256=sha256_of(bundle / "decoder.onnx"))
    with pytest.raises(
        BundleError, match=r"decoder\.onnx differs from its golden answers by .* over the tolerance 0\.0001"
    ):
        verify(bundle)


@pytest.mark.parametrize("name", ["directions.npz", "parity.json", "MODEL_CARD.md", "report.html"])
def test_an_edited_file_beside_the_graphs_is_found(name, bundle, tmp_path):
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"{re.escape(name)} isn't the file that was exported"):
        verify(bundle)
    with pytest.raises(BundleError, match=f"{re.escape(name)} isn't the file that was exported"):
        write_repository(Bundle.load(bundle), "triton", tmp_path / "served")
    alter(bundle, lambda manifest: [manifest.pop(key) for key in ("files", "directions")])  # as earlier bundles are
    verify(bundle)


def test_a_truncated_file_is_found(bundle):
    file = bundle / "score.onnx"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"score\.onnx isn't the file that was exported"):
        verify(bundle)


def test_a_foreign_graph_is_found(bundle):
    proto = onnx.load(bundle / "encoder.onnx")
    next(entry for entry in proto.metadata_props if entry.key == "vae.recipe").value = "another"
    onnx.save(proto, bundle / "encoder.onnx")
    described_anew(bundle, "encoder", sha256=sha256_of(bundle / "encoder.onnx"))
    with pytest.raises(BundleError, match=r"encoder\.onnx says recipe 'another', bundle\.json 'smoke'"):
        verify(bundle)


def test_another_shape_than_was_described_is_found(bundle):
    described_anew(bundle, "sample", inputs={"noise": {"dtype": "float32", "shape": ["batch", 5]}})
    with pytest.raises(BundleError, match=r"sample\.onnx doesn't fit bundle\.json: it has inputs noise \['batch', 2\]"):
        verify(bundle)


def test_golden_answers_are_checked(bundle):
    with np.load(bundle / "sample.npz") as golden:
        np.savez(bundle / "sample.npz", **{**golden, "x_mean": golden["x_mean"] + 1})
    with pytest.raises(BundleError, match=r"sample\.npz isn't the file that was exported"):
        verify(bundle)
    (bundle / "sample.npz").unlink()
    with pytest.raises(BundleError, match=r"sample\.npz is missing"):
        verify(bundle)


@pytest.mark.parametrize(("number", "todo"), [(4, "update vae-pipeline"), (1, "export again")])
def test_a_bundle_of_another_format_says_what_to_do(bundle, number, todo):
    alter(bundle, lambda manifest: manifest.update(format=number))
    with pytest.raises(BundleError, match=f"has bundle format {number}, this version reads 2 and 3: {todo}"):
        verify(bundle)
