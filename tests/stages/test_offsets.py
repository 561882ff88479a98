"""A column that lies far from zero goes through all stages with its digits."""

import numpy as np
import pytest
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane
from tests.tables import mixed_frame, table_recipe

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle


@pytest.mark.slow
def test_a_column_far_from_zero_is_exported_and_scored_in_its_own_units(tmp_path):
    frame = mixed_frame()
    frame["balance"] = 1e6 + np.random.default_rng(0).normal(scale=0.3, size=len(frame))
    frame.to_csv(tmp_path / "rows.csv", index=False)
    recipe = edited(
        table_recipe(ROOT, tmp_path / "rows.csv"),
        train={"epochs": 4},
        evaluate={"samples": 2, "examples": 20, **WAIVED},
    )
    lane = run_lane(make_job("offset", recipe, tmp_path / "home"), tmp_path)
    bundle, test = Bundle.load(lane.bundle), Prepared.open(lane.data).test.x[:]
    rows = test[:5].astype(np.float64) + bundle.spec.offsets
    found = bundle.detect(rows)
    far = rows.copy()
    far[:, 1] += 30
    assert (np.abs(rows[:, 1] - 1e6) < 3).all()  # given as it is written
    assert (bundle.detect(far).score > found.score).all()
    np.testing.assert_allclose(bundle.reconstruct(rows)[:, 1], 1e6, atol=3)
