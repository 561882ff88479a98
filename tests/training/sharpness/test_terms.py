"""The terms beside the ELBO: their values, their gradients, and a run that is taken up again."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from tests.contracts.test_models import RECORDINGS, WAVEFORM, heard
from tests.lanes import edited

from vae_pipeline.models.build import build
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.recipe.sharpness import Adversarial
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.sharpness.adversary import Adversary
from vae_pipeline.training.sharpness.balance import MOST, balanced
from vae_pipeline.training.sharpness.discriminator import PatchDiscriminator, hinge
from vae_pipeline.training.sharpness.distance import LEAST, PerceptualDistance
from vae_pipeline.training.sharpness.features import MapClassifier
from vae_pipeline.training.sharpness.sharpener import Sharpener
from vae_pipeline.training.sharpness.waveforms import WaveformDistance

CPU = torch.device("cpu")
SHAPE = (1, 12, 12)
PERCEPTUAL = {"weight": 0.8, "features": "trained"}
ADVERSARIAL = {"weight": 0.5, "start": 0.3, "learning_rate": 0.001, "channels": [8, 16], "samples": True}


def sharp(recipe, perceptual=PERCEPTUAL, adversarial=ADVERSARIAL, **train):
    sharpness = {"perceptual": perceptual, "adversarial": adversarial}
    return edited(recipe, train={"keep": "last", "sharpness": sharpness, **train})


def begin(recipe, prepared, seed=0):
    """A run whose perceptual features are those of a network with fresh weights."""
    torch.manual_seed(seed)
    model = build(recipe.model, prepared.spec)
    features = MapClassifier(Scaling(0, 1), SHAPE, 4).requires_grad_(False)
    discriminator = PatchDiscriminator(SHAPE, ADVERSARIAL["channels"])
    training = Training.start(model, recipe.train, recipe.rate_control)
    wanted = recipe.train.sharpness
    training.sharpener = Sharpener(
        None if wanted.perceptual is None else (PerceptualDistance(features), wanted.perceptual.weight),
        None if wanted.adversarial is None else Adversary(wanted.adversarial, discriminator, 0.003),
        CPU,
    )
    batches = Batches(prepared.train, recipe.train.batch, seed, CPU, recipe.train.accumulate)
    return training, fit(training, recipe.train, recipe.objective, batches, prepared.valid, seed)


def test_the_spectral_distance_pulls_on_waveforms_as_hard_as_it_is_told():
    model = heard(WAVEFORM, "residual_1d", "gaussian_learned", False)
    inference = model(0.3 * torch.randn(5, *RECORDINGS.event_shape).clamp(-3, 3))
    sharpener = Sharpener((WaveformDistance(RECORDINGS.length), 0.5), None, CPU)
    pull = sharpener.pull(model, inference, None)
    lengths = [
        torch.autograd.grad(term, inference.output, retain_graph=True)[0].norm()
        for term in (pull, inference.distortion()[0].mean())
    ]
    assert float(lengths[0] / lengths[1]) == pytest.approx(0.5, rel=1e-4)
    assert sharpener.figures().perceptual > 0


def test_the_distance_is_its_definition():
    draw = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, 5, 4, 4, generator=draw).double().unbind()

    def features(x):
        return [x, x[:, :2, ::2, ::2]]

    def unit(x):
        return x / np.sqrt((x**2).sum(1, keepdims=True) + LEAST)

    pairs = zip(features(first.numpy()), features(second.numpy()), strict=True)
    wanted = sum(((unit(a) - unit(b)) ** 2).sum(1).mean() for a, b in pairs)
    distance = PerceptualDistance(features)
    assert distance(first, second).item() == pytest.approx(wanted, rel=1e-12)
    assert distance(first, first).item() == 0
    assert distance(second, first).item() == pytest.approx(wanted, rel=1e-12)


def test_features_that_are_nought_have_a_gradient():
    images = torch.zeros(2, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(PerceptualDistance(lambda x: [x])(images, torch.ones(2, 1, 4, 4)), images)
    assert gradient.isfinite().all() and gradient.any()


@pytest.mark.parametrize(
    ("real", "made", "wanted"), [(0.0, 0.0, 2.0), (1.0, -1.0, 0.0), (5.0, -5.0, 0.0), (-1.0, 1.0, 4.0)]
)
def test_the_hinge_loss_of_scores(real, made, wanted):
    assert hinge(torch.full((2, 1, 3, 3), real), torch.full((4, 1, 3, 3), made)).item() == wanted


def test_a_discriminator_learns_to_tell_images_from_copies_that_are_a_little_blurred():
    """Of frozen copies, on images that it hasn't learned by; a discriminator with spectral normalisation can't."""
    images = torch.from_numpy(load_digits().images[:256]).float().unsqueeze(1) / 16
    blurred = 0.7 * images + 0.3 * torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    torch.manual_seed(0)
    adversary = Adversary(
        Adversarial.model_validate(ADVERSARIAL), PatchDiscriminator(images.shape[1:], ADVERSARIAL["channels"]), 0.001
    )
    for step in range(200):
        rows = slice(16 * step % 128, 16 * step % 128 + 16)
        adversary.shown = images[rows], blurred[rows]
        adversary.learn(1.0)
        adversary.step(torch.tensor(0.002))
    with torch.no_grad():
        assert hinge(*(adversary.discriminator(each[128:]) for each in (images, blurred))) < 1


@pytest.mark.parametrize(("loss", "weight"), [(0.0, 0.5), (1.0, 0.25), (2.0, 0.0), (3.0, 0.0)])
def test_a_discriminator_pulls_as_well_as_it_tells(loss, weight):
    adversary = Adversary(Adversarial.model_validate(ADVERSARIAL), seeded_discriminator(), 0.003)
    adversary.loss.fill_(loss)
    assert adversary.weight == weight


@pytest.mark.parametrize(
    ("distortion", "term", "weight"),
    [
        ([3.0, 4.0], [0.0, 0.5], 0.2 * 10),
        ([3.0, 4.0], [0.0, 0.0], 0.0),  # a term without a gradient pulls nothing
        ([0.0, 0.0], [3.0, 4.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([3.0, 4.0], [1e-10, 0.0], MOST),
        ([3.0, 4.0], [math.nan, 0.0], 0.0),
        ([3.0, math.inf], [1.0, 0.0], 0.0),
        ([3.0, 4.0], [math.inf, 0.0], 0.0),
    ],
)
def test_the_adaptive_weight_is_bounded_and_a_number(distortion, term, weight):
    (gradient,), found = balanced(torch.tensor(distortion), [torch.tensor(term)], 0.2)
    assert found.item() == pytest.approx(weight)
    assert gradient.isfinite().all()
    if 0 < weight < MOST:
        assert gradient.norm().item() == pytest.approx(0.2 * 5)


def test_a_term_adds_its_share_of_gradient_and_leaves_the_bound_as_it_is(smoke, prepared):
    """The gradient that reaches the decoder's output is the term's own, times the weight that the history tells."""
    training, _ = begin(sharp(smoke, adversarial=None), prepared)
    x = torch.from_numpy(prepared.train.x[:16])
    inference = training.model(x)
    bound = inference.distortion().mean(), inference.rate().mean()
    pulled = training.sharpener.pull(training.model, inference, None)
    assert (inference.distortion().mean(), inference.rate().mean()) == bound
    distance = 144 * training.sharpener.perceptual[0](inference.likelihood.mean[0], inference.target)
    weight = training.sharpener.figures().perceptual_weight
    assert pulled.item() == pytest.approx(weight * distance.item(), rel=1e-5)
    gradients = [
        torch.autograd.grad(value, inference.output, retain_graph=True)[0] for value in (pulled, distance, bound[0])
    ]
    torch.testing.assert_close(gradients[0], weight * gradients[1])
    assert gradients[0].norm().item() == pytest.approx(0.8 * gradients[2].norm().item(), rel=1e-5)


def test_a_discriminator_waits_for_its_start_and_learns(smoke, prepared):
    training, loop = begin(sharp(smoke, epochs=3), prepared)
    adversary, fresh = training.sharpener.adversary, None
    for step in loop:
        fresh = fresh or {name: each.clone() for name, each in adversary.state().items()}
        begun = (step.step - 1) / step.steps >= 0.3
        assert begun or all(torch.equal(fresh[name], each) for name, each in adversary.state().items())
    assert any(not torch.equal(fresh[name], each) for name, each in adversary.state().items())
    first, *_, last = training.history
    assert first.adversarial is None and first.discriminator is None and first.perceptual is not None
    assert last.discriminator < 2 and last.adversarial_weight > 0


@pytest.mark.parametrize(("terms", "stop"), [("both", 3), ("both", 9), ("perceptual", 5)])
def test_a_run_is_taken_up_with_the_same_bits(terms, stop, smoke, prepared, tmp_path):
    """Before the discriminator's start, at it, and within an epoch; with all else that has a state."""
    train = {"epochs": 2, "ema": 0.9, "accumulate": 3, "warm_up": 0.5, "clip": 50.0}
    recipe = sharp(smoke, **train) if terms == "both" else sharp(smoke, adversarial=None, **train, patience=1)
    whole, loop = begin(recipe, prepared)
    list(loop)
    half, loop = begin(recipe, prepared)
    list(itertools.islice(loop, stop))
    Checkpoints(tmp_path, "key").save(half)
    again, loop = begin(recipe, prepared)
    torch.manual_seed(5)
    assert Checkpoints(tmp_path, "key").restore(again) == []
    list(loop)
    assert again.history == whole.history
    for of_again, of_whole in (
        (again.averaged.state_dict(), whole.averaged.state_dict()),
        (again.sharpener.state(), whole.sharpener.state()),
    ):
        assert of_again.keys() == of_whole.keys()
        assert all(torch.equal(of_again[name], of_whole[name]) for name in of_again)


