"""Long work says how far it has come, and is never changed by who listens."""

import io

import torch
from rich.console import Console

from vae_pipeline.metrics.bounds import elbo_terms
from vae_pipeline.models.build import build
from vae_pipeline.stages import progress_display
from vae_pipeline.stages.progress_display import showing_progress
from vae_pipeline.system.progress import counted, going, heard_by


def test_is_told_to_the_listener_of_the_block_alone():
    told = []
    going("before", 0, 1)
    with heard_by(lambda *words: told.append(words)):
        assert list(counted("letters", "ab")) == ["a", "b"]
    going("after", 0, 1)
    assert told == [("letters", 0, 2), ("letters", 1, 2), ("letters", 2, 2)]


def test_counts_the_examples_of_a_metric_whose_figures_stay(smoke, prepared):
    model, told = build(smoke.model, prepared.spec), []
    alone = elbo_terms(model, prepared.test, 0, torch.device("cpu"))
    with heard_by(lambda *words: told.append(words)):
        heard = elbo_terms(model, prepared.test, 0, torch.device("cpu"))
    assert (heard.elbo == alone.elbo).all()
    assert told[0] == ("ELBO", 0, len(prepared.test))


def test_is_shown_live_on_a_terminal():
    shown = io.StringIO()
    with showing_progress(Console(file=shown, force_terminal=True, force_interactive=True, width=100), "digits"):
        going("ELBO", 3, 1200)
    assert "digits" in shown.getvalue()
    assert "ELBO: 3 of 1,200" in shown.getvalue()


def test_is_a_line_now_and_then_elsewhere(monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    with showing_progress(console, "digits"):
        going("ELBO", 3, 1200)
    assert shown.getvalue() == ""  # short work says nothing
    monkeypatch.setattr(progress_display, "PLAIN_EVERY_S", -1.0)
    with showing_progress(console, "digits"):
        going("ELBO", 3, 1200)
        going("fit", 0, 1)
    assert shown.getvalue() == "digits: ELBO: 3 of 1,200, after 0 s\ndigits: fit, after 0 s\n"


def test_slow_work_is_told_by_the_seconds_of_each(monkeypatch):
    clock = iter((0.0, 40.0, 42.0))
    monkeypatch.setattr(progress_display.time, "monotonic", lambda: next(clock))
    said = progress_display.Said()
    assert said("graphs", 0, 6) == "graphs"
    assert said("graphs", 1, 6) == "graphs: 1 of 6, 40 s each, 3:20 left"
    assert said("graphs", 6, 6) == "graphs: 6 of 6, 7 s each, 0:00 left"


def test_times_over_an_hour_are_told_with_it():
    told = [progress_display.clock(seconds) for seconds in (7.4, 3599.4, 3600, 10 * 3600 + 62)]
    assert told == ["0:07", "59:59", "1:00:00", "10:01:02"]
