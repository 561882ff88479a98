"""The ensemble of neighbours: its distances are scikit-learn's, its tails numpy's, its p-values keep their word."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import norm, rankdata
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.bundles.export.test_segments import CPU, rows
from tests.models.test_columns import SPEC as TABLE
from tests.models.test_columns import model as table_model

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.graphs import DetectGraph
from vae_pipeline.evaluation.detection import describe
from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.kinds.table.store import fit_column
from vae_pipeline.metrics import detection
from vae_pipeline.metrics.detection import calibrated, detect, fit_detector
from vae_pipeline.models.build import build
from vae_pipeline.models.neighbours import GRID, STEP, NeighbourEnsemble, squared_distances
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.training.trained import Trained

WANTED = DetectionSection(score="neighbour_ensemble", draws=2, collected=None)


def table_of(spec):
    torch.manual_seed(0)
    return build(table_model(), spec).eval()


def numbers(values):
    """A model of columns of numbers."""
    columns = (fit_column(Column(f"x{at}", "number", False, ()), each, "standard") for at, each in enumerate(values.T))
    return table_of(TableSpec(tuple(columns), ()))


def by_quantiles(train, values):
    """Straight lines between a hundred and one quantiles of the training part and those of N(0, 1)."""
    shares = np.linspace(0, 1, 101)
    wanted = norm.ppf(shares.clip(0.5 / len(train), 1 - 0.5 / len(train)))
    knots = np.quantile(train, shares, axis=0)
    return np.stack([np.interp(*pair, wanted) for pair in zip(values.T, knots.T, strict=True)], 1)


@torch.no_grad()
def test_members_are_scikit_learns_distances():
    draw = np.random.default_rng(0)
    train = draw.gamma(2, size=(300, 3)) @ draw.normal(size=(3, 5))
    new = draw.permuted(train[:90], axis=0)  # no value is beyond those of training
    model, of_new = numbers(train), torch.linspace(0, 9, 90)
    raw = torch.from_numpy(train).float()
    made = NeighbourEnsemble.fitted(model, raw, raw, torch.linspace(-3, 5, 256))
    found = made.members(torch.from_numpy(new).float(), of_new)
    left_out = made.members(raw, torch.zeros(300), left_out=0)
    torch.testing.assert_close(found[:, 0], of_new)
    scale = StandardScaler().fit(train).transform
    for at, placed in enumerate((scale, lambda values: by_quantiles(train, values)), 1):
        near = NearestNeighbors(n_neighbors=2).fit(placed(train))
        rounding = np.sqrt(5) / (2 * GRID) + 1e-3  # of a row that is kept
        np.testing.assert_allclose(found[:, at].sqrt(), near.kneighbors(placed(new))[0][:, 0], atol=rounding)
        np.testing.assert_allclose(left_out[:, at].sqrt(), near.kneighbors(placed(train))[0][:, 1], atol=rounding)
    np.testing.assert_allclose(found[:, 3], np.square(by_quantiles(train, new)).sum(1), rtol=1e-3)


@torch.no_grad()
def test_the_score_adds_the_logarithms_of_tails():
    """At a knot it is the share of training rows that are as high: scipy's rank; and it rises beyond all of them."""
    train = np.random.default_rng(1).normal(size=(256, 2))
    raw, known = torch.from_numpy(train).float(), torch.from_numpy(np.random.default_rng(2).permutation(256)).float()
    made = NeighbourEnsemble.fitted(numbers(train), raw, raw, known)
    values = made.members(raw, known, left_out=0)
    tails = made.tail(values)[:, 0].numpy()
    for member, tail in zip(values.numpy().T, tails.T, strict=True):
        share = rankdata(-member, method="max") / 256  # as high or higher
        assert np.abs(tail + np.log(share)).max() <= np.log(2)
        for rank in (1, 2, 8, 64, 128):
            near = np.sort(member)[-rank] - np.sort(member)[-2 * rank] > STEP * (1 + abs(np.median(member)))
            assert not near or tail[share == rank / 256] == pytest.approx(-np.log(rank / 256), abs=1e-3)
    torch.testing.assert_close(made(raw, known), made.tail(made.members(raw, known))[:, 0].sum(1))
    far = made(torch.tensor([[9.0, 9.0], [1e3, 9.0], [1e30, 9.0], [3e38, 3e38]]), torch.full((4,), 300.0))
    assert (far.diff() > 0).all() and far[0] > 4 * np.log(256) and far.isfinite().all()


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_rows_that_are_nearly_equal_are_told_apart(size):
    """Squares in float32 alone would lose what is under a hundred-thousandth of them."""
    draw = np.random.default_rng(0)
    known = (draw.normal(size=(40, 12)) * size * GRID).round() / GRID
    asked = known[::-1] + draw.choice([0, 1e-3], (40, 1)) * draw.normal(size=(40, 12))
    found = squared_distances(torch.from_numpy(asked).float(), torch.from_numpy(known.T).float())
    np.testing.assert_allclose(found, cdist(asked, known) ** 2, rtol=1e-5, atol=3e-7 * size)


