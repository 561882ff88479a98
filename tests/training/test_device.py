"""A GPU's kernels and its step, on a machine without one.

What would wait for a GPU, or mix it with the CPU, fails on torch's device `meta`, whose tensors have a shape and no
values.
"""

import itertools
from types import SimpleNamespace

import pytest
import torch
from pydantic import TypeAdapter
from tests.contracts import test_models as contracts
from tests.lanes import edited
from tests.models import test_autoregressive as texts
from tests.models import test_columns as tables
from torch.distributed import HashStore

from vae_pipeline.models.build import build
from vae_pipeline.models.rows import Rows
from vae_pipeline.numerics.device import Kernels, rounding_to_tf32
from vae_pipeline.numerics.randomness import Share
from vae_pipeline.recipe.objective import Objective, RateControl
from vae_pipeline.system.errors import no_such_kernel
from vae_pipeline.system.settings import Settings
from vae_pipeline.training import processes
from vae_pipeline.training.batches import Batch, BatchPart
from vae_pipeline.training.loop import Training
from vae_pipeline.training.objectives import build_objective, samples_of
from vae_pipeline.training.step import Execution, Step

META = torch.device("meta")
SHAPE = (1, 8, 8)
OBJECTIVES = [
    {"kind": "elbo"},
    {"kind": "trimmed", "share": 0.2},
    {"kind": "importance_weighted", "samples": 3, "doubly_reparameterised": True},
    {"kind": "mmd", "weight": 10},
    {"kind": "total_correlation", "weight": 4},
]
RATE_CONTROLS = [
    {"kind": "warm_up", "beta": 1.0, "share": 0.1},
    {"kind": "cyclical", "beta": 1.0, "cycles": 2, "share": 0.5},
    {"kind": "free_bits", "nats": 0.2, "share": 0.1},
    {"kind": "capacity", "nats": 5, "weight": 2, "share": 0.5},
    {"kind": "target_rate", "nats": 5},
    {"kind": "target_distortion", "nats": None, "psnr": 20},
]


