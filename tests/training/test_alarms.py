import json
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from io import StringIO

import pytest
import torch
from rich.console import Console
from tests.lanes import WAIVED, edited, make_job

from vae_pipeline.metrics.alarms import alarms_of
from vae_pipeline.metrics.gain import Gain, decoder_gain
from vae_pipeline.metrics.images import fidelity
from vae_pipeline.metrics.usage import Usage, usage
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.objective import FreeBitsControl
from vae_pipeline.stages import display
from vae_pipeline.stages.evaluate import evaluate, measure
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import Interrupted, TrainingError
from vae_pipeline.system.tracking.journal import read_journal
from vae_pipeline.system.tracking.tracker import Tracker
from vae_pipeline.training.alarms import alarms
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.trained import Trained


@pytest.fixture(scope="module")
def collapsing(smoke):
    return edited(smoke, rate_control={"beta": 100.0}, evaluate=WAIVED)


@pytest.fixture(scope="module")
def collapsed(collapsing, prepared, tmp_path_factory):
    """A trained folder, and what was said."""
    folder, said = tmp_path_factory.mktemp("collapsed"), StringIO()
    job = replace(make_job("bars", collapsing, folder / "home"), console=Console(file=said, width=1000))
    train(job, prepared.folder, folder / "model")
    return folder / "model", said.getvalue()


def test_a_collapse_is_told_once_and_kept(collapsed):
    (alarm,) = json.loads((collapsed[0] / "alarms.json").read_text())
    assert alarm["name"] == "collapse"
    assert alarm["epoch"] == 2
    assert alarm["cleared"] is None
    (warning,) = [line for line in collapsed[1].splitlines() if "warning: bars" in line]
    assert warning.startswith("warning: bars: collapse at epoch 2: the latents tell nothing of the data")
    assert "free_bits" in warning


def test_evaluate_reports_it_with_what_the_test_part_says(collapsed, collapsing, prepared, tmp_path):
    job = make_job("bars", collapsing, tmp_path / "home")
    metrics = evaluate(job, prepared.folder, collapsed[0], tmp_path / "report")
    assert [(alarm["name"], alarm["epoch"]) for alarm in metrics["alarms"]] == [("collapse", 2), ("collapse", None)]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["alarms"] == metrics["alarms"]


