import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as some
from scipy.stats import t
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler
from torch.distributions import Bernoulli, Categorical, Normal

from vae_pipeline.kinds.spec import Column, ImageSpec, TableSpec
from vae_pipeline.kinds.table.spec import centre
from vae_pipeline.kinds.table.store import fit_column
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods.layout import Layout
from vae_pipeline.models.likelihoods.mixed import UNHEARD_OF, RowDistribution
from vae_pipeline.models.nets.columns import ColumnEncoder
from vae_pipeline.models.nets.pool import Pool
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.recipe.model import Model
from vae_pipeline.system.errors import RecipeError

POOLS = tuple(map(Pool, (2, 0, 0, 0, 1)))
LAYOUT = Layout(("category", "number", "boolean", "number", "category"), POOLS, (True,) * 5)
STEEP = ((-10.0, -10.0), (10.0, 10.0))
SPEC = TableSpec(
    (
        Column("kind", "category", True, ((0.0, 0.0), (2.0, 2.0)), ("a", "b")),
        Column("amount", "number", False, STEEP),
        Column("new", "boolean", False, ((0.0, 0.0), (1.0, 1.0))),
        Column("when", "date", True, ((20000.0, -10.0), (20100.0, 10.0))),
    ),
    ("label",),
    ("normal", "anomaly"),
)
ROWS = np.array([[0, 1.5, 1, 20030], [2, -3, 0, np.nan], [np.nan, 0, 1, 20050.5], [1, 40, 0, 20000]], np.float32)


def model(scale="learned_per_column", **parts):
    sections = {
        "encoder": {"kind": "dense", "layers": [16, 8], "activation": "relu"},
        "posterior": {"kind": "gaussian", "latents": 3},
        "prior": {"kind": "standard_normal"},
        "decoder": {"kind": "dense", "layers": [8, 16], "activation": "relu"},
        "likelihood": {"kind": "mixed", "scale": scale},
        "conditional": False,
    }
    return Model.model_validate({**sections, **parts})


def drawn(seed=0, batch=(7,)):
    draw = torch.Generator().manual_seed(seed)
    parts = [torch.randn(*batch, size, generator=draw) for size in (2, 2, 1, 3, 2)]
    return RowDistribution(LAYOUT, parts[0], parts[1].exp(), parts[2], parts[3:]), parts


def test_a_row_is_torchs_distributions():
    row, (mean, log_scale, logits, first, second) = drawn()
    value = torch.tensor([2.0, 0.3, 1.0, -4.0, 1.0])
    wanted = (
        Normal(mean, log_scale.exp()).log_prob(value[[1, 3]]).sum(-1)
        + Bernoulli(logits=logits[:, 0]).log_prob(value[2])
        + Categorical(logits=first).log_prob(value[0])
        + Categorical(logits=second).log_prob(value[4])
    )
    torch.testing.assert_close(row.log_prob(torch.stack([value, torch.ones(5)])), wanted)


def test_what_is_missing_adds_nothing():
    row, _ = drawn()
    value = torch.tensor([2.0, 0.3, 1.0, -4.0, 1.0])
    each = row.log_prob_by_element(torch.stack([value, torch.ones(5)]))
    for column in range(5):
        present = torch.ones(5)
        present[column] = 0
        rest = [index for index in range(5) if index != column]
        for held in (value, value.index_fill(0, torch.tensor([column]), 0)):
            torch.testing.assert_close(row.log_prob(torch.stack([held, present])), each[:, rest].sum(-1))


def test_presence_is_torchs_bernoulli_and_sums_to_one():
    layout = dataclasses.replace(LAYOUT, missing=(True, False, True, False, True))
    plain, (mean, log_scale, logits, first, second) = drawn()
    presence = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    row = RowDistribution(layout, mean, log_scale.exp(), logits, [first, second], presence)
    value, total = torch.tensor([2.0, 0.3, 1.0, -4.0, 1.0]), torch.zeros(7)
    for a, b, c in itertools.product([0.0, 1.0], repeat=3):
        asked = torch.stack([value, torch.tensor([a, 1, b, 1, c])])
        gaps = Bernoulli(logits=presence).log_prob(torch.tensor([a, b, c]))
        torch.testing.assert_close(row.log_prob(asked), plain.log_prob(asked) + gaps.sum(-1))
        total += gaps.sum(-1).exp()
    torch.testing.assert_close(total, torch.ones(7))


def test_what_never_was_missing_is_as_unlikely_as_can_be():
    layout = dataclasses.replace(LAYOUT, missing=(True, False, True, True, True))
    _, (mean, log_scale, logits, first, second) = drawn()
    row = RowDistribution(layout, mean, log_scale.exp(), logits, [first, second])
    value, present = torch.tensor([2.0, 0.3, 1.0, -4.0, 1.0]), torch.tensor([1.0, 0, 1, 1, 1])
    each = row.log_prob_by_element(torch.stack([value, present]))
    assert (each[:, 1] == -UNHEARD_OF).all() and (each[:, [0, 2, 3, 4]] > -1e3).all()
    assert (row.squared_error_by_element(torch.stack([value, present]))[:, 1] == UNHEARD_OF).all()


