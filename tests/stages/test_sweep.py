import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
import yaml
from optuna.trial import Trial
from PIL import Image
from tests.lanes import ROOT, edited, make_job

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.images import fidelity
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.space import Space
from vae_pipeline.stages import sweep as module
from vae_pipeline.stages import sweep_results
from vae_pipeline.stages.search import Search, figure_of
from vae_pipeline.stages.study import importances, next_trial, pruner
from vae_pipeline.stages.sweep import sweep
from vae_pipeline.stages.train import train
from vae_pipeline.stages.trial import Pruned, _watcher
from vae_pipeline.system.errors import DataError, Interrupted, OutputError, RecipeError, TrainingError, WeightsError
from vae_pipeline.system.stopping import Stopped
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.trained import Trained

SET = ["model.posterior.latents=2,4,8", "train.learning_rate=0.001..0.1:log"]


class Killed(BaseException):
    """The end of a process, as far as a test can have it in its own."""


@pytest.fixture
def search(tmp_path):
    recipe = tmp_path / "smoke.yaml"
    recipe.write_text((ROOT / "pipeline" / "smoke.yaml").read_text())
    return Search(recipe, Space.parse(SET), "importance_bound", 4, tmp_path / "best.yaml")


@pytest.fixture
def job(search, tmp_path):
    return make_job("smoke", Recipe.load(search.recipe), tmp_path / "home")


@pytest.fixture
def measured(monkeypatch):
    """A bound in closed form takes the place of training; the names of the trials, as they were run."""
    ran = []

    def figure(job, trial, figure, prune, data, out, device):
        ran.append(trial.number)
        latents, rate = job.recipe.model.posterior.latents, job.recipe.train.learning_rate
        found = {"importance_bound": -latents - math.log10(rate / 0.01) ** 2, "elbo": -50.0, "measure": "mass"}
        return {**found, "left_out": {"ssim": "it is a test"}}

    monkeypatch.setattr(module, "measured", figure)
    monkeypatch.setattr(module, "write_results", lambda out, *_: (out / "trials.csv").touch())
    return ran


def told(rows):
    return [(row.trial, dict(row.parameters), row.metric, row.state) for row in rows]


def changed(search, **values):
    return Search(**{**search.__dict__, **values})


def test_trials_are_counted_in_all_and_the_best_one_is_a_whole_recipe(job, search, prepared, measured, tmp_path):
    out = tmp_path / "sweep"
    rows = sweep(job, search, out, prepared.folder)
    assert [row.trial for row in rows] == list(range(4)) == measured and {row.state for row in rows} == {"complete"}
    assert told(sweep(job, search, out, prepared.folder)) == told(rows) and len(measured) == 4
    more = sweep(job, changed(search, trials=5), out, prepared.folder)
    assert told(more)[:4] == told(rows) and measured[4:] == [4]
    top = max(more, key=lambda row: row.metric)
    found = Recipe.load(search.best)
    assert found.model.posterior.latents == int(top.parameters["model.posterior.latents"])
    assert found.train.learning_rate == top.parameters["train.learning_rate"]
    assert found.evaluate == job.recipe.evaluate and f"trial {top.trial}, " in search.best.read_text()


@pytest.mark.slow
def test_killed_at_any_trial_the_trials_are_those_of_a_sweep_that_was_not(
    job, search, prepared, measured, tmp_path, monkeypatch
):
    whole = sweep(job, search, tmp_path / "whole", prepared.folder)
    search = changed(search, force=True)
    stand_in = module.measured
    for moment in (0, 2):

        def killed(job, trial, *rest, moment=moment):
            if trial.number == moment:
                raise Killed
            return stand_in(job, trial, *rest)

        monkeypatch.setattr(module, "measured", killed)
        with pytest.raises(Killed):
            sweep(job, search, tmp_path / "killed", prepared.folder)
    monkeypatch.setattr(module, "measured", stand_in)
    assert told(sweep(job, search, tmp_path / "killed", prepared.folder)) == told(whole)


