"""Trackers that stall in all ways that were thought of, and signals while one is waited for."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.lanes import ROOT, make_job
from tests.system.tracking.stalls import STALLS, stalling

from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.tracking.tracker import Tracker, fetch_bundle

pytestmark = pytest.mark.slow  # each imports MLflow in a process of its own

WAIT_S = 1.0


@pytest.fixture
def slow_head():
    with stalling(STALLS["slow head"]) as uri:
        yield uri


def recorded(smoke, home, uri, warn):
    """A tracker, and a journal that has ended."""
    tracker = Tracker(make_job("s", smoke, home, mlflow_uri=uri, mlflow_wait_s=WAIT_S).settings, warn)
    journal = tracker.journal("evaluate", "k")
    journal.start("s", {}, {}, weights="w")
    journal.end("FINISHED")
    return tracker, journal


@pytest.mark.parametrize("stall", STALLS)
def test_a_tracker_that_stalls_costs_one_warning_and_its_time(stall, smoke, tmp_path):
    warnings = []
    with stalling(STALLS[stall]) as uri:
        tracker, journal = recorded(smoke, tmp_path, uri, warnings.append)
        started = time.monotonic()
        assert not tracker.send(journal)
    assert time.monotonic() - started < 30  # MLflow's imports are most of it, on a busy machine
    assert len(warnings) == 1 and "`vae-pipeline sync`" in warnings[0]
    assert "s3cret" not in warnings[0] and "127.0.0.1" in warnings[0]
    assert journal.path.is_file()


def test_whatever_is_asked_of_a_tracker_that_stalls_ends(slow_head, smoke, tmp_path):
    warnings = []
    tracker, journal = recorded(smoke, tmp_path, slow_head, warnings.append)
    with tracker.followed(journal):
        pass
    assert tracker.sync() == (0, 1, 0)
    assert len(warnings) == 2 and all("within 1 s" in text for text in warnings)
    with pytest.raises(BundleError, match="it didn't answer within 1 s: VAE_MLFLOW_WAIT_S"):
        fetch_bundle("models:/s@champion", tracker.settings)


def test_an_error_before_there_is_a_journal_ends_the_process_that_waits_for_it(smoke, tmp_path, monkeypatch):
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **more: started.append(popen(*given, **more)) or started[0])
    tracker, journal = recorded(smoke, tmp_path, f"sqlite:///{tmp_path}/mlflow.db", pytest.fail)
    with pytest.raises(ZeroDivisionError), tracker.sending():
        (process,) = started
        assert process.poll() is None
        1 / 0  # noqa: B018
    assert process.poll() is not None
    assert journal.path.is_file() and not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_tracker_is_waited_for_ends_at_once(number, slow_head, smoke, tmp_path):
    recorded(smoke, tmp_path, slow_head, pytest.fail)
    settings = {"VAE_MLFLOW_URI": slow_head, "VAE_HOME": str(tmp_path), "VAE_MLFLOW_WAIT_S": "600"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_pipeline", "sync"],
        env=os.environ | settings,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    time.sleep(4)
    process.send_signal(number)
    started = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 3
    assert process.returncode == 130
    assert errors.count("\n") == 1 and f"{number.name} while MLflow at http://***@127.0.0.1" in errors
