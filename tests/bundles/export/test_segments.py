"""A detector of segments: its graph is the model's, and its figures and its record are of each segment."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.bundles.export.test_export import unread
from tests.models.test_columns import SPEC as TABLE
from tests.models.test_columns import model as table_model

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.graphs import DetectGraph
from vae_pipeline.evaluation.detection import describe
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics import segments
from vae_pipeline.metrics.detection import calibrated, fit_detector
from vae_pipeline.metrics.segments import Segmentation
from vae_pipeline.models.build import build
from vae_pipeline.models.tails import EmpiricalTail
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.stages.export import _segments
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.trained import Trained

CPU = torch.device("cpu")


def wanted(segment):
    return DetectionSection(score="negative_elbo", draws=2, collected=None, segment=segment)


def rows(count, seed):
    draw = np.random.default_rng(seed)
    kind = draw.choice([0, 1, 2, np.nan], count, p=[0.5, 0.4, 0.05, 0.05])
    values = [kind, draw.normal(size=count), draw.integers(0, 2, count), draw.uniform(20000, 20100, count)]
    return np.stack(values, 1).astype(np.float32)


@pytest.mark.slow
def test_its_graph_is_the_model_and_ranks_within_segments(tmp_path):
    torch.manual_seed(0)
    model = build(table_model(), TABLE).eval()
    train, held_back, new = (Split(rows(count, seed), None) for seed, count in enumerate((50, 260, 40)))
    by = Segmentation.of(wanted("kind"), TABLE)
    detector = calibrated(model, wanted("kind"), train, held_back, CPU, by)
    assert [len(tail.scores) for tail in detector.segments.tails] == [len(it) for it in by.rows(held_back).values()]
    graph, x = DetectGraph(detector), torch.from_numpy(new.x)
    proto = graph.proto(model, example_inputs(graph, model, x[:2], None, 0), {}, {"vae.graph": "detect"})
    assert not unread(proto)
    (tmp_path / "detect.onnx").write_bytes(proto.SerializeToString())
    answers = {name: tensor.numpy() for name, tensor in graph.answers(model, {"x": x}).items()}
    found = parity.run(tmp_path / "detect.onnx", {"x": new.x}, answers)
    np.testing.assert_allclose(found["p_value"], answers["p_value"], atol=1e-5)
    known = detector.chosen(detector.scores(torch.from_numpy(held_back.x))[0]).detach().numpy()
    codes = by.codes(held_back)
    for p_value, score, code in zip(found["p_value"], found["score"], by.codes(new), strict=True):
        among = known[codes == code] if code in (0, 1) else known
        tail = EmpiricalTail(torch.from_numpy(among))
        assert p_value == pytest.approx(tail.p_value(torch.tensor([score])).item(), abs=1e-4)


@pytest.mark.slow
def test_figures_and_the_bundles_record_are_of_each_segment(table_lane, monkeypatch, tmp_path):
    monkeypatch.setattr(segments, "FEWEST", 25)
    prepared, section = Prepared.open(table_lane.data), wanted("country")
    detector = fit_detector(Trained.load(table_lane.model).model.eval(), section, prepared, 0, CPU)
    by = Segmentation.of(section, prepared.spec)
    found = describe(detector, prepared, 0, tmp_path, by)["false_alarm_rate_0.05_by_segment"]
    assert set(found) == {"DK", "NO", "SE"} and all(0 <= share < 0.3 for share in found.values())
    entry = _segments(section, prepared, 0)
    assert len(entry.own) == len(detector.segments.tails) and len(entry.own) + len(entry.shared) == 3
    manifest = Manifest.load(table_lane.bundle)
    assert manifest.detection.segments is None and "segments" not in manifest.to_dict()["detection"]
    told = replace(manifest, detection=replace(manifest.detection, segments=entry))
    told.save(tmp_path)
    assert Manifest.load(tmp_path) == told and told.detection.least_alpha == 1 / 84
    with pytest.warns(
        UserWarning, match=r"alpha 0\.015 takes 66 calibration examples, and these segments .*: DK \(\d+\)"
    ):
        told.detection.require(0.015)
    with pytest.raises(ValueError, match="a number of examples that can't be"):
        replace(entry, own={"DK": 0})


@pytest.mark.parametrize("column", ["amount", "nothing"])
def test_a_column_that_tells_no_segments_is_refused(column):
    with pytest.raises(DataError, match=f"detection.segment is {column}, which is no column .* take kind, new"):
        Segmentation.of(wanted(column), TABLE)


def test_booleans_are_segments_and_labels_of_conditional_models_alone(smoke):
    assert Segmentation.of(wanted("new"), TABLE).names == ("false", "true")
    values = smoke.model_dump(mode="json")
    values["detection"]["segment"] = "label"
    with pytest.raises(ValueError, match="segment label names a column, which tables alone have"):
        Recipe.model_validate(values)
    values["model"]["conditional"] = True
    assert Recipe.model_validate(values).detection.segment == "label"