def test_discrete_columns_sum_to_one():
    row, _ = drawn()
    present = torch.tensor([1.0, 0, 1, 0, 1])
    total = sum(
        row.log_prob(torch.stack([torch.tensor([float(a), 0, b, 0, c]), present])).exp()
        for a in range(3)
        for b in range(2)
        for c in range(2)
    )
    torch.testing.assert_close(total, torch.ones(7))


def test_the_mean_is_in_the_order_of_the_columns_and_samples_have_it():
    row, (mean, _, logits, first, second) = drawn(batch=(2, 7))
    wanted = [first.argmax(-1).float(), mean[..., 0], logits[..., 0].sigmoid(), mean[..., 1], second.argmax(-1).float()]
    torch.testing.assert_close(row.mean, torch.stack(wanted, -1))
    torch.manual_seed(0)
    samples = row.sample([4000])
    assert samples.shape == (4000, 2, 7, 2, 5)
    torch.testing.assert_close(samples[..., 0, [1, 2, 3]].mean(0), row.mean[..., [1, 2, 3]], atol=0.5, rtol=0)
    assert torch.isfinite(row.log_prob(samples)).all()
    for column, size in ((0, 3), (4, 2)):
        assert set(samples[..., 0, column].unique().tolist()) <= set(range(size))


@pytest.mark.parametrize(
    ("scaling", "wanted"),
    [
        ("standard", StandardScaler()),
        ("robust", RobustScaler(unit_variance=True)),
        ("quantile", QuantileTransformer(n_quantiles=101, output_distribution="normal")),
    ],
)
def test_scalings_are_scikit_learns(scaling, wanted):
    x = np.random.default_rng(0).gamma(2.0, 3.0, (5000, 1))
    scale = TableScaling([fit_column(Column("x", "number", False, ()), x[:, 0].astype(np.float32), scaling).knots])
    inside = np.quantile(x, np.linspace(0.02, 0.98, 50))[:, None]
    given = scale(torch.from_numpy(inside).float())[:, 0].numpy()
    # Between two quantiles we draw the line in N(0, 1), scikit-learn in the shares.
    tolerance = 2e-2 if scaling == "quantile" else 1e-4
    np.testing.assert_allclose(given, wanted.fit(x).transform(inside), atol=tolerance)


@example([0.0, 1.0, 2.0**-126], "quantile")
@example([0.0, 0.0, 1e-30], "quantile")
@given(
    some.lists(some.floats(-1e4, 1e4, width=32), min_size=3, max_size=60),
    some.sampled_from(["standard", "robust", "quantile"]),
)
def test_scaling_rises_and_inverts_up_to_ten(values, scaling):
    x = np.array(values, np.float32)
    assume(not 0 < np.ptp(x) <= 1e-31)  # is refused
    column = fit_column(Column("x", "number", False, ()), x, scaling)
    scale = TableScaling([column.knots])
    given = scale(torch.from_numpy(np.sort(x))[:, None])[:, 0, 0]
    assert (given.diff() >= -1e-5).all()
    inside = (given.abs() < 9.999).numpy()
    back = scale.inverse(given[:, None])[:, 0].numpy()
    assert (np.abs(back - np.sort(x))[inside] <= 1e-4 * max(column.unit, np.abs(x).max())).all()


@given(some.lists(some.floats(0, 2.0**127, width=32), min_size=2, max_size=20))
def test_what_is_farther_out_is_told_from_what_is_far(values):
    scale = TableScaling([((-4.0, -10.0), (4.0, 10.0))])
    x = torch.tensor(values, dtype=torch.float32).sort().values
    far = scale(torch.cat([-x.flip(0), x])[:, None])[:, 0, 0]
    assert (far.diff() >= 0).all() and torch.isfinite(far).all()
    for near, beyond in itertools.pairwise(x):
        if beyond > near * 1.001 and 4 < near < 1e29:
            assert (scale(torch.stack([near, beyond])[:, None])[:, 0, 0].diff() > 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, -3e-9, 1e8, 1e30])
def test_any_change_of_a_constant_is_far(value):
    column = fit_column(Column("x", "number", False, ()), np.full(50, value), "standard")
    rows = np.array([[value], [value + 1e-5 * max(abs(value), 1)]])
    found = TableScaling([column.knots])(torch.from_numpy(centre(rows, [column])))[:, 0, 0]
    assert found[0].abs() < 1e-3 and found[1] > 10


def test_the_encoder_does_not_see_how_far_is_far():
    encoder = ColumnEncoder([Pool(0)], [False], 0, [4], "relu")
    near, far, nearer = (torch.tensor([[[value], [1.0]]]) for value in (10.0, 40.0, 9.0))
    torch.testing.assert_close(encoder(near, None), encoder(far, None))
    assert not torch.equal(encoder(near, None), encoder(nearer, None))


