"""Values of a category that are pooled: told as one class, and drawn by their shares."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from vae_pipeline import VAESynthesizer
from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table import columns as outlines
from vae_pipeline.kinds.table import store
from vae_pipeline.models.likelihoods.layout import Layout
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.nets.pool import Pool

POOL = Pool(6, (0.5, 0.3, 0.2))  # of codes 3, 4 and 5; 6 was never seen


def test_codes_have_the_classes_and_shares_of_their_values():
    codes = torch.arange(7.0)
    assert POOL.class_of(codes).tolist() == [0, 1, 2, 3, 3, 3, 4] and POOL.classes == 4
    assert POOL.log_share(codes).exp().tolist() == pytest.approx([1, 1, 1, 0.5, 0.3, 0.2, 1])
    assert POOL.likeliest(torch.arange(5.0)).tolist() == [0, 1, 2, 3, 6]


def test_even_numbers_draw_each_value_as_often_as_it_is():
    even = (torch.arange(1000) + 0.5) / 1000
    drawn = POOL.drawn(torch.full_like(even, 3), even)
    assert torch.bincount(drawn.long()).tolist() == [0, 0, 0, 500, 300, 200]
    assert (POOL.drawn(torch.full_like(even, 2), even) == 2).all()
    assert POOL.near(torch.tensor([0.5, 0.81])).tolist() == pytest.approx([0, 0.01], abs=1e-6)


def test_probabilities_of_all_values_come_to_one():
    layout = Layout(("category",), (POOL,), (False,))
    rows = MixedLikelihood(layout, "learned_per_column")(torch.randn(1, 1, 5, generator=torch.manual_seed(0)))
    value = torch.stack([torch.arange(7.0), torch.ones(7)], -1)[..., None]
    found = rows.log_prob_by_element(value)[:, 0].exp()
    assert found.sum().item() == pytest.approx(1, abs=1e-6)
    assert (found[3:6] / found[3:6].sum()).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-6)
    assert rows.mean.item() == found.argmax().item()
    assert rows.log_prob_expected(value[:1]).exp().item() == pytest.approx(found.max().item(), abs=1e-6)
    error = rows.squared_error_by_element(value)[:, 0]
    assert error.tolist() == pytest.approx(((1 - found) ** 2).tolist(), abs=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        drawn = rows.sample([20_000])[:, 0, 0, 0].long()
    shares = found.numpy().astype(float)
    assert chisquare(torch.bincount(drawn, minlength=7), 20_000 * shares / shares.sum()).pvalue > 0.001


def test_the_rarer_values_of_many_come_last(monkeypatch):
    monkeypatch.setattr(store, "MOST_VALUES", 2)
    values, counts = ("a", "b", "c", "d", "e"), np.array([1, 9, 0, 3, 5])
    found = store._of_counts(Column("x", "category", False, ()), values, counts)
    assert found.values == ("b", "e", "a", "d") and found.pooled == (0.25, 0.75)
    few = store._of_counts(Column("x", "category", False, ()), values, np.array([1, 0, 0, 0, 1]))
    assert few.values == ("a", "e") and few.pooled == ()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_table_with_many_cities_is_drawn_with_all_of_them(monkeypatch):
    monkeypatch.setattr(store, "MOST_VALUES", 10)
    monkeypatch.setattr(outlines, "MOST_VALUES", 10)
    draw = np.random.default_rng(0)
    city = np.where(draw.random(600) < 0.6, draw.choice(10, 600), draw.choice(np.arange(10, 100), 600))
    frame = pd.DataFrame({"city": [f"city {at}" for at in city], "height": draw.normal(size=600)})
    with pytest.raises(ValueError, match="to category to keep it with its 10 most frequent values told apart"):
        VAESynthesizer(steps=5, verbose=False).fit(frame)
    synthesizer = VAESynthesizer(columns={"city": "category"}, steps=150, verbose=False).fit(frame)
    drawn = synthesizer.sample(3000, random_state=0)
    often = {f"city {at}" for at in range(10)}
    assert drawn.city.isin(often).mean() == pytest.approx(frame.city.isin(often).mean(), abs=0.12)
    assert 60 < drawn.city[~drawn.city.isin(often)].nunique() <= 90 and set(drawn.city) <= set(frame.city)
