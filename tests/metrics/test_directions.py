"""Directions beside numpy's means and scikit-learn's AUROC of what the bundle's own graphs say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.directions import directions
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.manifest import DirectionEntry
from vae_pipeline.training.trained import Trained


@pytest.fixture(scope="module")
def data(lane):
    return Prepared.open(lane.data)


@pytest.fixture(scope="module")
def model(lane):
    return Trained.load(lane.model).model.eval()


def marked(part: Split, *columns) -> Split:
    return replace(part, x=part.x[:], attributes=np.stack(columns, axis=1))


def test_a_class_has_the_difference_of_means_and_the_figure_of_its_projection(data, model, lane):
    found = directions(model, data.spec, data.train, data.valid, 0)
    bundle = Bundle.load(lane.bundle)
    z, seen = bundle.encode(data.train.x[:]).mean, bundle.encode(data.valid.x[:]).mean
    assert [(each.name, each.kind) for each in found] == [("upright", "class"), ("lying", "class")]
    for label, each in enumerate(found):
        shown = data.train.labels == label
        np.testing.assert_allclose(each.vector, z[shown].mean(0) - z[~shown].mean(0), atol=1e-4)
        assert (each.shown, each.others) == (shown.sum(), (~shown).sum())
        assert each.auroc == pytest.approx(roc_auc_score(data.valid.labels == label, seen @ each.vector), abs=1e-6)


def test_an_attribute_has_one_and_one_without_meaning_is_told_from_it(data, model):
    names = ("bright", "drawn", "lying", "rare")
    spec = replace(data.spec, attributes=names)
    generator = np.random.default_rng(0)

    def attributes(part):
        bright = part.x[:].mean((1, 2, 3))
        drawn, rare = generator.random(len(part)) < 0.5, np.arange(len(part)) < 4
        return marked(part, bright > np.median(bright), drawn, part.labels == 1, rare)

    found = {each.name: each for each in directions(model, spec, attributes(data.train), attributes(data.valid), 0)}
    assert list(found) == ["upright", "lying", "bright", "drawn"]  # of what four show there is none
    assert found["lying"].kind == "attribute" and found["upright"].kind == "class"
    entries = {
        name: DirectionEntry(name, each.kind, each.shown, each.others, each.auroc, each.auroc_standard_error)
        for name, each in found.items()
    }
    assert entries["drawn"].is_chance and not entries["bright"].is_chance
    assert entries["bright"].auroc > 0.8


def test_where_nothing_judges_there_is_no_figure(data, model):
    nothing = Split(data.valid.x[:0], data.valid.labels[:0])
    found = directions(model, data.spec, data.train, nothing, 0)
    assert [(each.auroc, each.auroc_standard_error) for each in found] == [(None, None)] * 2
    assert DirectionEntry("a", "class", 9, 9, None, None).is_chance


def test_a_class_that_the_model_is_told_has_none(conditional_lane, table_lane):
    for lane in (conditional_lane, table_lane):
        trained, data = Trained.load(lane.model), Prepared.open(lane.data)
        with torch.inference_mode():
            assert directions(trained.model, data.spec, data.train, data.valid, 0) == []
