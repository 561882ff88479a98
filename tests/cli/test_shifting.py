"""`score --shift-from --shift-to`: alarms by weighed examples, and what can't be weighed."""

import numpy as np
import pandas as pd
import pytest
from tests.tables import mixed_frame
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.shift import Shift
from vae_pipeline.system.errors import DataError


def invoke(*arguments):
    result = CliRunner().invoke(app, ["score", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def now(tmp_path):
    """A table of normal rows of now, with higher amounts."""
    frame = mixed_frame(600, seed=9)
    frame = frame[(frame.fraud == 0) & (frame.amount > 95)]
    frame.to_csv(tmp_path / "now.csv", index=False)
    return tmp_path / "now.csv"


def test_p_values_are_among_weighed_examples(table_lane, now, tmp_path):
    before, out = table_lane.data / "valid.npy", tmp_path / "scores.csv"
    words = [table_lane.bundle, now, "-o", out, "--alpha", "0.1", "--shift-from", before, "--shift-to", now]
    result = invoke(*words)
    bundle, rows, new = Bundle.load(table_lane.bundle), np.load(before), pd.read_csv(now)
    assert f"the {len(rows)} examples of {before} count as" in result.output
    judged = bundle.detect(new)
    shift = Shift.between(bundle.detect(rows).score, bundle.encode(rows).mean, bundle.encode(new).mean)
    wanted, found = shift.p_values(judged.score, bundle.encode(new).mean), pd.read_csv(out)
    np.testing.assert_allclose(found.p_value, wanted, rtol=1e-4)
    assert (found.alarm == (wanted <= 0.1)).all() and np.abs(wanted - judged.p_value).max() > 0.02
    invoke(*words[:3], tmp_path / "all.npz", *words[6:])
    with np.load(tmp_path / "all.npz") as arrays:
        np.testing.assert_allclose(arrays["p_value"], wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shift-from", "now.csv"], "--shift-from and --shift-to go together"),
        (["--shift-from", "few.csv", "--shift-to", "now.csv"], "few.csv holds 5 examples, too few to tell a shift"),
        (["--shift-from", "now.csv", "--shift-to", "absent.csv"], "absent.csv isn't there"),
        (["--shift-from", "now.csv", "--shift-to", "now.csv", "--alpha", "0.001"], "tells false-alarm rates from 0.0"),
    ],
)
def test_what_cannot_be_weighed(words, message, table_lane, now, monkeypatch):
    monkeypatch.chdir(now.parent)
    pd.read_csv(now).head(5).to_csv("few.csv", index=False)
    with pytest.raises(DataError, match=message):
        invoke(table_lane.bundle, now, *words)


def test_a_conditional_model_is_refused(conditional_lane):
    x = conditional_lane.data / "test.npy"
    with pytest.raises(DataError, match="is conditional, and a shift is told by latents alone: leave it out"):
        invoke(conditional_lane.bundle, x, "--shift-from", x, "--shift-to", x)
