"""A bundle from anywhere: whatever its manifest and its files hold, one line, in bounded time and memory."""

import copy
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.lanes import alter

from vae_pipeline.runtime import Bundle, sessions
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import sha256_of


@pytest.fixture
def folder(lane, tmp_path):
    return shutil.copytree(lane.bundle, tmp_path / "bundle")


def at(*path, value):
    """A change of one value."""

    def change(manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


NOISE = ("graphs", "sample", "inputs", "noise", "shape")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["graphs"].clear(), r"graphs\.encoder is missing"),
        (lambda m: m.pop("spec"), "spec is missing"),
        (lambda m: m["graphs"]["score"].pop("outputs"), r"graphs\.score\.outputs is missing"),
        (lambda m: m["graphs"]["sample"]["inputs"]["noise"].pop("shape"), r"noise\.shape is missing"),
        (lambda m: m["graphs"].pop("detect"), "detection and the graph detect go together"),
        (at("latents", value=1e999), "Infinity is no finite number"),
        (at("latents", value=10**30), "latents is 10{30}; wanted a whole number"),
        (at("latents", value=-1), "latents are -1"),
        (at("latents", value=True), "latents is True; wanted a whole number"),
        (at("latents", value=3), r"has rows of \[2\]; wanted \[3\]"),
        (at("conditional", value=1), "conditional is 1; wanted true or false"),
        (at("conditional", value=True), "wanted x, label and mean, log_variance"),
        (at("recipe", value=None), "recipe is None; wanted text"),
        (at("metrics", value=[]), r"metrics is \[\]; wanted a mapping"),
        (at("spec", "dtype", value="zz"), "dtype is 'zz'"),
        (at("spec", "low", value="x"), "spec"),
        (at("spec", value=7), "spec"),
        (at("detection", "draws", value=0), "draws are 0; wanted 1"),
        (at("detection", "calibration", "examples", value="7"), "examples is '7'; wanted a whole number"),
        (at("detection", "calibration", "examples", value=-7), "examples are -7"),
        (at("detection", "calibration", "file", value="../calibration.npz"), "leads out of the bundle"),
        (at("graphs", "../../escaped", value={}), r"graphs\.\.\./\.\./escaped\.about is missing"),
        (lambda m: m["graphs"].update({"../../x": m["graphs"]["encoder"]}), r"graphs\.\.\./\.\./x is none of encoder"),
        (at("graphs", "encoder", "golden", value="/etc/passwd"), "'/etc/passwd' leads out of the bundle"),
        (at("graphs", "encoder", "golden", value="a/../../b"), "leads out of the bundle"),
        (at("graphs", "encoder", "file", value="..\\x"), "leads out of the bundle"),
        (at("graphs", "encoder", "file", value=""), "leads out of the bundle, or is none"),
        (at("graphs", "encoder", "outputs", value={"nothing": {}}), r"nothing\.dtype is missing"),
        (at("graphs", "encoder", "inputs", "x", "dtype", value="object"), "object of shape"),
        (at(*NOISE, value=["batch", 10**6]), r"graphs\.sample: noise has rows of \[1000000\]"),
        (at(*NOISE, value=[2, 2]), r"shape \[2, 2\]; wanted"),
        (at(*NOISE, value=["batch", 10**6, 10**6]), "has over"),
    ],
)
def test_a_manifest_that_was_altered(change, message, folder):
    alter(folder, change)
    with pytest.raises(BundleError, match=rf"bundle\.json isn't a bundle's manifest \(.*{message}.*\): export again"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"format": "x"}', b"\xff", b"[" * 100_000, b'{"format": 3, "format": 3}', b"1" * 9999],
    ids=range(9),
)
def test_a_manifest_that_is_none(content, folder):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json isn't a bundle's manifest \(.*\): export again"):
        Bundle.load(folder)


def test_a_field_of_a_later_version_is_passed_over_and_what_is_known_is_kept(folder):
    before = json.loads((folder / "bundle.json").read_text())
    alter(folder, at("later", value=1))
    Manifest.load(folder).save(folder)
    assert json.loads((folder / "bundle.json").read_text()) == before


def test_a_manifest_is_whole_by_its_own_digest(folder):
    path = folder / "bundle.json"
    path.write_text(path.read_text().replace('"upright"', '"downright"'))
    with pytest.raises(BundleError, match="it was altered: its content doesn't have the sha256"):
        Bundle.load(folder)


def pipe(path, secret):
    os.mkfifo(path)


def link(path, secret):
    path.symlink_to(secret)


