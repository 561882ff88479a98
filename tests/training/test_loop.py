import itertools

import numpy as np
import pytest
import torch
from tests.lanes import edited, make_job
from tests.tables import mixed_frame, table_recipe

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.recipe.objective import TargetDistortionControl, TargetRateControl
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.system.errors import TrainingError
from vae_pipeline.system.locking import free, held
from vae_pipeline.system.tracking.journal import running
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints, run_key
from vae_pipeline.training.length import Length
from vae_pipeline.training.loop import Training, fit

CPU = torch.device("cpu")


def start(recipe, prepared):
    torch.manual_seed(0)
    return Training.start(build(recipe.model, prepared.spec), recipe.train, recipe.rate_control)


def steps(training, recipe, prepared):
    batches = Batches(prepared.train, recipe.train.batch, 0, CPU)
    return fit(training, recipe.train, recipe.objective, batches, prepared.valid, 0)


def run(recipe, prepared):
    training = start(recipe, prepared)
    progress = list(steps(training, recipe, prepared))
    return training, progress


def same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.fixture(scope="module")
def short(smoke):
    """Two epochs of seven batches, with everything that has a state switched on."""
    return edited(smoke, train={"epochs": 2, "schedule": "one_cycle", "clip": 10.0, "patience": 5})


@pytest.fixture(scope="module")
def whole(short, prepared):
    return run(short, prepared)


