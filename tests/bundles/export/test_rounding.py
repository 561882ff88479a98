"""Graphs of codes: what is halfway between two levels may be either, and nothing else may."""

import numpy as np
import pytest
import torch
from tests.bundles.export.test_families import is_the_model
from tests.contracts.test_models import batch
from tests.models.test_codes import of_codes

from vae_pipeline.bundles.export.graphs import SCORE, DecoderGraph, SampleGraph
from vae_pipeline.bundles.export.rounding import TIED, clearest, either
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.runtime.agreement import Units


def test_rows_come_in_the_order_of_their_distance_from_a_tie():
    model = of_codes(conditional=True).eval()
    x, labels = batch((1, 8, 8), 20)
    rows = clearest(model, Split(x.numpy(), labels.numpy()))
    with torch.no_grad():
        within = model.within(torch.from_numpy(rows.x), torch.from_numpy(rows.labels)).numpy()
    tie = np.abs(within % 1 - 0.5).min((1, 2, 3))
    assert (np.diff(tie) <= 0).all() and tie[0] > tie[-1]
    assert sorted(map(bytes, rows.x)) == sorted(map(bytes, x.numpy()))


def test_either_code_will_do_at_a_tie_and_there_alone():
    levels = torch.tensor(5.0)
    within = torch.tensor([0.5 - TIED / 2, 0.5 - TIED / 2, 0.5 - 2 * TIED, 1.2, 1.2])
    codes = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5])
    found = torch.tensor([0.5, 0.3, 0.5, 0.0, 1.0])
    assert either(within, found, codes, levels).tolist() == [0.5, 0.5, 0.0, 0.5, 0.5]


@pytest.mark.slow
def test_the_graphs_of_codes_are_the_model(tmp_path):
    model, x = of_codes().eval(), batch((1, 8, 8))[0]
    units = Units(ImageSpec((1, 8, 8), "uint8", 0, 255, False, ("a", "b", "c")), None)
    made = {}
    for graph in (SCORE, DecoderGraph(), SampleGraph()):
        is_the_model(graph, model, x, units, tmp_path, made)


def test_the_codes_of_a_tile_are_those_of_the_whole():
    model = of_codes(shape=(1, 16, 16)).eval()
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 1, 96, 80)).astype(np.uint8))
    around = -(-model.encoder.radius // model.factor)
    with torch.no_grad():
        whole = model.encode_map(x)[0]
        rows, columns = (slice(2 * (start - around), 2 * (stop + around)) for start, stop in ((20, 30), (18, 24)))
        tile = model.encode_map(x[:, :, rows, columns])[0]
    assert torch.equal(tile[:, :, around : around + 10, around : around + 6], whole[:, :, 20:30, 18:24])
    assert len(whole.unique()) > 5


@pytest.mark.parametrize("missing", [1, 3])
def test_sides_that_the_factor_does_not_divide_are_repeated(missing):
    model = of_codes(shape=(1, 8, 8)).eval()
    x = batch((1, 8, 8))[0][..., :-missing]
    with torch.no_grad():
        filled = torch.cat([x, *[x[..., -1:]] * (missing % 2)], 3)
        assert torch.equal(model.within(x), model.within(filled))
