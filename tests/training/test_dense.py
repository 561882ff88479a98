"""The written-out gradient of dense networks beside autograd's: the same bits."""

from itertools import islice

import pytest
import torch
from tests.lanes import edited

from vae_pipeline.models.build import build
from vae_pipeline.models.rows import Rows
from vae_pipeline.numerics.randomness import seeded
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.dense import dense_gradient
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.objectives import build_objective
from vae_pipeline.training.rate_control import Capacity, FreeBits, TargetRate, build_rate_control

GAUSSIAN = {"kind": "gaussian", "scale": "learned", "mean": "linear"}
STUDENT = {"kind": "student_t", "scale": "learned", "degrees": "learned", "mean": "linear"}
DISCRETISED = {"kind": "discretised_laplace", "scale": "learned", "mean": "linear"}
WARM_UP = {"kind": "warm_up", "beta": 0.7, "share": 0.5}


def made(recipe, prepared):
    """The model, its objective and its rate control, in the middle of a run."""
    with seeded(3):
        model = build(recipe.model, prepared.spec)
    control = build_rate_control(recipe.rate_control)
    control.advance(0.2)
    return model, build_objective(recipe.objective, len(prepared.train)), control


def nets(activation, layers=(24, 16), shortcut=False, **changes):
    dense = {"kind": "dense", "layers": list(layers), "activation": activation, "shortcut": shortcut}
    return {"encoder": dense, "decoder": dense, **changes}


MODELS = {
    "relu": nets("relu"),
    "tanh": nets("tanh"),
    "silu": nets("silu", likelihood=GAUSSIAN),
    "gelu": nets("gelu", likelihood=DISCRETISED),
    "gated": nets("gated", layers=(20,)),
    "relu by label": nets("relu", conditional=True),
    "silu by label": nets("silu", likelihood=GAUSSIAN, conditional=True),
    "tanh, shortcuts": nets("tanh", shortcut=True),
    "silu, shortcuts": nets("silu", shortcut=True, likelihood=GAUSSIAN),
    "gated, shortcuts": nets("gated", layers=(20,), shortcut=True),
    "shortcuts, by label": nets("silu", shortcut=True, conditional=True),
}


@pytest.mark.parametrize("count", [1, 48, 64])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_bits_are_autograd_s(smoke, prepared, model, count):
    recipe = edited(smoke, model=model, rate_control=WARM_UP)
    model, objective, control = made(recipe, prepared)
    with torch.no_grad():  # some log-variances beyond their bounds, where no gradient comes back
        model.posterior.log_variance.weight.mul_(400)
    x, target = (torch.from_numpy(prepared.train.x[start : start + count]) for start in (0, 100))
    label = torch.from_numpy(prepared.train.labels[:count]) if model.classes else None
    with seeded(4):
        inference = model(x, target, 1, label)
        loss = objective(inference, control)
        loss.backward()
    wanted = {name: parameter.grad for name, parameter in model.named_parameters()}
    beyond = inference.posterior.log_variance
    assert count == 1 or ((beyond == -14) | (beyond == 10)).any()
    model.zero_grad()
    written = dense_gradient(model, objective, control)
    for _ in range(2):  # nothing of a step before is left in the gradients
        with seeded(4):
            found, sums = written(Rows(x, label, target))
    assert torch.equal(found, loss)
    assert torch.equal(sums, torch.stack([inference.distortion().sum(), inference.rate().sum()]))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, wanted[name]), name


@pytest.mark.parametrize("train", [{"clip": 1.0}, {"clip": None, "skip_threshold": 2000.0}])
@pytest.mark.parametrize(
    "likelihood", [GAUSSIAN, STUDENT, DISCRETISED, {"kind": "bernoulli"}], ids=lambda of: of["kind"]
)
def test_the_weights_of_many_steps_are_autograd_s(smoke, prepared, monkeypatch, likelihood, train):
    recipe = edited(smoke, model=nets("silu", shortcut=True, likelihood=likelihood), train=train)

    def trained():
        batches = Batches(prepared.train, recipe.train.batch, 0, torch.device("cpu"), labelled=False)
        with seeded(5):
            training = Training.start(build(recipe.model, prepared.spec), recipe.train, recipe.rate_control)
            list(islice(fit(training, recipe.train, recipe.objective, batches, prepared.valid, 0), 20))
        return training.model.state_dict()

    written = trained()
    monkeypatch.setattr("vae_pipeline.training.step.dense_gradient", lambda *_: None)
    wanted = trained()
    for name, tensor in written.items():
        assert torch.equal(tensor, wanted[name]), name


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"posterior": {"kind": "full_gaussian", "latents": 2}}},
        {"model": {"prior": {"kind": "mixture", "components": 2}}},
        {"objective": {"kind": "trimmed", "share": 0.1}},
    ],
)
def test_another_model_or_loss_is_left_to_autograd(smoke, prepared, sections):
    assert dense_gradient(*made(edited(smoke, **sections), prepared)) is None


@pytest.mark.parametrize("control", [FreeBits(0.1, 0.5), Capacity(3.0, 2.0, 0.5), TargetRate(2.0)])
def test_a_rate_that_costs_otherwise_is_left_to_autograd(smoke, prepared, control):
    model, objective, _ = made(smoke, prepared)
    assert dense_gradient(model, objective, control) is None


def test_a_frozen_parameter_is_left_to_autograd(smoke, prepared):
    model, objective, control = made(smoke, prepared)
    assert dense_gradient(model, objective, control) is not None
    model.encoder.requires_grad_(False)
    assert dense_gradient(model, objective, control) is None