def test_every_step_is_yielded_and_every_epoch_ends_once(whole, prepared, short):
    training, progress = whole
    per_epoch = -(-len(prepared.train) // short.train.batch)
    assert [step.step for step in progress] == list(range(1, 2 * per_epoch + 1))
    assert [step.epoch.epoch for step in progress if step.epoch] == [1, 2]
    assert sum(step.examples for step in progress) == 2 * len(prepared.train)
    assert training.history == [step.epoch for step in progress if step.epoch]


@pytest.mark.parametrize(
    ("steps", "a_pass", "epoch", "epochs"),
    [
        (5_000, 5, 50, 100),  # 300 images: 1,000 passes, each too short for a validation of its own
        (5_000, 98, 98, 52),  # 6,300: the last epoch is cut
        (5_000, 844, 250, 20),  # 54,000: six passes
        (5_000, 10**6, 250, 20),
        (3, 7, 1, 3),
    ],
)
def test_a_run_by_steps_is_validated_20_to_100_times(smoke, steps, a_pass, epoch, epochs):
    length = Length.of(edited(smoke, train={"epochs": None, "steps": steps}).train, a_pass)
    assert (length.steps, length.epoch, length.epochs) == (steps, epoch, epochs)
    assert Length.of(smoke.train, a_pass) == Length(5 * a_pass, a_pass)


def test_a_run_by_steps_ends_at_its_step_and_goes_on_from_a_checkpoint(smoke, prepared, tmp_path):
    recipe = edited(smoke, train={"epochs": None, "steps": 44, "schedule": "one_cycle"})
    training, progress = run(recipe, prepared)
    assert [step.step for step in progress if step.epoch] == [*range(3, 43, 3), 44]
    first = start(recipe, prepared)
    for _ in itertools.islice(steps(first, recipe, prepared), 8):  # within an epoch, in the second pass
        pass
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(first)
    second = start(recipe, prepared)
    checkpoints.restore(second)
    for _ in steps(second, recipe, prepared):
        pass
    assert second.history == training.history


def test_an_epoch_across_passes_has_the_mean_over_its_examples(smoke, prepared):
    recipe = edited(smoke, train={"epochs": None, "steps": 42})
    by_steps, progress = run(recipe, prepared)
    by_epochs, _ = run(edited(smoke, train={"epochs": 6}), prepared)
    examples = [sum(step.examples for step in progress[at : at + 3]) for at in range(0, 42, 3)]
    assert sum(examples) == 6 * len(prepared.train)
    threes = np.dot(examples, [epoch.train_distortion for epoch in by_steps.history])
    passes = len(prepared.train) * sum(epoch.train_distortion for epoch in by_epochs.history)
    assert threes == pytest.approx(passes, rel=1e-12)
    assert by_steps.history[-1].valid_elbo == by_epochs.history[-1].valid_elbo  # the same weights


@pytest.mark.parametrize(
    ("control", "raises"),
    [
        (TargetRateControl(kind="target_rate", nats=500.0), False),
        (TargetRateControl(kind="target_rate", nats=0.01), True),
        (TargetDistortionControl(kind="target_distortion", nats=-1e4, psnr=None), False),
        (TargetDistortionControl(kind="target_distortion", nats=1e4, psnr=None), True),
    ],
)
@pytest.mark.parametrize("kind", ["table", "sentences"])
def test_tables_and_sentences_are_steered_by_what_they_have(kind, control, raises, root, tmp_path):
    if kind == "table":
        mixed_frame().to_csv(tmp_path / "rows.csv", index=False)
        recipe = table_recipe(root, tmp_path / "rows.csv")
    else:
        recipe = edited(Recipe.load(root / "pipeline" / "sentences.yaml"), data={"examples": 100})
    prepare(make_job(kind, recipe, tmp_path / "home"), tmp_path / "data")
    data = Prepared.open(tmp_path / "data")
    train = edited(recipe, train={"epochs": None, "steps": 5, "batch": 32, "keep": "last"}).train
    training = Training.start(build(recipe.model, data.spec), train, control)
    batches = Batches(data.train, 32, 0, CPU, labelled=False)
    for _ in fit(training, train, recipe.objective, batches, data.valid, 0):
        pass
    assert (training.control.beta.item() > 1) is raises


def test_training_learns(smoke, prepared):
    training, _ = run(smoke, prepared)
    elbos = [epoch.valid_elbo for epoch in training.history]
    assert elbos == sorted(elbos)
    assert elbos[-1] > elbos[0] + 5


@pytest.mark.parametrize("stop", [1, 6, 7, 8, 13])
def test_a_run_taken_up_at_any_step_ends_with_the_same_bits(stop, whole, short, prepared, tmp_path):
    first = start(short, prepared)
    for _ in itertools.islice(steps(first, short, prepared), stop):
        pass
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(first)

    torch.manual_seed(99)  # another process starts with another state of the generator
    second = start(short, prepared)
    assert checkpoints.restore(second) == []
    assert second.step == stop
    list(steps(second, short, prepared))
    same(second.model.state_dict(), whole[0].model.state_dict())
    same(second.best, whole[0].best)
    assert second.history == whole[0].history
    assert second.best_epoch == whole[0].best_epoch


def test_early_stopping_waits_for_its_patience(smoke, prepared):
    recipe = edited(smoke, train={"epochs": 50, "learning_rate": 1e-12, "patience": 2})
    training, progress = run(recipe, prepared)
    # With nothing learnt no epoch is better than the first, but for rounding.
    assert training.stopped
    assert len(training.history) == training.best_epoch + 2 < 50
    assert progress[-1].step < progress[-1].steps


def test_best_weights_are_those_of_the_best_epoch(smoke, prepared):
    recipe = edited(smoke, train={"epochs": 6, "learning_rate": 0.2, "clip": None})
    training = start(recipe, prepared)
    kept = {}
    for step in steps(training, recipe, prepared):
        if step.epoch:
            kept[step.epoch.epoch] = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    elbos = [epoch.valid_elbo for epoch in training.history]
    assert training.best_epoch == int(np.argmax(elbos)) + 1 < 6
    same(training.weights(recipe.train), kept[training.best_epoch])
    assert not torch.equal(training.best["decoder.output.bias"], training.model.state_dict()["decoder.output.bias"])
    last = edited(smoke, train={"keep": "last"}).train
    same(training.weights(last), training.model.state_dict())


def test_without_a_validation_part(smoke, prepared):
    recipe = edited(smoke, data={"valid": 0.0}, train={"keep": "last", "epochs": 1})
    training = start(recipe, prepared)
    empty = Split(prepared.valid.x[:0], None)
    batches = Batches(prepared.train, 64, 0, CPU)
    list(fit(training, recipe.train, recipe.objective, batches, empty, 0))
    assert training.history[0].valid_elbo is None
    assert "valid_elbo" not in training.history[0].figures()


def test_a_loss_that_is_not_finite_names_step_batch_and_parameter(smoke, prepared):
    training = start(smoke, prepared)
    progress = steps(training, smoke, prepared)
    for _ in itertools.islice(progress, 8):
        pass
    with torch.no_grad():
        training.model.decoder.output.bias[3] = float("nan")
    with pytest.raises(TrainingError, match=r"nan at step 9 \(epoch 2, batch 2 of 7\).*decoder\.output\.bias"):
        next(progress)


def test_a_divergent_run_is_stopped(smoke, prepared):
    recipe = edited(smoke, train={"learning_rate": 1e30, "epochs": 5})
    with pytest.raises(TrainingError, match=r"lower train\.learning_rate"):
        run(recipe, prepared)


def spiked(prepared, monkeypatch, at):
    """Plant a gradient of a million times its size at some steps."""
    from vae_pipeline.training import loop

    made = []

    class Spiked(loop.Step):
        def _part(self, part, last):
            made.append(part)
            found = super()._part(part, last)
            if len(made) in at:
                for parameter in self.optimizer.parameters:
                    parameter.grad.mul_(1e6)
            return found

    monkeypatch.setattr(loop, "Step", Spiked)


def test_a_step_whose_gradient_is_a_spike_is_skipped_and_counted(smoke, prepared, monkeypatch, tmp_path):
    """The weights stay those of the step before, to the last bit, and a run taken up again counts alike."""
    recipe = edited(smoke, train={"epochs": 2, "skip_threshold": 1e6, "ema": 0.9})
    spiked(prepared, monkeypatch, {3, 5})
    training = start(recipe, prepared)
    loop, weights = steps(training, recipe, prepared), []
    for step in loop:
        weights.append({name: value.clone() for name, value in training.model.state_dict().items()})
        if step.step == 4:
            Checkpoints(tmp_path, "key").save(training)
        if step.step == 6:
            break
    same(weights[2], weights[1])
    same(weights[4], weights[3])
    assert not torch.equal(*(next(iter(each.values())) for each in (weights[5], weights[4])))
    assert training.skipped == 2
    again = start(recipe, prepared)
    assert Checkpoints(tmp_path, "key").restore(again) == []
    assert again.skipped == 1 and again.optimizer.state()[-1] == 3  # Adam has made three steps
    spiked(prepared, monkeypatch, {1})
    history = [step.epoch for step in steps(again, recipe, prepared) if step.epoch]
    assert [epoch.skipped_steps for epoch in history] == [2, 0]
    assert history[0].figures()["skipped_steps"] == 2


def test_an_epoch_of_nothing_but_skipped_steps_is_an_error(smoke, prepared):
    recipe = edited(smoke, train={"skip_threshold": 1e-6})
    with pytest.raises(TrainingError, match=r"all 7 steps up to step 7 were skipped, .* train\.skip_threshold 1e-06"):
        run(recipe, prepared)


def test_clipping_bounds_the_gradient(smoke, prepared):
    recipe = edited(smoke, train={"clip": 1e-3, "epochs": 1})
    training = start(recipe, prepared)
    for _ in steps(training, recipe, prepared):
        norm = torch.stack([p.grad.norm() for p in training.model.parameters()]).norm()
        assert norm <= 1e-3 * 1.001


def test_batches_are_a_permutation_of_their_own_each_epoch(prepared):
    batches = Batches(prepared.train, 64, 0, CPU)
    wanted = np.sort(prepared.train.x[:].reshape(len(prepared.train), -1), axis=0)
    orders = []
    for number in (0, 1):
        images = torch.cat([batch.parts[0].rows.x for batch in batches.epoch(number)]).numpy()
        orders.append(images)
        np.testing.assert_array_equal(np.sort(images.reshape(len(images), -1), axis=0), wanted)
    assert not np.array_equal(*orders)
    tail = torch.cat([batch.parts[0].rows.x for batch in batches.epoch(1, start=3)]).numpy()
    np.testing.assert_array_equal(tail, orders[1][3 * 64 :])


def test_labels_go_with_their_images(prepared):
    for batch in Batches(prepared.train, 64, 0, CPU).epoch(0):
        images, labels = batch.parts[0].rows.x, batch.parts[0].rows.label
        lying = (images == images[:, :, :, :1]).all(-1).all(-1).squeeze(1)
        assert torch.equal(lying.long(), labels)


def trained(recipe, seed=0):
    sections = {name: getattr(recipe, name) for name in ("model", "objective", "rate_control", "train", "sampler")}
    return TrainedRecipe(about="", seed=seed, **sections)


def test_another_run_has_another_key(smoke):
    key = run_key(trained(smoke), "data", CPU)
    assert run_key(trained(smoke), "data", CPU) == key
    others = [
        run_key(trained(smoke, seed=1), "data", CPU),
        run_key(trained(smoke), "other data", CPU),
        run_key(trained(edited(smoke, train={"epochs": 6})), "data", CPU),
        run_key(trained(edited(smoke, rate_control={"beta": 2.0})), "data", CPU),
        run_key(trained(edited(smoke, model={"posterior": {"kind": "gaussian", "latents": 3}})), "data", CPU),
    ]
    assert len({key, *others}) == 6
    assert run_key(trained(edited(smoke, evaluate={"samples": 7})), "data", CPU) == key


class TestCheckpoints:
    @pytest.fixture
    def saved(self, short, prepared, tmp_path):
        training = start(short, prepared)
        checkpoints = Checkpoints(tmp_path, "key")
        for step in itertools.islice(steps(training, short, prepared), 4):
            if step.step > 1:
                checkpoints.save(training)
        return checkpoints

    def files(self, checkpoints):
        return sorted(checkpoints.folder.iterdir())

    def test_the_two_newest_are_kept(self, saved):
        assert [path.name for path in self.files(saved)] == ["0000000003.safetensors", "0000000004.safetensors"]

    @pytest.mark.parametrize("damage", ["truncate", "empty", "flip", "foreign", "pickle"])
    def test_a_corrupt_newest_falls_back_to_the_one_before(self, damage, saved, short, prepared):
        newest = self.files(saved)[-1]
        content = newest.read_bytes()
        if damage == "truncate":
            newest.write_bytes(content[: len(content) // 2])
        elif damage == "empty":
            newest.write_bytes(b"")
        elif damage == "flip":
            newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif damage == "foreign":
            newest.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
        else:
            torch.save({"step": 4}, newest)
        training = start(short, prepared)
        problems = saved.restore(training)
        assert training.step == 3
        assert len(problems) == 1
        assert problems[0].startswith(newest.name)

    def test_without_any_the_run_starts_afresh(self, short, prepared, tmp_path):
        training = start(short, prepared)
        assert Checkpoints(tmp_path, "none").restore(training) == []
        assert training.step == 0

    def test_they_go_when_the_run_is_complete(self, saved):
        saved.remove()
        assert not saved.folder.exists()

    def test_one_of_another_shape_is_passed_over(self, saved, short, prepared):
        wider = edited(short, model={"encoder": {"kind": "dense", "layers": [32], "activation": "relu"}})
        training = start(wider, prepared)
        before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
        problems = saved.restore(training)
        assert len(problems) == 2 and "encoder.layers.0.bias is (64,)" in problems[0]
        assert training.step == 0
        same(training.model.state_dict(), before)


def test_changed_code_is_another_run(smoke, monkeypatch):
    key = run_key(trained(smoke), "data", CPU)
    monkeypatch.setattr("vae_pipeline.training.checkpoint.SOURCES", ("training/objectives.py",))
    assert run_key(trained(smoke), "data", CPU) != key


def test_runs_of_one_key_wait_for_each_other(tmp_path):
    one, other = running(tmp_path, "k"), running(tmp_path, "other")
    with held(one, "trains this run", pytest.fail), free(one) as it_is_free, free(other) as the_other_is:
        assert (it_is_free, the_other_is) == (False, True)
    with free(one) as it_is_free:
        assert it_is_free
