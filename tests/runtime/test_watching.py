"""A watch raises false alarms as seldom as it says, sees a shift, and goes on from its state."""

import json
import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import beta

from vae_pipeline.runtime.detection import Detection
from vae_pipeline.runtime.exchangeability import BETS, Tally, p_values
from vae_pipeline.runtime.exposition import metrics
from vae_pipeline.runtime.watching import Promise, Watch, said
from vae_pipeline.system.errors import DataError

DRAW = np.random.default_rng(0)
EVER, EVERY = Promise(0.05, 0.2, None), Promise(0.05, None, 10)


def calibrated(scores):
    """A bundle, as far as a watch asks it: its calibration, and alarms at a score of 2 or more."""
    told = SimpleNamespace(sha256="c", examples=len(scores))
    return SimpleNamespace(
        folder="exports/it",
        calibration=lambda: (scores, told),
        alarms=lambda found, alpha: found.score >= 2,
        manifest=SimpleNamespace(weights_sha256="w"),
        detector=SimpleNamespace(score="negative_elbo", draws=4),
    )


def found(scores):
    return Detection(scores, scores, scores, scores, scores)


def after(rule, known, batches):
    """The watch after each batch."""
    bundle = calibrated(known)
    watch = Watch.begin(bundle, rule)
    for number, scores in enumerate(batches):
        watch = watch.see(bundle, found(scores), f"day {number}", str(number), 0.0)
        yield watch


def streams(count, batches, rows):
    for _ in range(count):
        yield DRAW.normal(size=40), DRAW.normal(size=(batches, rows))


@pytest.mark.parametrize("rule", [EVER, EVERY])
def test_evidence_is_by_what_was_put_down_before_each_batch(rule):
    """The sum over all beginnings of the mean likelihood ratio since, times what was put down then."""
    (known, batches), seen = next(streams(1, 3, 8)), Tally.of([])
    ratios = []
    for number, scores in enumerate(batches):
        draw = np.random.default_rng(number)
        ranks = p_values(Tally.of(known).plus(seen), draw.permutation(scores), draw)
        ratios.append([beta(a, b).pdf(ranks).prod() for a, b in BETS])
        seen = seen.plus(Tally.of(scores))
    for end, watch in enumerate(after(rule, known, batches), 1):
        parts = [np.prod(ratios[begin:end], axis=0).mean() for begin in range(end)]
        if rule is EVER:
            wanted = sum(part / (t * (t + 1)) for t, part in enumerate(parts, 1)) + 1 / (end + 1)
        else:
            wanted = sum(parts)
        assert watch.last.evidence == pytest.approx(wanted)


def test_it_seldom_ever_raises_a_false_alarm():
    alarms = [list(after(EVER, *stream))[-1].change_alarms for stream in streams(100, 10, 10)]
    assert 0 < np.mean(alarms) <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / 100)


def test_false_alarms_are_as_far_apart_as_it_says():
    times = [
        next((w.batches for w in after(EVERY, *stream) if w.last.alarm), 60) for stream in streams(40, 60, 5)
    ]  # fmt: skip
    assert np.mean(times) >= 10 - 3 * np.std(times) / math.sqrt(40)
    assert min(times) < 60  # and not by raising none


@pytest.mark.parametrize("rule", [EVER, EVERY])
@pytest.mark.parametrize("change", [lambda x: x + 1.5, lambda x: x - 1.5, lambda x: 3 * x, lambda x: x / 4])
def test_a_change_is_seen_whenever_it_comes_and_in_either_direction(rule, change):
    batches = DRAW.normal(size=(12, 30))
    batches[6:] = change(batches[6:])
    alarms = [watch.last.alarm for watch in after(rule, DRAW.normal(size=200), batches)]
    assert not any(alarms[:6]) and any(alarms[6:10])


def test_an_alarm_stays_or_the_evidence_begins_anew():
    batches = np.concatenate([DRAW.normal(4, 1, (1, 40)), DRAW.normal(size=(1, 40))])
    ever, every = (list(after(rule, DRAW.normal(size=200), batches)) for rule in (EVER, EVERY))
    assert [watch.last.alarm for watch in ever] == [True, True] and ever[-1].change_alarms == 1
    assert [watch.last.alarm for watch in every] == [True, False] and every[0].capitals == ()
    assert ever[-1].first_alarm == every[-1].first_alarm == "day 0"
    assert said(ever[0]).startswith("watch: alarm, first at day 0: evidence")
    assert said(every[1]).startswith("watch: no alarm: ") and "once in 10 batches on average" in said(every[1])


def test_a_batch_in_order_is_no_change():
    batches = np.sort(DRAW.normal(size=(8, 50)), axis=1)
    assert not list(after(EVER, DRAW.normal(size=300), batches))[-1].change_alarms


def test_it_goes_on_from_its_state(tmp_path):
    known, batches = DRAW.normal(size=50), DRAW.normal(size=(4, 20)).astype(np.float32)
    bundle, path = calibrated(known), tmp_path / "watch.json"
    whole = list(after(EVER, known, batches))
    whole[1].save(path)
    watch = Watch.load(path, bundle)
    assert watch == whole[1]
    for number in (2, 3):
        watch = watch.see(bundle, found(batches[number]), f"day {number}", str(number), 0.0)
    assert watch == whole[-1] and watch.digests == ("0", "1", "2", "3")
    assert watch.rows == sum(watch.counts) == 80 and watch.row_alarms == (batches >= 2).sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format is 2; this version knows 1"),
        ({"bundle": "another"}, "of another model, or of another calibration, than exports/it"),
        ({"rows": 7}, "rows are 7, and counts sum to 20"),
        ({"counts": [-1]}, "counts aren't one for each"),
        ({"capitals": [0.0]}, "capitals are 1; wanted 48"),
        ({"last": {}}, "last.batch is missing"),
        ({"rule": {"alpha": 0.1, "ever": None, "every": None}}, "one of them is wanted"),
        ({"more": 1}, "more is no field"),
        (None, "isn't the state of a watch"),
    ],
)
def test_a_state_that_is_none_is_refused(change, message, tmp_path):
    path, known = tmp_path / "watch.json", np.arange(30.0)
    (watch,) = after(EVER, known, [np.arange(20.0)])
    text = "{" if change is None else json.dumps({**asdict(watch), **change})
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        Watch.load(path, calibrated(known))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.05, 0.0, None), "ever is 0; wanted a probability between 0 and 1"),
        ((0.05, None, 1), "every is 1; wanted 2 batches or more"),
        ((1.5, 0.1, None), "alpha is 1.5; wanted a rate"),
        ((0.05, 0.1, 10), "exclude each other"),
    ],
)
def test_a_rule_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        Promise(*values)


def test_its_figures_are_those_that_prometheus_reads():
    *_, watch = after(EVER, np.arange(30.0), [np.arange(20.0), np.arange(5.0)])
    lines = metrics(watch, "a day", 'the "recipe" \\').splitlines()
    assert len(lines) == 30 and lines[0] == "# HELP vae_watch_rows_total Rows that were scored."
    assert lines[1:3] == [
        "# TYPE vae_watch_rows_total counter",
        'vae_watch_rows_total{watch="a day",bundle="the \\"recipe\\" \\\\"} 25',
    ]
    values = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[0] != "#"}
    assert values["vae_watch_alarm_share"] == 0.6 and values["vae_watch_row_alarms_total"] == 21
    assert values["vae_watch_evidence"] == watch.last.evidence and values["vae_watch_limit"] == 5
