"""The stages on a device that isn't the CPU: nothing mixes the two, and the figures are the CPU's."""

import json
import subprocess
import sys

import pytest
from tests.lanes import ROOT, Lane

from vae_pipeline.training.trained import read_history

pytestmark = pytest.mark.slow


def curve(lane):
    return [row["train_elbo"] for row in read_history(lane.model / "history.csv")]


@pytest.mark.parametrize("name", ["conditional", "table", "sentences"])
def test_a_lane_on_another_device_is_that_of_the_cpu(name, through_all_stages, tmp_path):
    subprocess.run([sys.executable, "-m", "tests.pretended", name, tmp_path], check=True, cwd=ROOT, timeout=500)
    found, wanted = Lane.of(tmp_path), through_all_stages(name)
    assert curve(found) == pytest.approx(curve(wanted), rel=1e-5)
    (told, known) = (json.loads((lane.report / "metrics.json").read_text()) for lane in (found, wanted))
    assert told.keys() == known.keys()
    if name != "sentences":  # the weights of rare words follow the rounding, as they do with other threads
        for figure in ("elbo", "rate", "distortion", "importance_bound", "baseline_elbo"):
            assert told[figure] == pytest.approx(known[figure], rel=1e-3), figure
    graphs = {path.name for path in wanted.bundle.glob("*.onnx")}
    assert {path.name for path in found.bundle.glob("*.onnx")} == graphs != set()