@pytest.fixture
def captured(monkeypatch):
    """While a CUDA graph is captured, shapes can't depend on values."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    updated = []

    def update(parameters, gradients, means, squares, *_, **__):  # the fused kernel has no shapes alone
        assert {each.device for each in itertools.chain(parameters, gradients, means, squares)} == {META}
        updated.append(len(parameters))

    monkeypatch.setattr(torch, "_fused_adamw_", update)
    return updated


def takes_a_step(updated, model, recipe, x, label=None, objective=OBJECTIVES[0], control=None):
    objective = TypeAdapter(Objective).validate_python(objective)
    control = TypeAdapter(RateControl).validate_python(control or {"kind": "constant", "beta": 1.0})
    training = Training.start(model.to(META), recipe.train, control)
    step = Step(
        training.model, training.optimizer, training.totals, build_objective(objective, 100), samples_of(objective),
        training.control, recipe.train, Execution(), lambda _: None, training.skipped,
    )  # fmt: skip
    model.train()
    rows = Rows(x.to(META), None if label is None else label.to(META))
    loss = step(Batch([BatchPart(rows, Share(0, 1, len(x)), 1.0)], len(x)), 1e-3)
    assert loss.shape == () and loss.device == META
    assert updated == [len(list(model.parameters()))]
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.fixture(scope="module")
def careful(smoke):
    return edited(smoke, train={"clip": 10.0, "skip_threshold": 100.0})


@pytest.mark.parametrize("case", [*contracts.CASES[::5], *contracts.MAP_CASES], ids=str)
def test_a_step_on_images_never_waits_for_the_device(case, captured, careful):
    if case in contracts.MAP_CASES:
        net, posterior, prior, conditional, shape = case
        case = (net, net, "gaussian_learned", conditional, shape, posterior, prior)
    x, labels = contracts.batch(case[4])
    takes_a_step(captured, contracts.make(*case), careful, x, labels if case[3] else None)


@pytest.mark.parametrize("case", contracts.LATENT_CASES, ids=str)
def test_nor_does_one_of_any_posterior_and_prior(case, captured, careful):
    takes_a_step(captured, contracts.make("dense", "dense", "bernoulli", False, SHAPE, *case), careful,
                 contracts.batch(SHAPE)[0])  # fmt: skip


@pytest.mark.parametrize("levels", contracts.LADDERS)
def test_nor_does_one_of_a_ladder(levels, captured, careful):
    x, labels = contracts.batch(SHAPE)
    takes_a_step(captured, contracts.ladder(levels, "bernoulli", True, SHAPE), careful, x, labels)


@pytest.mark.parametrize("case", contracts.SOUND_CASES, ids=str)
def test_nor_does_one_on_sound(case, captured, careful):
    x, label = torch.randn(5, 2, 100), torch.arange(5) % 3
    takes_a_step(captured, contracts.heard(*case), careful, x, label if case[3] else None)


@pytest.mark.parametrize(("cell", "output"), [*itertools.product(["lstm", "gru"], texts.OUTPUTS)])
def test_nor_does_one_on_text(cell, output, captured, careful):
    takes_a_step(captured, texts.make(cell, output), careful, texts.rows([[3, 4], [5], [6, 7, 8]]))


@pytest.mark.parametrize("numbers", ["gaussian", "student_t"])
def test_nor_does_one_on_a_table(numbers, captured, careful):
    likelihood = {"kind": "mixed", "scale": "learned_per_column", "numbers": numbers, "missing": "modelled"}
    model = build(tables.model(likelihood=likelihood), tables.SPEC)
    takes_a_step(captured, model, careful, torch.from_numpy(tables.ROWS))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: each["kind"])
def test_nor_does_any_objective(objective, captured, careful):
    model = contracts.make("dense", "dense", "bernoulli", False, SHAPE)
    takes_a_step(captured, model, careful, contracts.batch(SHAPE)[0], objective=objective)


@pytest.mark.parametrize("control", RATE_CONTROLS, ids=lambda each: each["kind"])
def test_nor_does_any_rate_control(control, captured, careful):
    model = contracts.make("dense", "dense", "bernoulli", False, SHAPE)
    takes_a_step(captured, model, careful, contracts.batch(SHAPE)[0], control=control)


def test_a_step_that_waits_is_told(captured, careful):
    model = contracts.make("dense", "dense", "bernoulli", False, SHAPE)
    model.encoder.register_forward_hook(lambda _, __, output: output * output.sum().item())
    with pytest.raises(RuntimeError, match="item"):
        takes_a_step(captured, model, careful, contracts.batch(SHAPE)[0])


@pytest.fixture
def kernels():
    """The kernels in use, as they were afterwards too."""
    before = Kernels.now()
    yield before
    before.use()


@pytest.mark.parametrize(
    ("wanted", "mode", "tuned"), [("auto", "warn", False), ("on", "error", False), ("off", "default", True)]
)
def test_the_setting_chooses_kernels(wanted, mode, tuned, kernels):
    chosen = Kernels.of(Settings(deterministic=wanted))
    chosen.use()
    assert Kernels.now() == chosen != kernels
    assert torch.get_deterministic_debug_mode() == {"default": 0, "warn": 1, "error": 2}[mode]
    assert torch.backends.cudnn.benchmark is tuned
    assert not torch.backends.cudnn.allow_tf32, "float32 is float32"


def test_a_kernel_that_is_not_deterministic_is_named(kernels):
    Kernels.of(Settings(deterministic="on")).use()
    with pytest.raises(RuntimeError) as refused:
        torch.zeros(3).put_(torch.tensor([1]), torch.ones(1))
    said = no_such_kernel(refused.value)
    assert said is not None and said.startswith("VAE_DETERMINISTIC=on: torch has no deterministic kernel of put_ on")
    assert no_such_kernel(RuntimeError("CUDA error")) is None


def test_the_kernels_of_a_program_that_set_the_precision_of_each_operator_are_kept(kernels):
    conv, rnn = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = conv.fp32_precision, rnn.fp32_precision
    try:
        conv.fp32_precision = rnn.fp32_precision = "ieee"
        with pytest.raises(RuntimeError):
            assert torch.backends.cudnn.allow_tf32 is None
        assert not Kernels.now().tf32
    finally:
        conv.fp32_precision, rnn.fp32_precision = before


def test_tf32_ends_with_its_block(kernels):
    with pytest.raises(ZeroDivisionError), rounding_to_tf32():
        assert torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32
        raise ZeroDivisionError
    assert Kernels.now() == kernels and not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("cards", "backend"), [("ab", "cpu:gloo,cuda:nccl"), ("aa", "cpu:gloo,cuda:gloo")])
def test_processes_on_one_card_exchange_by_gloo(cards, backend, monkeypatch):
    store, others = HashStore(), []
    store.set("card/1", cards[1])
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: others.append(device) or SimpleNamespace(uuid=cards[0])
    )
    assert processes._backend(torch.device("cuda", 0), store, 0, 2) == backend
    assert others == [torch.device("cuda", 0)] and processes._backend(torch.device("cpu"), store, 0, 2) == "gloo"