def device(path, secret):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("become", [pipe, link, device, Path.mkdir], ids=["pipe", "link", "device", "folder"])
@pytest.mark.parametrize("name", ["bundle.json", "encoder.onnx", "encoder.npz", "calibration.npz", "parity.json"])
def test_a_file_that_leads_elsewhere_is_not_read(name, become, folder, tmp_path):
    secret = tmp_path / "secret"
    (folder / name).rename(secret)
    become(folder / name, *([] if become is Path.mkdir else [secret]))
    if name == "bundle.json" and become is link:  # the folder is the user's word, and so is what its manifest is
        return
    with pytest.raises(BundleError, match=name):
        verify(folder)


@pytest.mark.parametrize(
    "write",
    [
        lambda file: None,
        lambda file: file.write(b"scores\n1\n"),
        lambda file: pickle.dump([1.0], file),
        lambda file: np.save(file, np.zeros(79, np.float32)),
        lambda file: np.savez(file, scores=np.zeros(0, np.float32)),
        lambda file: np.savez(file, scores=np.zeros((79, 1), np.float32)),
        lambda file: np.savez(file, scores=np.array(["a"] * 79)),
        lambda file: np.savez(file, scores=np.array([None] * 79)),
        lambda file: np.savez(file, scores=np.full(79, np.nan, np.float32)),
        lambda file: np.savez(file, scores=np.arange(79, 0, -1, np.float32)),
        lambda file: np.savez(file, others=np.zeros(79, np.float32)),
    ],
    ids=range(11),
)
def test_a_calibration_that_is_none(write, folder):
    path = folder / "calibration.npz"
    with path.open("wb") as file:
        write(file)
    alter(folder, at("detection", "calibration", "sha256", value=sha256_of(path)))
    with pytest.raises(BundleError, match=r"calibration\.npz doesn't hold 79 rising scores \(.*\): export again"):
        Bundle.load(folder)


def test_golden_answers_are_read_by_their_shape(folder):
    np.savez(folder / "encoder.npz", x=np.zeros((3, 1, 12, 12), np.uint8), mean=np.zeros(3), log_variance=np.zeros(3))
    alter(folder, at("graphs", "encoder", "golden_sha256", value=sha256_of(folder / "encoder.npz")))
    with pytest.raises(BundleError, match=r"encoder\.npz doesn't hold the golden answers of encoder \(mean is"):
        Bundle.load(folder).golden("encoder")


def test_a_bundle_can_be_copied_and_pickled(lane):
    bundle = Bundle.load(lane.bundle)
    z = np.zeros((2, 2), np.float32)
    wanted = bundle.decode(z)
    bundle.progress = lambda rows: None
    for other in (copy.copy(bundle), copy.deepcopy(bundle), pickle.loads(pickle.dumps(bundle))):  # noqa: S301
        assert other.manifest == bundle.manifest
        np.testing.assert_array_equal(other.decode(z), wanted)


def replaced(folder, nodes, constants):
    """A bundle whose decoder is of these nodes, `z` to `x_mean`."""
    proto = onnx.load(folder / "decoder.onnx")
    graph = helper.make_graph(nodes, "g", proto.graph.input, proto.graph.output, constants)
    onnx.save(helper.make_model(graph, opset_imports=proto.opset_import, ir_version=9), folder / "decoder.onnx")
    alter(folder, at("graphs", "decoder", "sha256", value=sha256_of(folder / "decoder.onnx")))


def constant(name, value, dtype):
    return numpy_helper.from_array(np.array(value, dtype), name)


def test_a_loop_without_an_end_is_ended(folder):
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["s", "s"], ["t"])],
        "body",
        [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, None)],
        [value("d", TensorProto.BOOL, []), value("t", TensorProto.FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["times", "on", "z"], ["x_mean"], body=body)
    replaced(folder, [loop], [constant("times", 2**62, np.int64), constant("on", True, bool)])
    with pytest.raises(BundleError, match=r"the graph decoder: it took over 0\.2 s for 1 rows: allow .* by --timeout"):
        Bundle.load(folder, timeout_s=0.2).decode(np.zeros((1, 2), np.float32))


def test_a_graph_that_wants_all_memory_is_refused_it(folder):
    nodes = [
        helper.make_node("Expand", ["z", "wide"], ["u"]),
        helper.make_node("ReduceSum", ["u"], ["sum"], keepdims=0),
        helper.make_node("Shape", ["z"], ["batch"], end=1),
        helper.make_node("Concat", ["batch", "event"], ["sides"], axis=0),
        helper.make_node("Expand", ["sum", "sides"], ["x_mean"]),
    ]
    sides = {"wide": [sessions.MEMORY // 8, 1, 2], "event": [1, 12, 12]}
    replaced(folder, nodes, [constant(name, value, np.int64) for name, value in sides.items()])
    with pytest.raises(BundleError, match="the graph decoder: it fails"):
        Bundle.load(folder).decode(np.zeros((1, 2), np.float32))