def test_far_is_logarithmic_and_missing_is_masked():
    scaled = TableScaling([column.knots for column in SPEC.columns])(torch.from_numpy(ROWS))
    assert scaled.shape == (4, 2, 4)
    assert scaled[3, 0, 1] == pytest.approx(10 + math.log(31))
    assert scaled[:, 1].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]]
    assert scaled[1, 0, 3] == 0 and scaled[2, 0, 0] == 0
    assert scaled[0, 0].tolist() == pytest.approx([0, 1.5, 1, -4])
    assert scaled[1, 0, 0] == 2  # a category's code is left as it is, the unknown one too


def test_the_encoder_sees_categories_flags_and_nothing_of_what_is_unknown():
    encoder = ColumnEncoder(POOLS[:4], [True, False, False, True], 0, [4], "relu")
    seen = []
    encoder.dense.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    encoder(TableScaling([column.knots for column in SPEC.columns])(torch.from_numpy(ROWS)), None)
    assert seen[0][:, 3:].tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]


def test_heavy_numbers_are_scipys():
    plain, (mean, log_scale, logits, first, second) = drawn()
    degrees = torch.tensor([1.5, 20.0])
    row = RowDistribution(LAYOUT, mean, log_scale.exp(), logits, [first, second], None, degrees)
    value = torch.stack([torch.tensor([2.0, 0.3, 1.0, -4.0, 1.0]), torch.ones(5)])
    each = row.log_prob_by_element(value)
    wanted = t(degrees.numpy(), mean.numpy(), log_scale.exp().numpy()).logpdf([0.3, -4.0])
    np.testing.assert_allclose(each[:, [1, 3]], wanted, rtol=1e-4)
    torch.testing.assert_close(each[:, [0, 2, 4]], plain.log_prob_by_element(value)[:, [0, 2, 4]])


@pytest.mark.parametrize("degrees", [None, torch.ones(2)], ids=["gaussian", "student_t"])
def test_what_each_column_costs_over_what_was_expected(degrees):
    """Of a number its distance alone, of a boolean and a category minus the log of its probability over the best's."""
    _, (mean, log_scale, logits, *log_odds) = drawn()
    row = RowDistribution(LAYOUT, mean, log_scale.exp(), logits, log_odds, None, degrees)
    expected = torch.stack([row.mean[0], torch.ones(5)])
    deviance = row.deviance_by_element(expected)[0]
    assert deviance[[0, 1, 3, 4]].abs().max() < 1e-6
    gone = torch.stack([expected[0], torch.tensor([0.0, 0, 1, 1, 1])])
    assert (row.deviance_by_element(gone)[:, :2] == 0).all()
    far = expected + torch.tensor([[0.0, 3, 0, 0, 0], [0.0] * 5])
    wanted = row.log_prob_by_element(expected)[0, 1] - row.log_prob_by_element(far)[0, 1]
    torch.testing.assert_close(row.deviance_by_element(far)[0, 1], wanted)


@pytest.mark.parametrize("missing", ["given", "modelled"])
@pytest.mark.parametrize("scale", ["learned_per_column", "per_element"])
@pytest.mark.parametrize("numbers", ["gaussian", "student_t"])
def test_a_model_of_a_table_keeps_its_contract(scale, missing, numbers):
    torch.manual_seed(0)
    likelihood = {"kind": "mixed", "scale": scale, "missing": missing, "numbers": numbers}
    built = build(model(likelihood=likelihood), SPEC)
    assert built.likelihood.outputs == 6 + 2 * (scale == "per_element") + 2 * (missing == "modelled")
    inference = built(torch.from_numpy(ROWS), samples=2)
    for term in (inference.distortion(), inference.rate(), inference.log_weight()):
        assert term.shape == (2, 4) and torch.isfinite(term).all()
    assert inference.likelihood.mean.shape == (2, 4, 4)
    assert torch.isfinite(inference.likelihood.log_prob(inference.likelihood.sample())).all()
    (inference.distortion() + inference.rate()).mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in built.parameters())
    assert built.scaling.inverse(inference.likelihood.mean).shape == (2, 4, 4)
    assert not [name for name in built.state_dict() if name.startswith("scaling")]  # the spec has it


def test_the_standardised_gaussian_of_learned_scale_is_the_closed_form():
    torch.manual_seed(0)
    spec = TableSpec((Column("x", "number", False, STEEP),), ())
    built = build(model(), spec).eval()
    with torch.no_grad():
        built.likelihood.log_scale.fill_(math.log(0.5))
        mean = built.decode(torch.zeros(1, 3)).mean
        found = built.decode(torch.zeros(1, 3)).log_prob(built.scaling(torch.tensor([[2.0]])))
    scale = built.likelihood(torch.zeros(1, 1, 1)).scale
    torch.testing.assert_close(found, Normal(mean[0], scale).log_prob(torch.tensor(2.0)))


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(RecipeError, match="needs dense nets and a likelihood of kind mixed"):
        build(model(likelihood={"kind": "bernoulli"}), SPEC)
    with pytest.raises(RecipeError, match="of the columns of a table, but the data are images"):
        build(model(), ImageSpec((1, 4, 4), "uint8", 0, 255, False))
