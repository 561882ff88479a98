"""Private training: opacus's account, gradients that a loop of single rows gives, noise, and what is refused."""

import json
import re
import shutil
import signal
import sys
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from opacus.accountants import RDPAccountant
from pyarrow import parquet
from scipy import stats
from tests.lanes import Lane, alter, edited, make_job
from tests.tables import mixed_frame, table_recipe
from typer.testing import CliRunner

from vae_pipeline import VAESynthesizer
from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.card import model_card
from vae_pipeline.bundles.variants.shrink import shrink
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.synthetic_files import BESIDE, KEY
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.private import Private
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.privacy_entry import OUTSIDE
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import shown
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import BundleError, Interrupted, MissingError, RecipeError, SettingsError
from vae_pipeline.training.loop import Training
from vae_pipeline.training.objectives import elbo
from vae_pipeline.training.private.accountant import Mechanism
from vae_pipeline.training.private.batches import PoissonBatches
from vae_pipeline.training.private.gradient import ClippedGradient
from vae_pipeline.training.private.shares import begin_by_shares
from vae_pipeline.training.private.step import PrivateStep
from vae_pipeline.training.rate_control import RateControl
from vae_pipeline.training.trained import Trained

CPU = torch.device("cpu")
PLAIN = {"keep": "last", "patience": None, "clip": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def recipe(root, folder):
    """Three steps on a table of every kind of column, with an epsilon of 3."""
    mixed_frame().to_csv(folder / "rows.csv", index=False)
    found = table_recipe(root, folder / "rows.csv", cells=8, label=None, one_class=False, valid=0.1, test=0.1)
    values = found.model_dump(mode="json") | {"sampler": "prior", "detection": None}
    values["model"] |= {
        "prior": {"kind": "mixture", "components": 3},
        "likelihood": {"kind": "mixed", "scale": "learned_per_column", "numbers": "histogram", "missing": "modelled"},
    }
    values["evaluate"] |= {
        "waive": ["too_few_steps", "below_baseline", "no_active_units", "ignored_latents"],
        "samples": 2,
        "examples": 20,
    }
    values["train"] |= {**PLAIN, "epochs": None, "steps": 3, "batch": 16}
    values["train"]["private"] = {"epsilon": 3.0, "delta": 1e-3}
    return Recipe.model_validate(values)


@pytest.fixture(scope="module")
def lane(recipe, folder):
    """Prepared, trained and evaluated: what an export adds is asked of the bundle of another table."""
    job, lane = make_job("mine", recipe, folder / "home"), Lane.of(folder)
    prepare(job, lane.data)
    train(job, lane.data, lane.model)
    evaluate(job, lane.data, lane.model, lane.report)
    return lane


@pytest.fixture(scope="module")
def data(lane):
    return Prepared.open(lane.data)


def opacus_epsilon(start, noise, rate, steps, delta):
    """What opacus's own accountant says, told step by step."""
    accountant = RDPAccountant()
    accountant.step(noise_multiplier=start, sample_rate=1.0)
    for _ in range(steps):
        accountant.step(noise_multiplier=noise, sample_rate=rate)
    return accountant.get_epsilon(delta)


@pytest.mark.parametrize(
    ("epsilon", "delta", "rows", "batch", "steps"),
    [(1, 1e-5, 29_293, 2_048, 600), (10, 1e-6, 29_293, 512, 2_000), (2, 1e-3, 50, 64, 7)],
)
def test_epsilon_is_opacuss_and_the_noise_the_least_that_keeps_it(epsilon, delta, rows, batch, steps):
    mechanism = Mechanism(Private(epsilon=epsilon, delta=delta), rows, batch, steps)
    rate = min(1, batch / rows)
    spent = mechanism.spent(steps)
    told = opacus_epsilon(spent.start_multiplier, spent.noise_multiplier, rate, steps, delta)
    assert spent.epsilon == pytest.approx(told, rel=1e-12) and 0.999 * epsilon <= told <= epsilon
    assert opacus_epsilon(spent.start_multiplier, 0.99 * spent.noise_multiplier, rate, steps, delta) > epsilon
    assert 0.05 * epsilon < opacus_epsilon(spent.start_multiplier, 1e9, rate, 1, delta) < 0.5 * epsilon
    assert mechanism.spent(steps // 2).epsilon < spent.epsilon


def test_the_clipped_sum_is_that_of_a_loop_of_single_rows(recipe, data):
    numbers = {"mixed": "histogram", "heavy": "student_t"}
    for name, posterior in {"mixed": {"kind": "gaussian"}, "heavy": {"kind": "full_gaussian"}}.items():
        likelihood = recipe.model.likelihood.model_copy(update={"numbers": numbers[name]}).model_dump()
        model = build(
            edited(recipe, model={"posterior": {**posterior, "latents": 3}, "likelihood": likelihood}).model, data.spec
        )
        x, noise, control = torch.from_numpy(data.train.x[:12]), torch.randn(12, 3), RateControl(0.7)
        norms, rows = [], []
        for index in range(12):
            model.zero_grad()
            elbo(model.infer_by(x[index : index + 1], noise[index : index + 1]), control).backward()
            rows.append({key: parameter.grad.clone() for key, parameter in model.named_parameters()})
            norms.append(torch.stack([each.square().sum() for each in rows[-1].values()]).sum().sqrt().item())
        clip = float(np.median(norms))  # half of the rows are clipped
        total, loss, terms = ClippedGradient(model, elbo, control, clip)(x, noise)
        assert total.keys() == dict(model.named_parameters()).keys()
        for key, found in total.items():
            wanted = sum(row[key] * min(1.0, clip / norm) for row, norm in zip(rows, norms, strict=True))
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * clip)
        inference = model.infer_by(x, noise)
        assert loss.item() == pytest.approx(12 * elbo(inference, control).item(), rel=1e-5)
        assert terms.tolist() == pytest.approx(
            [each.sum().item() for each in (inference.distortion(), inference.rate())]
        )


@pytest.fixture
def step(recipe, data):
    training = Training.start(build(recipe.model, data.spec), recipe.train, recipe.rate_control)
    mechanism = Mechanism(Private(epsilon=3, delta=1e-3, clip=0.7), len(data.train), 16, 5)
    secret = np.random.default_rng(0)
    made = PrivateStep(
        training.model,
        training.optimizer,
        training.totals,
        elbo,
        training.control,
        mechanism,
        secret,
        lambda loss: None,
    )
    return training, mechanism, made


def test_a_batch_without_rows_moves_by_noise_of_the_told_deviation(step, data):
    training, mechanism, made = step
    batches = PoissonBatches(data.train, 16, 0, CPU, secret=np.random.default_rng(0))
    drawn = []
    for _ in range(4):
        loss = made(batches.of(0, torch.zeros(0, dtype=torch.long)), 0.0)
        drawn += [parameter.grad.flatten() for parameter in training.model.parameters()]
    assert loss.item() == 0
    normal = (torch.cat(drawn) * mechanism.expected / (mechanism.noise_multiplier * 0.7)).double().numpy()
    low, high = stats.chi2.ppf((1e-4, 1 - 1e-4), len(normal))  # a right deviation fails once in 5,000 seeds
    assert low < (normal**2).sum() < high and len(normal) > 20_000
    assert stats.kstest(normal, "norm").pvalue > 1e-4


def test_no_row_moves_the_sum_by_more_than_the_clip(step, data):
    training, _, made = step
    x, noise = torch.from_numpy(data.train.x[:20]), torch.randn(20, training.model.latents)
    kept = torch.arange(20) != 7
    whole, _, _ = made.gradient(x, noise)
    without, _, _ = made.gradient(x[kept], noise[kept])
    moved = torch.cat([(whole[name] - without[name]).flatten() for name in whole]).norm().item()
    assert moved == pytest.approx(0.7, rel=1e-4)  # its gradient was longer


def test_each_row_is_in_a_batch_by_itself(data):
    batches = PoissonBatches(data.train, 16, 0, CPU, secret=np.random.default_rng(1))
    counts = [batch.examples for number in range(30) for batch in batches.epoch(number)]
    assert len(counts) == 30 * len(batches) and batches.examples(10) == 160
    rate = 16 / len(data.train)
    wanted = stats.binom(len(data.train) * len(counts), rate)
    assert wanted.ppf(1e-4) < sum(counts) < wanted.ppf(1 - 1e-4)
    dispersion = np.var(counts) / (len(data.train) * rate * (1 - rate))
    assert 0.75 < dispersion < 1.3  # batches of one size would have none


class _Ones:
    """A generator whose noise is 1."""

    @staticmethod
    def standard_normal(count):
        return np.ones(count)


def test_the_start_is_the_shares_of_classes_and_cells_with_noise(recipe, data, folder):
    model = build(recipe.model, data.spec)
    begin_by_shares(model, data.train, 2.0, _Ones)
    likelihood = model.likelihood(model.decoder.output.bias[None, None])
    blocks = 8  # of cells amount, balance, when, fraud; country; new; gaps of balance and country
    names = [column.name for column in data.spec.columns]
    noise = 2.0 * np.sqrt(blocks)
    x = data.train.x[:]
    new = x[:, names.index("new")]
    assert likelihood.logits.item() == pytest.approx(
        np.log((new == 1).sum() + noise) - np.log((new == 0).sum() + noise), rel=1e-5
    )
    gaps = [names.index(name) for name in names if data.spec.columns[names.index(name)].missing]
    there = (~np.isnan(x[:, gaps])).sum(0)
    assert likelihood.presence[0].tolist() == pytest.approx(
        np.log((there + noise) / (len(x) - there + noise)), rel=1e-5
    )
    country = x[:, names.index("country")]
    counts = np.array([*(np.sum(country == code) + noise for code in range(3)), 0.5])
    shares = likelihood.log_probabilities[0].exp()[0].detach().numpy()
    assert shares == pytest.approx(counts / counts.sum(), rel=1e-5)


def test_training_promises_what_the_report_says(lane, data):
    told, rate = Trained.load(lane.model).privacy, 16 / len(data.train)
    assert told.steps == 3 and told.sample_rate == rate and 2.99 < told.epsilon <= 3
    assert told.epsilon == pytest.approx(opacus_epsilon(told.start_multiplier, told.noise_multiplier, rate, 3, 1e-3))
    metrics = json.loads((lane.report / "metrics.json").read_text())
    assert metrics["epsilon"] == told.epsilon and metrics["delta"] == 1e-3
    assert "Privacy spent" in (lane.report / "index.html").read_text()


def test_the_card_says_what_is_promised_and_what_is_not(lane, recipe, data):
    trained, metrics = Trained.load(lane.model), json.loads((lane.report / "metrics.json").read_text())
    words = ("mine", trained.recipe, recipe.export, data.spec, data.card, metrics, trained.weights_sha256)
    card = model_card(*words, privacy=trained.privacy)
    assert trained.privacy.promise in card and OUTSIDE in card and "## Privacy" in card
    assert "## Privacy" not in model_card(*words)


def test_no_real_row_is_shown_to_the_graphs_of_a_private_model(lane, data):
    trained = Trained.load(lane.model)
    rows = shown(trained, data, 0).x
    real = np.concatenate([part.x[:] for part in (data.train, data.valid, data.test)])
    assert len(rows) == parity.LARGEST
    assert not any(np.array_equal(row, other, equal_nan=True) for row in rows for other in real)
    test = {row.tobytes() for row in data.test.x[:]}
    public = shown(replace(trained, privacy=None), data, 0).x
    assert len(public) > 0 and all(row.tobytes() in test for row in public)


@pytest.fixture
def bundle(lane, table_lane, tmp_path):
    """The bundle of another table, with the promise of ours."""
    found = shutil.copytree(table_lane.bundle, tmp_path / "bundle")
    alter(found, lambda values: values.update(privacy=asdict(Trained.load(lane.model).privacy)))
    return found


def test_files_of_drawn_rows_say_what_was_promised(bundle, lane, tmp_path):
    told = Trained.load(lane.model).privacy
    assert Bundle.load(bundle).manifest.privacy == told
    for name in ("rows.csv", "rows.parquet"):
        result = CliRunner().invoke(app, ["sample", str(bundle), "-o", str(tmp_path / name), "--count", "5"])
        assert result.exit_code == 0, result.output
    beside = json.loads((tmp_path / f"rows.csv{BESIDE}").read_text())
    inside = json.loads(parquet.read_schema(tmp_path / "rows.parquet").metadata[KEY.encode()])
    assert beside["privacy"] == inside["privacy"] == told.told
    assert told.told["not_covered"] == OUTSIDE and f"exp({told.epsilon:.4g})" in told.told["promise"]


def test_int8_whose_ranges_are_of_real_rows_is_refused(bundle, table_lane):
    with pytest.raises(BundleError, match="int8 takes its ranges from training rows without noise: take fp16"):
        shrink(bundle, "int8", table_lane.data, bundle.parent / "out")


@pytest.mark.parametrize("change", [{"epsilon": -1.0}, {"delta": 1.0}, {"steps": 0}, {"noise_multiplier": 0.0}])
def test_a_promise_that_can_be_none_is_refused(change, bundle):
    alter(bundle, lambda values: values["privacy"].update(change))
    with pytest.raises(BundleError, match="privacy"):
        Bundle.load(bundle)


def test_a_run_that_was_killed_goes_on_with_its_noise_and_its_account(recipe, lane, data, tmp_path, monkeypatch):
    whole = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed=5: whole(seed))
    job = make_job("mine", recipe, tmp_path / "home")
    once = train(job, lane.data, tmp_path / "once")
    stopped = []

    def stop(epoch):
        if not stopped:
            stopped.append(epoch.epoch)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="at step 1 of 3"):
        train(job, lane.data, tmp_path / "twice", watch=stop)
    monkeypatch.setattr(np.random, "default_rng", lambda seed=6: whole(seed))  # a run of its own would have another
    twice = train(job, lane.data, tmp_path / "twice")
    assert twice.weights_sha256 == once.weights_sha256 != Trained.load(lane.model).weights_sha256
    assert Trained.load(tmp_path / "twice").privacy == Trained.load(tmp_path / "once").privacy
    assert not list((tmp_path / "home").glob("checkpoints/*/*"))  # with them the noise is forgotten


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"objective": {"kind": "trimmed", "share": 0.1}}, "objective.kind trimmed isn't a sum over rows"),
        ({"rate_control": {"kind": "target_rate", "nats": 3.0}}, "target_rate follows the mean of a batch"),
        ({"rate_control": {"kind": "free_bits", "nats": 0.1, "share": 0.1}}, "free_bits follows the mean of a batch"),
        ({"sampler": "mixture"}, "a sampler of kind mixture is fitted to training rows"),
        ({"sampler": "auto"}, "a sampler of kind auto is fitted to training rows"),
        (
            {"model": {"likelihood": {"kind": "mixed", "scale": "per_element", "shares": "matched"}}},
            "set model.likelihood.shares to decoded",
        ),
        ({"detection": {"score": "negative_elbo", "draws": 1, "collected": None}}, "set detection to null"),
        ({"data": {"dependent": True}}, "set data.dependent to false"),
        ({"train": {"keep": "best"}}, "set train.keep: last"),
        ({"train": {"patience": 3}}, "set train.keep: last"),
        ({"train": {"stop_on_alarm": True}}, "train.stop_on_alarm: false"),
        ({"train": {"clip": 1.0}}, "set train.clip and train.skip_threshold to null"),
        ({"train": {"accumulate": 2}}, "set train.accumulate: 1"),
        ({"train": {"precision": "bfloat16"}}, "set train.precision: float32"),
        ({"model": {"posterior": {"kind": "normalised_gaussian", "latents": 3, "spread": 0.5}}}, "mixes the rows"),
        ({"train": {"private": {"epsilon": 0}}}, "greater than 0"),
        ({"train": {"private": {"epsilon": 1, "delta": 0}}}, "greater than 0"),
        ({"train": {"private": {"epsilon": float("nan")}}}, "less than or equal to 100|greater than 0"),
    ],
)
def test_what_would_tell_of_rows_without_noise_is_refused(recipe, sections, told):
    values = recipe.model_dump(mode="json")
    for name, changes in sections.items():
        whole = name in ("objective", "rate_control", "sampler", "detection")
        values[name] = changes if whole else {**values[name], **changes}
    with pytest.raises(ValueError, match=told):
        Recipe.model_validate(values)


