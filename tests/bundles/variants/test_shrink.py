import json
import re
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy import stats
from tests.lanes import Lane, alter
from typer.testing import CliRunner

from vae_pipeline.bundles.export.noise import noise_graph
from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.bundles.variants.shrink import shrink
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import SIGNATURES
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, DataError, OutputError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.seal import seal

GRAPHS = [name for name in SIGNATURES if name != "detect"]
KINDS = ("fp16", "int8")
LANES = ("lane", "conditional_lane", pytest.param("ladder_lane", marks=pytest.mark.slow))
NATS = {"fp16": 0.02, "int8": 1.0}
"""The nats by which one score may differ, of some 35 to 62 on average."""


@pytest.fixture(scope="module", params=LANES)
def any_lane(request) -> Lane:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def shrunk(any_lane, kind, tmp_path_factory):
    """The variant's folder, and its cost."""
    folder = tmp_path_factory.mktemp("variant") / kind
    return folder, shrink(any_lane.bundle, kind, any_lane.data, folder)


@pytest.fixture
def rows(any_lane):
    """Test rows and, for a conditional model, their labels."""
    test = Prepared.open(any_lane.data).test
    return test.x[:50], test.labels[:50] if Bundle.load(any_lane.bundle).classes else None


def test_it_is_a_bundle_that_verifies_and_can_be_served(shrunk, tmp_path):
    folder, _ = shrunk
    assert [row.graph for row in verify(folder)] == GRAPHS
    write_repository(Bundle.load(folder), "triton", tmp_path / "served")
    assert [row.graph for row in verify(tmp_path / "served")] == GRAPHS


def test_it_says_what_it_is_and_where_it_comes_from(shrunk, any_lane, kind):
    folder, _ = shrunk
    full, manifest = (json.loads((at / "bundle.json").read_text()) for at in (any_lane.bundle, folder))
    assert manifest["variant"] == {"kind": kind, "of": sha256_of(any_lane.bundle / "bundle.json")}
    own = ("graphs", "detection", "files", "sha256")
    assert {key: manifest[key] for key in full if key not in own} == {k: v for k, v in full.items() if k not in own}
    assert manifest["detection"] is None  # coarser scores aren't those that were calibrated
    for name in GRAPHS:
        proto, before = (onnx.load(at / f"{name}.onnx") for at in (folder, any_lane.bundle))
        told = {entry.key: entry.value for entry in proto.metadata_props}
        assert told == {entry.key: entry.value for entry in before.metadata_props} | {"vae.variant": kind}
        assert (proto.doc_string, proto.producer_name) == (before.doc_string, "vae-pipeline")


def test_its_graphs_are_plain_onnx_with_the_same_interface(shrunk, any_lane):
    folder, _ = shrunk
    for name in GRAPHS:
        proto, before = (onnx.load(at / f"{name}.onnx") for at in (folder, any_lane.bundle))
        onnx.checker.check_model(proto, full_check=True)
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
        assert list(proto.graph.input) == list(before.graph.input)
        assert list(proto.graph.output) == list(before.graph.output)
        assert not re.search(rb"/(home|root|usr|work|tmp)/|\.py\b", proto.SerializeToString())


def test_scores_are_near(shrunk, any_lane, kind, rows):
    folder, _ = shrunk
    wanted, given = (Bundle.load(at).score(*rows).negative_elbo for at in (any_lane.bundle, folder))
    assert 0 < np.abs(given - wanted).max() < NATS[kind]


def test_the_cost_is_that_of_pairs_with_the_same_noise(shrunk, any_lane):
    folder, cost = shrunk
    test = Prepared.open(any_lane.data).test
    assert cost.examples == len(test)
    bundles = Bundle.load(any_lane.bundle), Bundle.load(folder)
    labels = test.labels if bundles[0].classes else None
    wanted, given = (bundle.score(test.x[:], labels).negative_elbo for bundle in bundles)
    assert cost.loss / cost.loss_standard_error == pytest.approx(stats.ttest_rel(given, wanted).statistic)
    assert cost.variant - cost.full == pytest.approx(cost.loss, abs=1e-9)
    assert cost.rank_correlation == pytest.approx(stats.spearmanr(given, wanted).statistic)
    assert abs(cost.loss) <= cost.largest == np.abs(given - wanted).max()
    wanted, given = (bundle.reconstruct(test.x[:], labels) for bundle in bundles)
    assert cost.reconstruction == pytest.approx(np.abs(given - wanted).max(), rel=1e-5)