def test_a_recipe_may_stop_there(collapsing, prepared, tmp_path):
    recipe = edited(collapsing, train={"stop_on_alarm": True})
    with pytest.raises(TrainingError, match=r"collapse at epoch 2: .*\(train\.stop_on_alarm is true\)"):
        train(make_job("bars", recipe, tmp_path / "home"), prepared.folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_normalised_means_and_free_bits_bring_collapsed_latents_back(smoke, prepared, tmp_path):
    """A decoder that does without the latents: with so wide a Gaussian, what they could tell isn't worth its rate."""

    def trained(name, posterior, rate_control):
        noisy = {"kind": "gaussian", "scale": 5.0, "mean": "linear"}
        model = {"likelihood": noisy, "posterior": {**posterior, "latents": 4}}
        recipe = edited(smoke, model=model, train={"epochs": 20, "keep": "last"})
        recipe = recipe.model_copy(update={"rate_control": rate_control})
        train(make_job(name, recipe, tmp_path / name), prepared.folder, tmp_path / name / "model")
        found = Trained.load(tmp_path / name / "model")
        figures, _ = measure(found.model, prepared, recipe.evaluate, 0, torch.device("cpu"))
        return found.alarms, {**figures, "psnr": fidelity(found.model, prepared.test, 0, torch.device("cpu")).psnr}

    alarms, lost = trained("lost", {"kind": "gaussian"}, smoke.rate_control)
    assert [(alarm["name"], alarm["epoch"]) for alarm in alarms] == [("collapse", 2)]
    assert lost["active_units"] == 0
    assert lost["decoder_gain_share"] < 0.65

    free = FreeBitsControl(kind="free_bits", nats=0.5, share=0.1)
    alarms, found = trained("found", {"kind": "normalised_gaussian", "spread": 0.7}, free)
    assert not alarms
    assert found["active_units"] >= 2
    assert found["mutual_information"] > 1  # they tell of the data, and the decoder listens
    assert found["decoder_gain_share"] > 0.8
    assert found["psnr"] > lost["psnr"] + 1


def test_mlflow_is_told_by_a_tag(collapsing, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(Tracker, "followed", lambda *_: nullcontext())
    job = make_job("bars", collapsing, tmp_path / "home", mlflow_uri="http://127.0.0.1:9")
    train(job, prepared.folder, tmp_path / "model")
    (journal,) = (tmp_path / "home" / "tracking").glob("*.jsonl")
    assert read_journal(journal).tags == {"alarm.collapse": "2"}


@pytest.mark.slow
def test_the_default_of_digits_raises_none(root, tmp_path):
    recipe = edited(Recipe.load(root / "pipeline" / "digits.yaml"), train={"epochs": 4})
    job = make_job("digits", recipe, tmp_path / "home")
    prepare(job, tmp_path / "data")
    train(job, tmp_path / "data", tmp_path / "model")
    assert json.loads((tmp_path / "model" / "alarms.json").read_text()) == []


FINE = Usage(active_units=20, mutual_information=5.0, posterior_variance=0.1)


HEARD = Gain(50.0, 2.0, 0.99)


@pytest.mark.parametrize(
    ("used", "gain", "rate", "names"),
    [
        (FINE, HEARD, 10.0, []),
        (FINE, None, 10.0, []),
        (replace(FINE, mutual_information=0.09), HEARD, 10.0, ["collapse"]),
        (FINE, HEARD, 0.04, ["collapse"]),
        (FINE, replace(HEARD, share=0.64), 10.0, ["ignored_latents"]),
        (FINE, replace(HEARD, share=0.66), 10.0, []),
        (FINE, replace(HEARD, share=0.5), 0.01, ["collapse"]),
        (replace(FINE, active_units=1), HEARD, 10.0, ["idle_latents"]),
        (replace(FINE, active_units=2), HEARD, 10.0, []),
        (Usage(0, 0.0, None), HEARD, 0.0, ["collapse"]),
        (replace(FINE, posterior_variance=9e-5), HEARD, 90.0, ["autoencoder"]),
        (Usage(20, 5.0, None, codebook_use=0.09), HEARD, 90.0, ["idle_codes"]),
        (Usage(20, 5.0, None, codebook_use=0.11), HEARD, 90.0, []),
        (Usage(1, 3.0, 9e-5), HEARD, 90.0, ["idle_latents", "autoencoder"]),
    ],
)
def test_bounds(used, gain, rate, names, smoke):
    assert list(alarms_of(used, gain, rate, 40, smoke)) == names


@pytest.mark.parametrize(
    "likelihood",
    [
        {"kind": "bernoulli"},
        {"kind": "gaussian", "scale": "learned", "mean": "linear"},
        {"kind": "laplace", "scale": 0.02, "mean": "sigmoid"},
    ],
)
def test_an_untrained_network_alarms_however_good_its_encoder_looks(likelihood, smoke, prepared):
    """Rate and information of normalised means are high before anything was learned."""
    net = {"kind": "convolution", "channels": [8, 16], "activation": "silu"}
    posterior = {"kind": "normalised_gaussian", "latents": 8, "spread": 0.6}
    parts = {"encoder": net, "decoder": {**net, "channels": [16, 8]}, "posterior": posterior, "likelihood": likelihood}
    recipe = edited(smoke, model=parts)
    for seed in range(5):
        torch.manual_seed(seed)
        model = build(recipe.model, prepared.spec).train()
        with torch.no_grad():
            model(torch.from_numpy(prepared.train.x[:]))  # which its normalisation takes the moments of
        used = usage(model, prepared.train, 0, torch.device("cpu"))
        assert used.active_units == 8 and used.mutual_information > 0.3
        gain = decoder_gain(model, prepared.train, 0, torch.device("cpu"), 1000)
        assert list(alarms_of(used, gain, 3.0, 8, recipe)) == ["ignored_latents"]


def history(*epochs):
    return [
        Epoch(number, 1.0, rate, 1.0, rate, 8, information, variance, 0.001, beta, *gain)
        for number, (rate, information, variance, beta, *gain) in enumerate(epochs, start=1)
    ]


def raised(smoke, *epochs):
    return [(alarm.name, alarm.epoch, alarm.cleared) for alarm in alarms(history(*epochs), 8, smoke)]


GOOD, GONE, POINT = (9.0, 4.0, 0.1, 1.0), (0.01, 0.01, None, 1.0), (80.0, 4.0, 1e-6, 1.0)


def test_none_begins_while_more_and_more_examples_are_explained_by_their_own(smoke):
    def of(*shares):
        return raised(smoke, *[(*GOOD, 9.0, share) for share in shares])

    assert of(0.52, 0.52) == [("ignored_latents", 2, None)]
    assert of(0.52, 0.56, 0.62, 0.9) == []
    assert of(0.5, 0.5, 0.9) == [("ignored_latents", 2, 3)]
    assert raised(smoke, *[(*GOOD[:3], beta, 9.0, 0.52) for beta in (0.1, 0.2, 0.2)]) == [("ignored_latents", 3, None)]


def test_an_alarm_begins_at_the_second_epoch_in_a_row_and_may_end(smoke):
    assert raised(smoke, GONE) == []
    assert raised(smoke, GONE, GOOD, GONE, GOOD) == []
    assert raised(smoke, GOOD, GONE, GONE, GONE) == [("collapse", 3, None)]
    assert raised(smoke, GONE, GONE, GOOD, GOOD) == [("collapse", 2, 3)]
    assert raised(smoke, GONE, GONE, GOOD, GONE, GONE) == [("collapse", 2, 3), ("collapse", 5, None)]


def test_none_begins_while_things_get_better_fast_enough(smoke):
    assert raised(smoke, *[(rate, 0.05, 0.5, 1.0) for rate in (0.01, 0.02, 0.04, 0.08)]) == []
    slowly = [(rate, 0.001, None, 1.0) for rate in (0.0038, 0.0046, 0.0050)]
    assert raised(smoke, *slowly) == [("collapse", 2, None)]
    warming_up = [(*POINT[:3], beta) for beta in (0.0, 0.1, 0.2, 0.3)]
    assert raised(smoke, *warming_up) == []
    assert raised(smoke, *warming_up, (*POINT[:3], 0.3)) == [("autoencoder", 5, None)]


def test_what_was_raised_before_stays_as_it_was(smoke):
    """A run tells each change once, resumed or not."""
    run = history(GONE, GONE, GONE, GOOD, POINT, POINT, GONE, GONE)
    for count in range(len(run)):
        earlier, later = alarms(run[:count], 8, smoke), alarms(run[: count + 1], 8, smoke)
        assert [replace(alarm, cleared=None) for alarm in earlier] == [
            replace(alarm, cleared=None) for alarm in later[: len(earlier)]
        ]


def test_an_epoch_after_the_other_raises_what_the_whole_history_does(smoke):
    run, found = history(GONE, GONE, GONE, GOOD, POINT, POINT, GONE, GONE), []
    for count in range(1, len(run) + 1):
        found = alarms(run[:count][-2:], 8, smoke, found)
        assert found == alarms(run[:count], 8, smoke)
    assert len(found) > 1


def test_an_interrupted_run_keeps_the_same(collapsing, collapsed, prepared, tmp_path, monkeypatch):
    original = display.Display.step

    def interrupt(self, step):
        original(self, step)
        if step.step == 24:
            os.kill(os.getpid(), signal.SIGTERM)

    job = make_job("bars", collapsing, tmp_path / "home")
    monkeypatch.setattr(display.Display, "step", interrupt)
    with pytest.raises(Interrupted):
        train(job, prepared.folder, tmp_path / "model")
    monkeypatch.setattr(display.Display, "step", original)
    said = StringIO()
    train(replace(job, console=Console(file=said, width=1000)), prepared.folder, tmp_path / "model")
    assert "going on from step 2" in said.getvalue() and "warning: bars" not in said.getvalue()
    for name in ("alarms.json", "history.csv", "weights.safetensors"):
        assert (tmp_path / "model" / name).read_bytes() == (collapsed[0] / name).read_bytes()