def test_trials_follow_from_the_seed_and_no_combination_is_tried_twice():
    space = Space.parse(["model.posterior.latents=2,4,8", "train.batch=16..64:step=24"])

    def run(seed):
        study = optuna.create_study()
        while (trial := next_trial(study, space, seed)) is not None:
            study.tell(trial, float(trial.params["model.posterior.latents"]))
        return [tuple(trial.params.values()) for trial in study.trials]

    one = run(0)
    assert len(set(one)) == len(one) == 9
    assert run(0) == one != run(1) and sorted(run(1)) == sorted(one)


def test_a_trial_with_one_parameter_left_to_give_is_gone_on_with():
    space, study = Space.parse(SET), optuna.create_study()
    study.enqueue_trial({"model.posterior.latents": "8", "train.learning_rate": 0.05})
    study.ask().suggest_categorical("model.posterior.latents", ["2", "4", "8"])  # and the process is killed
    trial = next_trial(study, space, 0)
    assert trial.number == 0 and trial.params == {"model.posterior.latents": "8", "train.learning_rate": 0.05}


def test_the_search_finds_what_is_best_and_what_matters():
    space, study = Space.parse(["a=1,2,3", "b=0.001..1.0:log"]), optuna.create_study()
    for _ in range(25):
        trial = next_trial(study, space, 0)
        study.tell(trial, (math.log10(trial.params["b"]) + 1) ** 2 + 0.01 * float(trial.params["a"]))
    assert study.best_params["b"] == pytest.approx(0.1, rel=0.5)
    shares = importances(study)
    assert shares["b"] > 0.8 and sum(shares.values()) == pytest.approx(1)


def test_what_the_recipe_refuses_and_what_fails_end_as_trials(job, search, prepared, measured, tmp_path, monkeypatch):
    space = Space.parse(["train.keep=best,last", "rate_control={kind: constant, beta: 1},{kind: target_rate, nats: 3}"])
    stand_in = module.measured

    def failing(job, trial, *rest):
        if job.recipe.train.keep == "last" and job.recipe.rate_control.kind == "constant":
            raise TrainingError("the loss is nan")
        if job.recipe.rate_control.kind == "target_rate":
            raise Pruned("under the median")
        return stand_in(job, trial, *rest)

    monkeypatch.setattr(module, "measured", failing)
    rows = sweep(job, changed(search, space=space, trials=9), tmp_path / "sweep", prepared.folder)
    by_state = {row.state: row for row in rows}
    assert len(rows) == 4 and set(by_state) == {"complete", "pruned", "refused", "failed"}
    assert "target_rate is at its target in the last epoch" in by_state["refused"].note
    assert by_state["failed"].note == "the loss is nan" and by_state["pruned"].metric is None


def test_no_error_of_a_trials_own_values_is_met_again_by_each_resume(
    job, search, prepared, measured, tmp_path, monkeypatch
):
    errors = [
        RecipeError("likelihood needs whole numbers"),
        WeightsError("it holds NaN"),
        MemoryError(),
        RuntimeError("can't allocate memory\nframe #0"),
        RuntimeError("shapes don't fit"),  # a fault of the code
    ]
    notes = [
        ("refused", "likelihood needs whole numbers"),
        ("failed", "it holds NaN"),
        ("failed", "out of memory (an array): make it smaller"),
        ("failed", "out of memory (can't allocate memory): make it smaller"),
    ]
    stand_in, search = module.measured, changed(search, trials=5)

    def failing(job, trial, *_):
        raise errors[trial.number]

    monkeypatch.setattr(module, "measured", failing)
    with pytest.raises(RuntimeError, match="shapes don't fit"):
        sweep(job, search, tmp_path / "sweep", prepared.folder)
    monkeypatch.setattr(module, "measured", stand_in)
    rows = sweep(job, search, tmp_path / "sweep", prepared.folder)
    assert [(row.state, row.note) for row in rows] == [*notes, ("complete", "")] and measured == [4]


