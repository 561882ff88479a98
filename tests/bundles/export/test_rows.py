"""The graphs that draw rows: the same rows as the model, and the same for one seed."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from scipy import stats
from tests.bundles.export.test_families import is_the_model
from tests.models.test_columns import model as table_model
from tests.models.test_counts import SPEC as COUNTED
from tests.models.test_rows import COLUMNS

from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.noise import even_noise, noise_graph, normal_noise
from vae_pipeline.bundles.export.rows import DRAWING
from vae_pipeline.estimators import answers
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.table.follows import Follows
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods import drawn_counts
from vae_pipeline.models.samplers import MixtureSampler
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.inputs import SEEDS
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.trained import Trained

CELLED = tuple(column for column in COLUMNS if column.kind not in ("number", "date") or column.cells)
COUNTS = {"family": "zero_inflated_negative_binomial", "library": True}
X = torch.zeros(64, 1)


def table(columns, **likelihood):
    torch.manual_seed(0)
    counted = {"counts": COUNTED.counts, "totals": COUNTED.totals} if "counts" in likelihood else {}
    spec = TableSpec(columns, (), **counted)
    parts = {"kind": "mixed", "scale": "per_element", "missing": "modelled", **likelihood}
    model = build(table_model(likelihood=parts), spec).eval()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(2)  # of fresh weights all rows are alike
    return model, spec


@pytest.mark.parametrize(
    ("columns", "likelihood", "sampler"),
    [
        ((*COLUMNS, *COUNTED.columns), {"numbers": "student_t", "bounds": "observed", "counts": COUNTS}, "prior"),
        (CELLED, {"numbers": "histogram", "shares": "matched"}, "mixture"),
        (COLUMNS[3:4], {}, "prior"),
    ],
    ids=["student_t and counts", "histogram", "one boolean"],  # a lane has Gaussian numbers
)
def test_a_drawn_row_is_the_models(columns, likelihood, sampler, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_counts, "STEPS", 3)  # of 40, which take seconds to trace
    model, spec = table(columns, **likelihood)
    if sampler == "mixture":
        parts = torch.tensor([0.3, 0.7]), torch.randn(2, 3), torch.eye(3).repeat(2, 1, 1)
        model.sampler = MixtureSampler(*parts)
    else:
        model.sampler = None
    made = {}
    if model.rows.offset is not None:
        model.rows.offset += torch.randn_like(model.rows.offset)
    for graph in DRAWING:
        is_the_model(graph, model, X, Units(spec, None), tmp_path, made)
    seeded = ReferenceEvaluator(made["generate_rows"])
    inputs = {"seed": np.full(8, 3, np.float32), "index": np.arange(8, dtype=np.float32)}
    whole = seeded.run(None, inputs)
    one = seeded.run(None, {name: values[5:6] for name, values in inputs.items()})
    for rows, row in zip(whole, one, strict=True):
        assert row == pytest.approx(rows[5:6], rel=1e-4)  # whatever rows it is drawn with


def test_rows_that_rounding_decides_are_left_out_of_comparisons():
    model, _ = table(CELLED, numbers="histogram")
    for graph in DRAWING[:2]:
        inputs = example_inputs(graph, model, X, None, 0)
        z = inputs["z"] if "z" in inputs else model.draw(inputs["noise"])
        assert not model.draw_rows(z, inputs["uniform"]).doubtful.any()
    inputs = example_inputs(DRAWING[2], model, X, None, 0)
    assert len(inputs["index"]) == 64 and (inputs["index"].diff() > 0).all()


def test_even_noise_is_even_and_knows_of_no_other():
    index = torch.arange(20_000, dtype=torch.float32)
    seed = torch.full_like(index, 7)
    even, noise = even_noise(seed, index, 3, 4).double().numpy(), normal_noise(seed, index, 3).double().numpy()
    assert even.min() > 0 and even.max() < 1
    for column in even.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    apart = np.corrcoef(np.concatenate([even, noise, even[:, :1] * noise[:, :1]], 1), rowvar=False)
    assert np.abs(apart[:4, 4:7]).max() < 4.5 / np.sqrt(len(index))
    assert np.abs(apart[:4, :4] - np.eye(4)).max() < 4.5 / np.sqrt(len(index))
    assert (even_noise(seed[:5], index[:5], 3, 4).double().numpy() == even[:5]).all()


def test_its_graph_gives_the_same_bits():
    index = np.array([0, 1, 77, SEEDS - 1], np.float32)
    seed = np.array([0, 5, 5, SEEDS - 1], np.float32)
    _, found = ReferenceEvaluator(noise_graph(3, 18, 5)).run(None, {"seed": seed, "index": index})
    assert (found == even_noise(torch.from_numpy(seed), torch.from_numpy(index), 3, 5).numpy()).all()


@pytest.fixture(scope="module")
def bundle(table_lane):
    return Bundle.load(table_lane.bundle)


def test_a_table_is_sampled_whole(bundle):
    rows, means = bundle.sample(2000, seed=1), bundle.sample(2000, seed=1, draw=False)
    names = bundle.spec.names
    when, amount = names.index("when"), names.index("amount")
    assert (rows[:, when] == np.rint(rows[:, when])).all() and rows[:, when].std() > 2 * means[:, when].std()
    assert rows[:, amount].std() > means[:, amount].std()
    gaps = {name: np.isnan(rows[:, at]).mean() for at, name in enumerate(names)}
    assert gaps["balance"] == pytest.approx(0.1, abs=0.05) and gaps["amount"] == 0
    assert not np.isnan(means).any()
    assert np.array_equal(bundle.sample(2000, seed=1), rows, equal_nan=True)


def test_an_estimator_draws_the_rows_of_its_bundle(bundle, table_lane):
    model, device = Trained.load(table_lane.model).model.eval(), torch.device("cpu")
    rows = answers.RowStream(model, 5)(200, device)
    found, wanted = bundle.spec.natural(rows), bundle.sample(200, seed=5)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert np.isnan(found).any()


def test_the_rows_of_a_seed_are_the_same_whatever_rows_they_come_with(bundle):
    whole = bundle.generate(300, seed=4)
    assert np.array_equal(bundle.generate(5, seed=4, first=280), whole[280:285], equal_nan=True)
    assert not np.isnan(bundle.generate(300, seed=4, draw=False)).any()


def test_columns_follow_in_rows_of_either_noise(bundle, monkeypatch):
    first, second = bundle.spec.names.index("when"), bundle.spec.names.index("amount")
    rule = Follows("amount", ("when",), 1.0, (2.0,))
    monkeypatch.setattr(bundle, "spec", replace(bundle.spec, follows=(rule,)))
    for rows in (bundle.sample(300, seed=4), bundle.generate(300, seed=4)):
        np.testing.assert_allclose(rows[:, second], 1 + 2 * rows[:, first])
        assert rows[:, first].std() > 0


def test_a_bundle_that_draws_no_rows_says_so(lane):
    images = Bundle.load(lane.bundle)
    assert images.sample(2).shape == images.sample(2, draw=False).shape
    with pytest.raises(
        DataError, match=r"draws no images: set export\.draws: true in its recipe and export it again, or "
    ):
        images.sample(2, draw=True)


def test_each_file_says_what_it_gives(table_lane):
    for name in ("draw", "sample_rows", "generate_rows"):
        proto = onnx.load(table_lane.bundle / f"{name}.onnx")
        assert [each.name for each in proto.graph.output] == ["x_drawn", "present"]
        assert not [node.op_type for node in proto.graph.node if "Random" in node.op_type]