def test_a_batch_in_pieces_teaches_the_discriminator_the_same(smoke, prepared):
    """Its gradient of a step is the mean over the batch, however it is divided."""
    states = []
    for accumulate in (1, 4):
        adversary = Adversary(
            Adversarial.model_validate({**ADVERSARIAL, "samples": False}), seeded_discriminator(), 0.003
        )
        real, made = torch.rand(2, 8, *SHAPE, generator=torch.Generator().manual_seed(1)).unbind()
        for piece in range(accumulate):
            adversary.shown = real.chunk(accumulate)[piece], made.chunk(accumulate)[piece]
            adversary.learn(1 / accumulate)
        states.append([parameter.grad.clone() for parameter in adversary.optimizer.parameters])
    for whole, pieces in zip(*states, strict=True):
        torch.testing.assert_close(whole, pieces)


def seeded_discriminator():
    torch.manual_seed(0)
    return PatchDiscriminator(SHAPE, ADVERSARIAL["channels"])


@pytest.mark.slow
def test_no_seed_spoils_a_run(smoke, prepared):
    recipe = sharp(smoke, adversarial={**ADVERSARIAL, "start": 0.0, "weight": 2.0}, epochs=3, learning_rate=0.01)
    for seed in range(20):
        training, loop = begin(recipe, prepared, seed)
        list(loop)
        figures = [value for epoch in training.history for value in epoch.figures().values()]
        assert np.isfinite(figures).all()
        assert all(each.isfinite().all() for each in training.model.state_dict().values())
        assert all(each.isfinite().all() for each in training.sharpener.state().values())