def test_a_best_file_is_a_recipe_or_stays(job, search, prepared, measured, tmp_path, monkeypatch):
    space = Space.parse(["train.learning_rate=0.02", "evaluate.gates={\n  }"])
    search = changed(search, space=space, command="vae-pipeline sweep --set 'evaluate.gates={\n  }'", force=True)
    (row,) = sweep(job, search, tmp_path / "sweep", prepared.folder)
    assert Recipe.load(search.best).train.learning_rate == 0.02 and "\n" not in row.said("elbo")
    monkeypatch.setattr(sweep_results, "rewritten", lambda *_: "a: [")
    with pytest.raises(RecipeError, match=r"best\.yaml isn't YAML"):
        sweep(job, search, tmp_path / "sweep", prepared.folder)
    assert Recipe.load(search.best).train.learning_rate == 0.02


def test_a_sweep_without_a_figure_ends_with_its_reason(job, search, prepared, measured, tmp_path, monkeypatch):
    def failing(*_):
        raise TrainingError("the loss is nan")

    with pytest.raises(RecipeError, match="--metric ssim is left out: it is a test; take another"):
        sweep(job, changed(search, metric="ssim"), tmp_path / "unmeasured", prepared.folder)
    assert measured == [0]
    monkeypatch.setattr(module, "measured", failing)
    with pytest.raises(TrainingError, match="no trial came to a figure; the last: the loss is nan"):
        sweep(job, changed(search, trials=2), tmp_path / "sweep", prepared.folder)
    assert not search.best.exists()


@pytest.mark.slow
def test_a_density_is_not_compared_with_a_mass(job, search, prepared, measured, tmp_path, monkeypatch):
    stand_in = module.measured

    def other(job, trial, *rest):
        return {**stand_in(job, trial, *rest), "measure": "density" if trial.number else "mass"}

    monkeypatch.setattr(module, "measured", other)
    rows = sweep(job, changed(search, trials=2), tmp_path / "sweep", prepared.folder)
    assert rows[1].note == "importance_bound is of a density here, and of a mass in trial 0: the two don't compare"


def test_another_sweep_is_refused_in_its_folder(job, search, prepared, measured, tmp_path):
    out = tmp_path / "sweep"
    sweep(job, changed(search, trials=1), out, prepared.folder)
    for what, given in {
        "search space": {"space": Space.parse(["train.batch=8,16"])},
        "--metric": {"metric": "elbo"},
        "--prune or --no-prune": {"prune": False},
    }.items():
        with pytest.raises(OutputError, match=f"a sweep with another {what}: name another folder"):
            sweep(job, changed(search, **given), out, prepared.folder)
    assert measured == [0]


def test_files_of_others_are_spared(job, search, prepared, measured, tmp_path):
    out, one = tmp_path / "sweep", changed(search, trials=1)
    out.mkdir()
    for left in (".sweep.db.new", ".sweep.db.new-journal"):  # by a process that was killed at its first step
        (out / left).write_bytes(b"half")
    with pytest.raises(OutputError, match="is the recipe itself"):
        sweep(job, changed(one, best=search.recipe), out, prepared.folder)
    search.best.write_text("mine")
    with pytest.raises(OutputError, match="this sweep didn't write it"):
        sweep(job, one, out, prepared.folder)
    assert search.best.read_text() == "mine" and measured == []
    assert not list(out.glob(".sweep.db*"))
    sweep(job, changed(one, force=True), out, prepared.folder)
    sweep(job, changed(search, trials=3), out, prepared.folder)  # its own file may change
    search.best.write_text(f"{search.best.read_text()}# a remark\n")
    with pytest.raises(OutputError, match="this sweep didn't write it"):
        sweep(job, changed(search, trials=5), out, prepared.folder)
    other = tmp_path / "papers"
    other.mkdir()
    (other / "thesis.txt").write_text("")
    with pytest.raises(OutputError, match=r"holds other files than a sweep's, such as thesis\.txt"):
        sweep(job, search, other)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    (out / "sweep.db").write_bytes(b"not a database")
    with pytest.raises(OutputError, match=r"sweep\.db isn't what `vae-pipeline sweep` wrote"):
        sweep(job, changed(search, force=True), out, prepared.folder)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("elbow", "there is no figure of that name; take one of elbo, "),
        ("rate", "neither higher nor lower is better"),
        ("auroc", "calibrates the detector and can't judge it too"),
        ("bleu", "it isn't measured of data of kind image"),
    ],
)
def test_a_figure_that_cannot_be_chosen_by(smoke, metric, message):
    with pytest.raises(RecipeError, match=f"--metric {metric}: .*{message}"):
        figure_of(metric, smoke)


