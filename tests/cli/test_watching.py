"""`watch`: batches call by call, an exit code for cron, a state that is kept, and what can't be used."""

import io
import json
import threading

import numpy as np
import pytest
from tests.tables import mixed_frame
from typer.testing import CliRunner

from vae_pipeline.cli import watching
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.system.errors import DataError, DriftError, OutputError


def invoke(*arguments, given=None):
    """The command's output; what it raises is raised."""
    result = CliRunner().invoke(app, ["watch", *map(str, arguments)], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture
def days(tmp_path):
    """A folder of four days, of which the last has another balance."""
    frame = mixed_frame(900, seed=9)
    frame = frame[frame.fraud == 0]
    (tmp_path / "days").mkdir()
    for day in range(4):
        some = frame[day * 150 : (day + 1) * 150]
        some.assign(balance=some.balance + 4 * (day == 3)).to_csv(tmp_path / "days" / f"day{day}.csv", index=False)
    (tmp_path / "days" / ".hidden").touch()
    return tmp_path / "days"


def test_call_by_call_it_is_as_in_one_call(table_lane, days, tmp_path):
    state, metrics, bundle = tmp_path / "w.json", tmp_path / "w.prom", table_lane.bundle
    for day in range(3):
        said = invoke(bundle, days / f"day{day}.csv", "--state", state, "--prometheus", metrics)
        assert "watch: no alarm: evidence" in said and f"of {(day + 1) * 150} rows" in said
    with pytest.raises(DriftError, match=r"the data have changed, first at .*day3.csv") as raised:
        invoke(bundle, days, "--state", state, "--prometheus", metrics)
    assert [each["rows"] for each in raised.value.found] == [150]  # the others were counted before
    with pytest.raises(DriftError) as at_once:
        invoke(bundle, days, "--json")
    assert at_once.value.found[3] == raised.value.found[0] and at_once.value.exit_code == 1
    assert [each["alarm"] for each in at_once.value.found] == [False, False, False, True]
    assert {"vae_watch_batches_total", "vae_watch_alarm"} <= {
        line.partition("{")[0] for line in metrics.read_text().splitlines() if line.endswith((" 4", " 1"))
    }
    before = state.read_bytes()
    metrics.unlink()
    with pytest.raises(DriftError):  # an alarm stays, and nothing is counted twice
        invoke(bundle, days, "--state", state, "--prometheus", metrics)
    assert state.read_bytes() == before and metrics.read_text().count("vae_watch_alarm{") == 1


def test_arrays_by_a_pipe(table_lane):
    test = Prepared.open(table_lane.data).test
    normal, pipe = test.x[:][test.labels == 0], io.BytesIO()
    for some in np.array_split(normal, 3):
        np.save(pipe, some)
    found = json.loads(invoke(table_lane.bundle, "-", "--json", "--every", "50", given=pipe.getvalue()))
    assert found["count"] == 3 and sum(each["rows"] for each in found["found"]) == len(normal)
    with pytest.raises(DataError, match=r"isn't a whole \.npy"):
        invoke(table_lane.bundle, "-", given=pipe.getvalue()[:-9])


def test_what_came_before_something_unusable_is_kept(table_lane, days, tmp_path):
    state = tmp_path / "w.json"
    (days / "day1.csv").write_text("amount\n1\n")
    with pytest.raises(DataError, match=r"day1.csv") as raised:
        invoke(table_lane.bundle, days, "--state", state)
    assert len(raised.value.found) == 1 and json.loads(state.read_text())["batches"] == 1


def test_two_at_once_take_turns(table_lane, days, tmp_path):
    """Each batch is counted, whoever comes first."""
    state = tmp_path / "w.json"
    calls = [
        threading.Thread(target=watching.watch, args=(table_lane.bundle, [days / f"day{day}.csv"], state))
        for day in range(2)
    ]  # fmt: skip
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert json.loads(state.read_text())["batches"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ever", "0.1", "--every", "9"], "exclude each other"),
        (["--ever", "1"], "ever is 1; wanted a probability"),
        (["--ever", "0.02"], r"--ever 0.02 was given, and .*w.json was begun with --alpha 0.05 --every 9"),
        (["--alpha", "0.0001", "--ever", "0.02"], "alpha 0.0001 was given; this calibration, of"),
        (["--state", "w.txt"], "must end in .json"),
        (["--prometheus", "w.txt"], "must end in .prom"),
        (["--state", "-"], "- was given where a file's name is wanted"),
    ],
)
def test_what_cannot_be_asked(words, message, table_lane, days, tmp_path):
    begun = ["--state", tmp_path / "w.json"] if words == ["--ever", "0.02"] else []
    if begun:
        invoke(table_lane.bundle, days / "day0.csv", *begun, "--every", "9", "--alpha", "0.05")
    with pytest.raises((DataError, OutputError), match=message):
        invoke(table_lane.bundle, days / "day1.csv", *begun, *words)


def test_a_folder_of_nothing_and_a_batch_that_is_not_there(table_lane, tmp_path):
    for batch, message in ((tmp_path, "is an empty folder"), (tmp_path / "absent.csv", "isn't there: mend the path")):
        with pytest.raises(DataError, match=message):
            invoke(table_lane.bundle, batch)
