"""Runs that begin with the weights of an AutoencoderKL of diffusers, of which they train the whole or the decoder."""

import itertools
from dataclasses import replace

import pytest
import torch
from tests.lanes import edited, make_job

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.build import build
from vae_pipeline.models.diffusers.weights import write
from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.stages.job import sections_of
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import WeightsError
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints, run_key
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.start import begin

CPU = torch.device("cpu")
NET = {"kind": "residual", "channels": [4, 4], "blocks": 1, "activation": "silu", "normalisation": "group"}
MODEL = {
    "encoder": NET,
    "decoder": NET,
    "posterior": {"kind": "spatial_gaussian", "channels": 2},
    "likelihood": {"kind": "gaussian", "scale": "learned", "mean": "linear"},
}
TRAIN = {"epochs": 1, "keep": "last", "ema": 0.9, "weight_decay": 0.1, "clip": 1.0}


@pytest.fixture(scope="module")
def some(prepared):
    """Few images: two steps an epoch."""
    rows = Split(prepared.train.x[:80], prepared.train.labels[:80])
    return replace(prepared, train=rows, valid=Split(prepared.valid.x[:16], prepared.valid.labels[:16]))


@pytest.fixture(scope="module")
def folder(smoke, some, tmp_path_factory):
    """Of another net than a fresh one."""
    recipe, folder = edited(smoke, model=MODEL), tmp_path_factory.mktemp("vae")
    torch.manual_seed(7)
    write(folder, build(recipe.model, some.spec), recipe.model, some.spec, 1.0)
    return folder


def recipe_of(smoke, folder, part) -> Recipe:
    start = {"kind": "diffusers", "folder": str(folder), "part": part}
    return edited(smoke, model=MODEL, train=TRAIN | {"start": start})


def started(recipe, prepared):
    torch.manual_seed(0)
    model = build(recipe.model, prepared.spec)
    begin(model, trained(recipe), prepared)
    return Training.start(model, recipe.train, recipe.rate_control)


def trained(recipe) -> TrainedRecipe:
    return sections_of(make_job("tiny", recipe, None))


def steps(training, recipe, prepared):
    return fit(training, recipe.train, recipe.objective, Batches(prepared.train, 64, 0, CPU), prepared.valid, 0)


def kept(before, after):
    """The first words of the names whose values are the same."""
    same = {name for name, values in before.items() if torch.equal(values, after[name])}
    return {name.partition(".")[0] for name in same}, {name.partition(".")[0] for name in after.keys() - same}


@pytest.mark.parametrize("part", ["whole", "decoder"])
def test_a_run_begins_there_and_leaves_alone_what_it_does_not_train(part, smoke, some, folder):
    recipe = recipe_of(smoke, folder, part)
    training = started(recipe, some)
    torch.manual_seed(7)
    wanted = build(recipe.model, some.spec)
    x = torch.from_numpy(some.test.x[:2])
    with torch.no_grad():
        torch.testing.assert_close(training.model.encode(x).mean, wanted.encode(x).mean)
        z = torch.randn(2, training.model.latents)
        torch.testing.assert_close(training.model.decode(z).mean, wanted.decode(z).mean)
    before = {name: values.clone() for name, values in training.model.state_dict().items()}
    list(steps(training, recipe, some))
    for model in (training.model, training.judged):
        same, changed = kept(before, model.state_dict())
        assert same == (set() if part == "whole" else {"encoder", "posterior"})
        assert changed >= {"decoder", "likelihood"} and (part == "whole") == ("encoder" in changed)


def test_a_decoder_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(smoke, some, folder, tmp_path):
    recipe = recipe_of(smoke, folder, "decoder")
    whole = started(recipe, some)
    list(steps(whole, recipe, some))
    first, checkpoints = started(recipe, some), Checkpoints(tmp_path, "key")
    for _ in itertools.islice(steps(first, recipe, some), 1):
        pass
    checkpoints.save(first)
    again = started(recipe, some)
    assert checkpoints.restore(again) == [] and again.step == 1
    list(steps(again, recipe, some))
    for name, values in whole.judged.state_dict().items():
        assert torch.equal(again.judged.state_dict()[name], values), name


def test_other_weights_in_the_folder_are_another_run(smoke, some, folder, tmp_path):
    recipe = recipe_of(smoke, tmp_path, "whole")
    keys = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        write(tmp_path, build(recipe.model, some.spec), recipe.model, some.spec, 1.0)
        keys.add(run_key(trained(recipe), "data", CPU))
    keys.add(run_key(trained(recipe_of(smoke, folder, "whole")), "data", CPU))
    assert len(keys) == 3


def test_fresh_weights_are_not_stored_as_a_start(smoke):
    assert "start" not in trained(smoke).model_dump(mode="json")["train"]


def test_a_folder_that_is_not_there_is_refused_before_anything_is_made(smoke, prepared, tmp_path):
    job = make_job("tiny", recipe_of(smoke, tmp_path / "none", "whole"), tmp_path / "home")
    with pytest.raises(WeightsError, match="isn't there: name a folder that AutoencoderKL"):
        train(job, prepared.folder, tmp_path / "model")
    assert not (tmp_path / "model").exists() and not (tmp_path / "home").exists()