@pytest.mark.slow
def test_a_signal_says_how_to_go_on(job, search, prepared, measured, tmp_path, monkeypatch):
    stand_in = module.measured

    def stopped(job, trial, *rest):
        if trial.number == 2:
            raise Stopped("SIGTERM")
        return stand_in(job, trial, *rest)

    monkeypatch.setattr(module, "measured", stopped)
    with pytest.raises(Interrupted, match="SIGTERM; 2 of 4 trials are done, and the same command goes on"):
        sweep(job, search, tmp_path / "sweep", prepared.folder)
    monkeypatch.setattr(module, "measured", stand_in)
    assert len(sweep(job, search, tmp_path / "sweep", prepared.folder)) == 4 and measured == [0, 1, 2, 3]


@pytest.mark.parametrize(("metric", "sign"), [("importance_bound", 1), ("distortion", -1)])
def test_a_trial_that_falls_behind_is_pruned(smoke, metric, sign):
    figure = figure_of(metric, smoke)
    study = optuna.create_study(direction="maximize" if sign > 0 else "minimize", pruner=pruner(early=2))
    for _ in range(5):
        trial = study.ask()
        for epoch in (1, 2, 3):
            trial.report(sign * -10.0 * epoch, epoch)
        study.tell(trial, 1.0)

    def epoch(number, elbo):
        return Epoch(number, 0.0, 0.0, -elbo, 0.0, 0, 0.0, None, 0.0, 1.0)

    watch = _watcher(study.ask(), figure, prune=True)
    watch(epoch(1, -30.0))  # it is early, and a trial may begin slowly
    watch(epoch(2, -9.0))
    behind = study.ask()
    watch = _watcher(behind, figure, prune=True)
    watch(epoch(1, -30.0))
    with pytest.raises(Pruned, match=r"validation ELBO -30\.00 by epoch 2: under the median"):
        watch(epoch(2, -30.0))
    with pytest.raises(Pruned):  # the process was killed, and goes on from the first epoch
        _watcher(Trial(study, behind._trial_id), figure, prune=True)(epoch(2, -30.0))
    _watcher(study.ask(), figure, prune=False)(epoch(2, -30.0))