@torch.no_grad()
def test_categories_and_gaps_are_one_hot():
    """scikit-learn's codes, with one for a value that training never saw; a gap is a mark of its column, at 0."""
    train = np.array([[0, 1, 0, 20010], [1, -1, 1, 20090], [1, -1, 1, np.nan], [np.nan, 1, 0, 20010]])
    raw = torch.from_numpy(train).float()
    made = NeighbourEnsemble.fitted(table_of(TABLE), raw, raw, torch.arange(4.0))
    new = np.array([[2, 1, 0, 20010], [0, 1, 1, 20010], [np.nan, np.nan, 0, np.nan]])

    def placed(values):
        gap = np.isnan(values)
        there = ~gap
        scaled = np.nan_to_num(StandardScaler().fit(train[:, [1, 3]]).transform(values[:, [1, 3]]))
        kind = OneHotEncoder(categories=[[0, 1, 2]], sparse_output=False).fit_transform(np.nan_to_num(values[:, :1]))
        truth = OneHotEncoder(categories=[[0, 1]], sparse_output=False).fit_transform(np.nan_to_num(values[:, 2:3]))
        return np.concatenate([scaled, kind * there[:, :1], truth * there[:, 2:3], gap], 1)

    found = made.members(torch.from_numpy(new).float(), torch.zeros(3))[:, 1]
    np.testing.assert_allclose(found, (cdist(placed(new), placed(train)) ** 2).min(1), atol=0.05)
    np.testing.assert_allclose(found[:2], [2, 2], atol=1e-4)  # one column is another value


@pytest.fixture(scope="module")
def detector():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "RANKED", 300)
        return calibrated(table_of(TABLE), WANTED, Split(rows(700, 0), None), Split(rows(600, 1), None), CPU)


def test_its_p_values_keep_their_word(detector):
    """Rows of the calibration's kind raise alarms as often as they may."""
    p_value = detect(detector, Split(rows(1500, 2), None), CPU).p_value
    for alpha in (0.05, 0.2):
        error = np.sqrt(alpha * (1 - alpha) * (1 / 600 + 1 / 1500))
        assert abs((p_value <= alpha).mean() - alpha) <= 3 * error + 0.005


@torch.no_grad()
@pytest.mark.slow
def test_its_graph_is_the_model(detector, tmp_path):
    """With gaps, codes that training never saw, huge numbers and training rows; what was never missing is an alarm."""
    model = detector.model
    odd = rows(12, 2)
    odd[0, 1], odd[1, 2], odd[2, 1], odd[3, 3], odd[4, 0] = np.nan, np.nan, 1e30, -3e38, 2
    odd[5:8] = rows(700, 0)[:3]
    graph, x = DetectGraph(detector), torch.from_numpy(odd)
    proto = graph.proto(model, example_inputs(graph, model, x[:2], None, 0), {}, {"vae.graph": "detect"})
    (tmp_path / "detect.onnx").write_bytes(proto.SerializeToString())
    assert {node.op_type for node in proto.graph.node}.isdisjoint({"TopK", "If", "Loop", "Scan", "NonZero", "ArgMin"})
    wanted = {name: tensor.numpy() for name, tensor in graph.answers(model, {"x": x}).items()}
    found = parity.run(tmp_path / "detect.onnx", {"x": odd}, wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    assert (found["p_value"][:4] <= 0.05).all() and np.isfinite(found["score"]).all()


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 16])
def test_few_rows_constants_and_ties(count):
    """Whatever the rows are, a score is finite; and a constant that changes is far."""
    tied = np.tile(np.array([[1, 0.5, 0, 20050]], np.float32), (count, 1))
    detector = calibrated(table_of(TABLE), WANTED, Split(tied, None), Split(tied[:1], None), CPU)
    asked = np.array([tied[0], tied[0] + [0, 0.5, 0, 0], [0, 0.5, 1, np.nan]], np.float32)
    same, moved, other = detect(detector, Split(asked, None), CPU).score
    assert np.isfinite([same, moved, other]).all() and moved > same + 2 and other > same + 2


def test_a_report_has_it_where_it_is_chosen(table_lane, tmp_path):
    prepared, model = Prepared.open(table_lane.data), Trained.load(table_lane.model).model.eval()
    found = describe(fit_detector(model, WANTED, prepared, 0, CPU), prepared, 0, tmp_path)
    assert found["score"] == "neighbour_ensemble" and found["scores"]["neighbour_ensemble"]["auroc"] == found["auroc"]
    assert found["auroc"] > 0.8
