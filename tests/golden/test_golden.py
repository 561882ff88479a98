"""Five lanes give the numbers that they gave: any change of these must be meant, and be explained in its commit.

`python -m tests.generated golden` keeps new ones.
"""

import json

import pytest

from tests.golden.record import EXACT, FOLDER, arithmetic, digests
from tests.lanes import LANES
from vae_pipeline.training.trained import read_history

KEPT = json.loads(EXACT.read_text())
DRIFTING = {
    "sentences": (
        "valid_elbo",
        "valid_distortion",
        "valid_rate",
        "decoder_gain",
        "decoder_gain_share",
        "mutual_information",
    ),
}
"""Figures of validation by running moments: batch normalisation leaves the scale of what it normalises free, so that
rounding moves it, while the figures of training, which are compared everywhere, don't know it."""


@pytest.mark.parametrize("name", LANES)
class TestGoldenRuns:
    def test_the_curve(self, name, through_all_stages):
        given = read_history(through_all_stages(name).model / "history.csv")
        golden = read_history(FOLDER / f"{name}.csv")
        assert len(given) == len(golden)
        for row, wanted in zip(given, golden, strict=True):
            assert _filled(row).keys() == _filled(wanted).keys()
            apart = () if arithmetic() == KEPT["arithmetic"] else DRIFTING.get(name, ())
            compared = [{key: value for key, value in _filled(of).items() if key not in apart} for of in (row, wanted)]
            assert compared[0] == pytest.approx(compared[1], rel=1e-4)

    def test_the_structure_of_every_graph(self, name, through_all_stages):
        assert digests(through_all_stages(name))["structure"] == KEPT["lanes"][name]["structure"]

    def test_the_bits_where_the_arithmetic_is_the_same(self, name, through_all_stages):
        """On another processor or with other libraries, the curve and the structure above are what is compared."""
        same = arithmetic() == KEPT["arithmetic"]
        found = digests(through_all_stages(name))["bits"]
        assert set(found) == set(KEPT["lanes"][name]["bits"])
        assert not same or found == KEPT["lanes"][name]["bits"]


def _filled(row):
    return {name: value for name, value in row.items() if value is not None}