def test_images_are_refused(smoke):
    changed = {**PLAIN, "private": {"epsilon": 3.0}}
    with pytest.raises(ValueError, match="it is for rows of a table, and"):
        edited(smoke, train=changed)


def test_a_budget_that_no_noise_keeps_is_told_before_the_first_step(recipe, lane, tmp_path):
    with pytest.raises(RecipeError, match=r"delta is 0.01, and 300 training rows want less than 0.0033"):
        Mechanism.of(recipe.train.model_copy(update={"private": Private(epsilon=1, delta=0.01)}), 300, 5)
    with pytest.raises(RecipeError, match="no noise was found by which 5 steps keep an epsilon of"):
        Mechanism.of(recipe.train.model_copy(update={"private": Private(epsilon=0.05)}), 300, 5)
    job = make_job("mine", recipe, tmp_path / "home")
    with pytest.raises(RecipeError, match="nobody knows what the weights"):
        train(job, lane.data, tmp_path / "out", start=lane.model / "weights.safetensors")
    with pytest.raises(SettingsError, match="the steps of a recipe with train"):
        train(make_job("mine", recipe, tmp_path / "home", compile="on"), lane.data, tmp_path / "out")


def test_without_opacus_one_line_says_what_to_install(recipe, lane, tmp_path, monkeypatch):
    for name in ("opacus", "opacus.accountants"):
        monkeypatch.setitem(sys.modules, name, None)
    recipe = edited(recipe, train={"steps": 4})
    with pytest.raises(MissingError, match=r"pip install 'vae-pipeline\[private\]'"):
        train(make_job("mine", recipe, tmp_path / "home"), lane.data, tmp_path / "out")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_synthesizer_is_given_an_epsilon(recipe, tmp_path):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "b": ["x", "y"] * 30})
    made = VAESynthesizer(steps=4, epsilon=2, delta=1e-3, verbose=False).fit(frame)
    told = made.trained_.privacy
    assert 1.99 < told.epsilon <= 2 and told.delta == 1e-3 and told.steps == 4
    made.write(tmp_path / "rows.csv", 5)
    assert json.loads((tmp_path / f"rows.csv{BESIDE}").read_text())["privacy"] == told.told
    assert made.load(made.save(tmp_path / "kept")).trained_.privacy == told
    with pytest.raises(ValueError, match="with a recipe, which says itself how private training is"):
        VAESynthesizer(recipe, epsilon=2, verbose=False).fit(frame)
    frame.to_csv(tmp_path / "data.csv", index=False)
    words = ["synthesize", str(tmp_path / "data.csv"), "-o", str(tmp_path / "x.csv"), "--epsilon", "0"]
    assert re.search("--epsilon: input should be greater than 0", str(CliRunner().invoke(app, words).exception))