def command(search, folder, *arguments, **environment):
    """A sweep of 4 trials in a process of its own."""
    env = {**os.environ, "VAE_HOME": str(folder / "home"), "VAE_MLFLOW_URI": "off", "VAE_THREADS": "1", **environment}
    words = ["sweep", search.recipe, *(word for text in SET for word in ("--set", text)), "--trials", "4"]
    words += ["--out", folder / "sweep", "--best", folder / "best.yaml", *arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "vae_pipeline", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


def table_of(folder):
    with (folder / "sweep" / "trials.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_killed_in_training_no_trial_is_lost_or_doubled(search, tmp_path):
    search.recipe.write_text(search.recipe.read_text().replace("epochs: 5", "epochs: 20"))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    first = command(search, whole, "--json")
    answer, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors
    found = json.loads(answer)
    assert (found["count"], found["error"], found["out"]) == (4, None, str(whole / "best.yaml"))
    kills = []
    for wanted in (0, 2):
        process = command(search, killed, VAE_CHECKPOINT_S="0.02")
        said = ""
        while f"trial {wanted}: epoch" not in said or not list(killed.glob("home/checkpoints/*/*.safetensors")):
            said += process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills.append(process.returncode)
    assert kills == [-signal.SIGKILL] * 2
    last = command(search, killed)
    output, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    assert "smoke trial 2: going on from step" in output and "trial 1:" not in output
    assert table_of(killed) == table_of(whole)
    assert [row["trial"] for row in table_of(killed)] == ["0", "1", "2", "3"]
    assert not list(killed.glob("home/checkpoints/*")) and not list(killed.glob("sweep/trials/*"))
    for name in ("history.png", "parameters.png"):
        assert (killed / "sweep" / name).read_bytes() == (whole / "sweep" / name).read_bytes()
        with Image.open(killed / "sweep" / name) as picture:
            assert min(picture.size) > 300
    best, other = ((folder / "best.yaml").read_text().splitlines()[4:] for folder in (killed, whole))
    assert best[1:] == other[1:]
    Recipe.load(killed / "best.yaml")


@pytest.mark.slow
def test_two_processes_take_turns_and_a_signal_says_how_to_go_on(search, tmp_path):
    search.recipe.write_text(search.recipe.read_text().replace("epochs: 5", "epochs: 200"))
    one = command(search, tmp_path, VAE_CHECKPOINT_S="0.05")
    while "trial 0: epoch" not in one.stdout.readline():
        assert one.poll() is None
    other = command(search, tmp_path)
    while "waiting for process" not in (line := other.stdout.readline()):
        assert other.poll() is None
    assert f"waiting for process {one.pid}, which sweeps into this folder" in line
    one.send_signal(signal.SIGINT)
    _, errors = one.communicate(timeout=60)
    assert one.returncode == 130
    assert "and the same command goes on from there" in errors and len(errors.splitlines()) == 1
    while "going on from step" not in other.stdout.readline():
        assert other.poll() is None
    other.send_signal(signal.SIGTERM)
    _, errors = other.communicate(timeout=60)
    assert other.returncode == 130 and "SIGTERM" in errors


@pytest.mark.slow
def test_a_figure_is_of_the_validation_part_and_the_best_recipe_gives_it_again(job, search, prepared, tmp_path):
    search = changed(search, metric="psnr", space=Space.parse(["train.learning_rate=0.02"]))
    (row,) = sweep(job, search, tmp_path / "sweep", prepared.folder)
    best = make_job("best", Recipe.load(search.best), tmp_path / "home")
    train(best, prepared.folder, tmp_path / "model")
    model = Trained.load(tmp_path / "model").model
    found = fidelity(model, prepared.valid, 0, prepare_device(best.settings))
    assert row.metric == pytest.approx(found.psnr, rel=1e-6)
    assert not list(tmp_path.glob("home/checkpoints/*"))


@pytest.mark.slow
def test_data_that_are_swept_are_prepared_once_for_each(job, search, tmp_path):
    space = Space.parse(["data.examples=320,480", "train.batch=16,32"])
    rows = sweep(job, changed(search, space=space), tmp_path / "sweep")
    assert len(rows) == 4 and {row.state for row in rows} == {"complete"}
    folders = [Prepared.open(folder) for folder in (tmp_path / "sweep" / "data").iterdir()]
    assert sorted(sum(map(len, (each.train, each.valid, each.test))) for each in folders) == [320, 480]


def test_without_a_validation_part(job, search, measured, tmp_path):
    recipe = edited(job.recipe, data={"valid": 0.0, "examples": 40}, train={"keep": "last"})
    search.recipe.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    with pytest.raises(DataError, match=r"has no validation part, by which a sweep chooses: set data\.valid"):
        sweep(replace(job, recipe=recipe), search, tmp_path / "sweep")
    assert measured == []
