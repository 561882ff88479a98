"""The offset by which drawn rows have the shares of the training part."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from tests.lanes import make_job
from tests.models.test_rows import COLUMNS
from tests.tables import mixed_frame, table_recipe

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.drawn_rows import draw_rows
from vae_pipeline.models.build import build
from vae_pipeline.recipe.model import Model
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.training.matched_shares import DRAWS, match_shares
from vae_pipeline.training.trained import Trained

CELLED = tuple(column for column in COLUMNS if column.kind not in ("number", "date") or column.cells)
POOLED = Column("town", "category", True, ((0.0, 0.0), (4.0, 4.0)), ("a", "b", "c", "d"), pooled=(0.25, 0.75))
COUNT = 40_000


def fresh(columns, **likelihood):
    """A model whose decoder was never trained, and whose latents matter."""
    torch.manual_seed(0)
    net = {"kind": "dense", "layers": [16], "activation": "relu"}
    sections = {
        "encoder": net,
        "posterior": {"kind": "gaussian", "latents": 3},
        "prior": {"kind": "standard_normal"},
        "decoder": net,
        "likelihood": {
            "kind": "mixed", "scale": "learned_per_column", "missing": "modelled", "numbers": "histogram",
            "shares": "matched", **likelihood,
        },
        "conditional": False,
    }  # fmt: skip
    model = build(Model.model_validate(sections), TableSpec(columns, ())).eval()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(2)
    return model


def rows(count=5_000):
    """Rows of `CELLED` and of `POOLED`, with classes, cells and gaps that are rare."""
    draw = np.random.default_rng(1)
    x = np.stack([
        draw.choice([0.0, 1.0, 2.0, np.nan], count, p=[0.85, 0.045, 0.005, 0.1]),
        draw.choice([0.0, 1.0], count, p=[0.98, 0.02]),
        draw.choice([0.0, 2.0, 3.0, 4.0, 9.0], count, p=[0.9, 0.02, 0.02, 0.02, 0.04]),
        draw.choice([0.0, 6.0], count, p=[0.3, 0.7]),
        draw.choice([0.0, 1.0, 2.0, 3.0, np.nan], count, p=[0.1, 0.02, 0.12, 0.36, 0.4]),
    ], 1)  # fmt: skip
    return x.astype(np.float32)


def shares(x, column, among):
    """The share of each piece of a column among values that are there, then that of gaps."""
    there = ~np.isnan(x[:, column])
    found = [((x[there, column] >= low) & (x[there, column] <= high)).mean() for low, high in among]
    return np.array([*found, 1 - there.mean()])


PIECES = {
    0: ((0, 0), (1, 1), (2, 2)),
    1: ((0, 0), (1, 1)),
    2: ((-1, 1), (2, 4), (8, 10)),
    3: ((0, 1), (5, 7.5)),
    4: ((0, 0), (1, 1), (2, 3)),
}


def test_drawn_rows_have_the_shares_of_the_training_part():
    model, x = fresh((*CELLED, POOLED)), rows()
    before = draw_rows(model, COUNT, seed=5)
    match_shares(model, Split(x, None), seed=0)
    after = draw_rows(model, COUNT, seed=5)
    for column, among in PIECES.items():
        wanted = shares(x, column, among)
        assert np.abs(shares(before, column, among) - wanted).max() > 0.05
        # Of two samples of latents, the one that was matched by and the one that is drawn of.
        error = 5 * np.sqrt(wanted * (1 - wanted) * (1 / COUNT + 1 / DRAWS)) + 0.01 * wanted
        assert (np.abs(shares(after, column, among) - wanted) <= error + 1e-9).all()


def test_the_offset_is_scipys_minimum_of_the_dual():
    """Of one category: mean over z of log sum exp(logits + offset), less the offset's mean under the wanted shares."""
    model = fresh(CELLED[:1])
    x = rows()[:, :1]
    match_shares(model, Split(x, None), seed=3)
    offset = model.rows.offset[1:4].double().numpy()  # after the gap's
    z = torch.randn(DRAWS, 3, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        output = model.decoded(z).squeeze(1).double().numpy()
    there = 1 / (1 + np.exp(-output[:, 0] - float(model.rows.offset[0])))
    wanted = shares(x, 0, PIECES[0])[:3]

    def dual(found):
        return np.average(logsumexp(output[:, 1:4] + found, axis=1), weights=there) - wanted @ found

    best = minimize(dual, np.zeros(3), method="BFGS").x
    # Other latents than those that it was matched by: the rarest class has 20 rows in 4,500.
    np.testing.assert_allclose(offset - offset.mean(), best - best.mean(), atol=0.1)


def test_what_is_never_or_always_there_keeps_its_logits():
    """A class and a cell that no row has, a boolean that is always false, and a column that never lacks a value."""
    model, x = fresh(CELLED), rows()[:, :4]
    x = x[(x[:, 0] < 2) & (x[:, 2] < 9)]  # no gap is left in the first column either
    x[:, 1] = 0
    match_shares(model, Split(x, None), seed=0)
    boolean, gap, *_ = model.rows.offset.tolist()
    assert boolean == gap == 0 and model.rows.offset.isfinite().all()
    drawn = draw_rows(model, COUNT, seed=5)
    assert shares(drawn, 2, PIECES[2])[0] == pytest.approx(shares(x, 2, PIECES[2])[0], abs=0.1)


def test_the_same_seed_gives_the_same_offset_and_no_other_answer_changes():
    model, x = fresh(CELLED), torch.from_numpy(rows()[:64, :4])
    z = model.encode(x).mean
    before = model.decode(z).log_prob(model.scaling(x)).detach()
    found = []
    for _ in range(2):
        match_shares(model, Split(rows()[:, :4], None), seed=0)
        found.append(model.rows.offset.clone())
    assert torch.equal(*found) and found[0].abs().max() > 0.1
    assert torch.equal(model.decode(z).log_prob(model.scaling(x)), before)


def test_nothing_is_matched_unless_it_is_asked_for():
    model = fresh(CELLED, shares="decoded")
    match_shares(model, Split(rows()[:, :4], None), seed=0)
    assert model.rows.offset is None and not any("offset" in name for name in model.state_dict())


def test_train_keeps_it_with_the_weights(root, tmp_path):
    mixed_frame().to_csv(tmp_path / "rows.csv", index=False)
    recipe = table_recipe(root, tmp_path / "rows.csv", cells=16)
    values = recipe.model_dump(mode="json")
    values["model"]["likelihood"] = {
        "kind": "mixed", "scale": "learned_per_column", "numbers": "histogram", "missing": "modelled",
        "shares": "matched",
    }  # fmt: skip
    values["train"]["epochs"] = 2
    job = make_job("rows", type(recipe).model_validate(values), tmp_path / "home")
    prepare(job, tmp_path / "data")
    train(job, tmp_path / "data", tmp_path / "model")
    model, x = Trained.load(tmp_path / "model").model, Prepared.open(tmp_path / "data").train.x[:]
    drawn = draw_rows(model, COUNT, seed=1)
    country = next(
        at for at, column in enumerate(Prepared.open(tmp_path / "data").spec.columns) if column.name == "country"
    )
    among = ((0, 0), (1, 1), (2, 2))
    np.testing.assert_allclose(shares(drawn, country, among), shares(x, country, among), atol=0.02)