def test_it_is_smaller(shrunk, any_lane):
    folder, cost = shrunk
    assert cost.variant_bytes == sum(file.stat().st_size for file in folder.glob("*.onnx"))
    assert cost.full_bytes == sum(file.stat().st_size for file in any_lane.bundle.glob("*.onnx") if file.stem in GRAPHS)
    stored = [onnx.load(at / "score.onnx").graph.initializer for at in (folder, any_lane.bundle)]
    sizes = [sum(onnx.numpy_helper.to_array(weight).nbytes for weight in weights) for weights in stored]
    assert sizes[0] < 0.75 * sizes[1]


def test_cost_and_card_are_written(shrunk, kind):
    folder, cost = shrunk
    written = json.loads((folder / "variant.json").read_text())
    assert written == json.loads(json.dumps(cost.to_dict()))
    assert [(row["graph"], row["batch"]) for row in written["latencies"]] == [
        (graph, batch) for graph in ("encoder", "decoder", "score") for batch in (1, 64)
    ]
    assert all(row["full_ms"] > 0 and row["variant_ms"] > 0 for row in written["latencies"])
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"## Variant: {kind}" in card
    assert f"{cost.loss:+.2g} ± {cost.loss_standard_error:.1g} nats" in card


def test_generate_is_sample_of_exact_noise(shrunk, rows):
    folder, _ = shrunk
    bundle = Bundle.load(folder)
    width = bundle.manifest.noise
    named = {"seed": np.full(50, 12_345_678, np.float32), "index": np.arange(2**24 - 50, 2**24, dtype=np.float32)}
    (noise,) = onnxruntime.InferenceSession(noise_graph(width, 18).SerializeToString()).run(None, named)
    label = {} if rows[1] is None else {"label": rows[1]}
    (wanted,) = bundle.session("sample").run(None, {"noise": noise, **label})
    (given,) = bundle.session("generate").run(None, {**named, **label})
    np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_gives_the_same_bytes(lane, kind, tmp_path):
    for name in ("once", "again"):
        shrink(lane.bundle, kind, lane.data, tmp_path / name)
    for file in (tmp_path / "once").iterdir():
        if file.name != "variant.json":
            assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.fixture
def variant(lane, tmp_path):
    shrink(lane.bundle, "fp16", lane.data, tmp_path / "variant")
    return tmp_path / "variant"


def test_a_variant_has_no_variants(lane, variant, tmp_path):
    with pytest.raises(BundleError, match="is the fp16 variant of a bundle: name the bundle that it came from"):
        shrink(variant, "int8", lane.data, tmp_path / "out")


def test_a_variant_cant_pass_for_the_bundle(variant):
    alter(variant, lambda manifest: manifest.pop("variant"))
    with pytest.raises(BundleError, match=r"encoder\.onnx says variant 'fp16', bundle\.json None"):
        verify(variant)


def test_other_data_are_refused(lane, tmp_path):
    shutil.copytree(lane.data, tmp_path / "data")
    spec = json.loads((tmp_path / "data" / "spec.json").read_text())
    (tmp_path / "data" / "spec.json").write_text(json.dumps({**spec, "high": 256.0}))
    seal(tmp_path / "data")
    with pytest.raises(DataError, match="has another spec than the data of"):
        shrink(lane.bundle, "fp16", tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_altered_bundle_is_refused(lane, tmp_path):
    bundle = shutil.copytree(lane.bundle, tmp_path / "bundle")
    (bundle / "sample.npz").unlink()
    with pytest.raises(BundleError, match=r"sample\.npz is missing"):
        shrink(bundle, "fp16", lane.data, tmp_path / "out")


def test_what_isnt_ours_is_never_replaced(lane, tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match="holds other files"):
        shrink(lane.bundle, "fp16", lane.data, tmp_path)
    with pytest.raises(OutputError, match="overlap"):
        shrink(lane.bundle, "fp16", lane.data, lane.bundle)
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_the_command(lane, tmp_path):
    arguments = ["shrink", lane.bundle, "--data", lane.data, "--out", tmp_path / "out", "--to"]
    done = CliRunner().invoke(app, [*map(str, arguments), "fp16"], catch_exceptions=False)
    assert done.exit_code == 0
    for word in ("-ELBO, nats", "graphs, kB", "decoder, batch 64, ms", "rank correlation"):
        assert word in done.output
    assert Bundle.load(tmp_path / "out").variant == "fp16"
    unknown = CliRunner().invoke(app, [*map(str, arguments), "int4"])
    assert unknown.exit_code == 2
    assert "'fp16', 'int8'" in unknown.output
