"""Every member of every union, in every combination: shapes, finite numbers, gradients, round trips."""

import itertools
import math

import pytest
import torch

from vae_pipeline.kinds.spec import AudioSpec, ImageSpec
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods.image_draw import UNIFORM, ImageDraw
from vae_pipeline.recipe.figures import names
from vae_pipeline.recipe.model import Ladder, Model
from vae_pipeline.system.errors import RecipeError

NETS = {
    "dense": {"kind": "dense", "layers": [16, 8], "activation": "relu"},
    "linear": {"kind": "dense", "layers": [8], "activation": "silu", "shortcut": True},
    "convolution": {"kind": "convolution", "channels": [8, 4], "activation": "silu"},
    "fitting": {"kind": "convolution", "channels": [8, 6, 4], "activation": "silu", "smallest": 4},
    "shortcut": {"kind": "convolution", "channels": [8, 4], "activation": "silu", "shortcut": True},
    "residual": {
        "kind": "residual",
        "channels": [4, 4],
        "blocks": 1,
        "activation": "silu",
        "normalisation": "local",
    },
    "attentive": {
        "kind": "residual",
        "channels": [4, 4],
        "blocks": 1,
        "activation": "silu",
        "normalisation": "group",
        "attention": True,
        "checkpointing": True,
    },
}
NETS_OF_MAPS = {
    "passed": {
        "kind": "residual",
        "channels": [4, 4],
        "blocks": 1,
        "activation": "silu",
        "normalisation": "local",
        "shortcut": True,
    },
}
LIKELIHOODS = {
    "bernoulli": {"kind": "bernoulli"},
    "gaussian_fixed": {"kind": "gaussian", "scale": 0.5, "mean": "linear"},
    "gaussian_learned": {"kind": "gaussian", "scale": "learned", "mean": "linear"},
}
MORE_LIKELIHOODS = {
    "gaussian_per_channel": {"kind": "gaussian", "scale": "learned_per_channel", "mean": "linear"},
    "gaussian_per_value": {"kind": "gaussian", "scale": "learned_per_value", "mean": "linear"},
    "gaussian_per_element": {"kind": "gaussian", "scale": "per_element", "mean": "linear"},
    "gaussian_optimal": {"kind": "gaussian", "scale": "optimal", "mean": "linear"},
    "gaussian_bounded": {"kind": "gaussian", "scale": "learned", "mean": "sigmoid"},
    "gaussian_bounded_per_element": {"kind": "gaussian", "scale": "per_element", "mean": "sigmoid"},
    "laplace_learned": {"kind": "laplace", "scale": "learned", "mean": "linear"},
    "laplace_per_element": {"kind": "laplace", "scale": "per_element", "mean": "linear"},
    "student_t_learned": {"kind": "student_t", "scale": "learned", "mean": "linear", "degrees": "learned"},
    "student_t_optimal": {"kind": "student_t", "scale": "optimal", "mean": "sigmoid", "degrees": 3},
    "discretised_gaussian": {"kind": "discretised_gaussian", "scale": "learned", "mean": "linear"},
    "discretised_laplace_bounded": {"kind": "discretised_laplace", "scale": "learned_per_channel", "mean": "sigmoid"},
    "discretised_laplace_per_element": {"kind": "discretised_laplace", "scale": "per_element", "mean": "linear"},
    "discretised_logistic": {"kind": "discretised_logistic", "components": 1},
    "discretised_logistic_mixture": {"kind": "discretised_logistic", "components": 3},
    "categorical": {"kind": "categorical"},
}
POSTERIORS = {
    "gaussian": {"kind": "gaussian", "latents": 3},
    "normalised_gaussian": {"kind": "normalised_gaussian", "latents": 3, "spread": 0.6},
    "full_gaussian": {"kind": "full_gaussian", "latents": 3},
    "coupling_flow": {"kind": "coupling_flow", "latents": 3, "layers": 2, "width": 8},
}
MAPS = {
    "spatial_gaussian": {"kind": "spatial_gaussian", "channels": 3},
    "finite_scalar": {"kind": "finite_scalar", "levels": [5, 8, 2]},
    "pointwise": {"kind": "spatial_gaussian", "channels": 3, "pointwise": True},
}
PRIORS = {
    "standard_normal": {"kind": "standard_normal"},
    "mixture": {"kind": "mixture", "components": 4},
    "vamp": {"kind": "vamp", "components": 5},
}
OF_CODES = {"uniform": {"kind": "uniform"}}
SHAPES = [(1, 8, 8), (3, 7, 10)]
CASES = [
    *itertools.product(["dense", "convolution"], ["dense", "convolution"], LIKELIHOODS, [False, True], SHAPES),
    *itertools.product(["dense"], ["convolution"], MORE_LIKELIHOODS, [False], SHAPES),
    *itertools.product(["fitting"], ["fitting"], ["bernoulli"], [False], SHAPES),
    ("linear", "linear", "gaussian_learned", True, SHAPES[1]),
    ("residual", "attentive", "gaussian_learned", True, SHAPES[1]),
    *itertools.product(["shortcut"], ["shortcut"], ["gaussian_learned"], [False, True], SHAPES),
]
MAP_CASES = [
    ("residual", "spatial_gaussian", "standard_normal", False, SHAPES[0]),
    ("passed", "spatial_gaussian", "standard_normal", True, SHAPES[1]),
    ("attentive", "pointwise", "standard_normal", True, SHAPES[0]),
    ("residual", "spatial_gaussian", "mixture", True, SHAPES[1]),
    ("residual", "finite_scalar", "uniform", True, SHAPES[0]),
]
LATENT_CASES = [pair for pair in itertools.product(POSTERIORS, PRIORS) if pair[1] != "vamp" or pair[0] == "gaussian"]


def make(encoder, decoder, likelihood, conditional, shape, posterior="gaussian", prior="standard_normal"):
    model = {
        "encoder": (NETS | NETS_OF_MAPS)[encoder],
        "posterior": (POSTERIORS | MAPS)[posterior],
        "prior": (PRIORS | OF_CODES)[prior],
        "decoder": (NETS | NETS_OF_MAPS)[decoder],
        "likelihood": (LIKELIHOODS | MORE_LIKELIHOODS)[likelihood],
        "conditional": conditional,
    }
    spec = ImageSpec(shape, "uint8", 0, 255, False, ("a", "b", "c"))
    torch.manual_seed(0)
    return build(Model.model_validate(model), spec)


LADDERS = {  # stride, channels, latents, blocks, and what came later: repeat, bottleneck
    "one": [(2, 8, 2, 1)],
    "convolution": [(2, 8, 2, 1), (1, 8, 1, 2), (3, 4, 1, 1)],
    "dense": [(1, 8, 2, 1), (10, 16, 3, 1)],
    "mixed": [(5, 16, 4, 1), (2, 8, 1, 1)],
    "deep": [(5, 8, 2, 1, 2), (2, 4, 1, 1, 2, 2)],
}


def ladder(levels, likelihood, conditional, shape, activation="silu"):
    names = ("stride", "channels", "latents", "blocks", "repeat", "bottleneck")
    model = {
        "kind": "ladder",
        "levels": [dict(zip(names, level, strict=False)) for level in LADDERS[levels]],
        "residual": levels == "deep",
        "activation": activation,
        "likelihood": (LIKELIHOODS | MORE_LIKELIHOODS)[likelihood],
        "conditional": conditional,
    }
    torch.manual_seed(0)
    return build(Ladder.model_validate(model), ImageSpec(shape, "uint8", 0, 255, False, ("a", "b", "c")))


def batch(shape, count=5):
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=draw)
    return x, torch.arange(count) % 3


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_a_model_keeps_its_contract(case):
    model = make(*case)
    x, labels = batch(case[-1])
    keeps_its_contract(model, make(*case), x, labels if case[3] else None)


@pytest.mark.parametrize("likelihood", LIKELIHOODS | MORE_LIKELIHOODS)
def test_every_likelihood_of_images_draws_them(likelihood):
    model = make("dense", "dense", likelihood, False, (1, 8, 8)).eval()
    even = torch.rand(5, UNIFORM * 64, generator=torch.Generator().manual_seed(0)).clamp(2.0**-24, 1 - 2.0**-24)
    drawn = ImageDraw(model.scaling, whole=True).drawn(model.decode(torch.randn(5, model.latents)), even).values
    assert drawn.shape == (5, 1, 8, 8) and torch.equal(drawn, drawn.to(torch.uint8).float())
    assert set(drawn.unique().tolist()) == {0, 255} if likelihood == "bernoulli" else len(drawn.unique()) > 2


@pytest.mark.parametrize("case", LATENT_CASES, ids="-".join)
def test_posteriors_and_priors_keep_it(case):
    models = [make("dense", "dense", "bernoulli", False, (1, 8, 8), *case) for _ in range(2)]
    for model in models:
        wake(model)
    keeps_its_contract(*models, batch((1, 8, 8))[0], None)


@pytest.mark.parametrize("case", MAP_CASES, ids=lambda case: "-".join(map(str, case)))
def test_a_map_of_latents_keeps_it(case):
    net, posterior, prior, conditional, shape = case
    models = [make(net, net, "gaussian_learned", conditional, shape, posterior, prior) for _ in range(2)]
    x, labels = batch(shape)
    keeps_its_contract(*models, x, labels if conditional else None)
    model, label = models[0], labels if conditional else None
    channels, rows, columns = model.latent_shape
    assert (channels, rows, columns) == (3, 4, -(-shape[2] // 2)) and model.latents == channels * rows * columns
    larger = torch.cat([x, x.flip(3)], 3)[:, :, : 2 * (shape[1] // 2), : 2 * shape[2]]
    mean, log_variance = model.encode_map(larger, label)
    assert mean.shape == log_variance.shape == (5, 3, larger.shape[2] // 2, larger.shape[3] // 2)
    assert model.decode_map(mean, label).mean.shape == larger.shape
    if not shape[1] % 2:
        flat = torch.stack([mean.flatten(1) for mean in model.encode_map(x, label)])
        q = model.encode(x, label)
        assert torch.equal(flat, torch.stack([q.mean, q.log_variance]))
        assert torch.equal(
            model.decode_map(q.mean.unflatten(1, model.latent_shape), label).mean, model.decode(q.mean, label).mean
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian_learned", "discretised_logistic_mixture"])
@pytest.mark.parametrize("levels", LADDERS)
def test_a_ladder_keeps_it(levels, likelihood, conditional, shape):
    models = [ladder(levels, likelihood, conditional, shape) for _ in range(2)]
    x, labels = batch(shape)
    keeps_its_contract(*models, x, labels if conditional else None)


WAVEFORM, SPECTROGRAM = {"kind": "waveform"}, {"kind": "spectrogram", "frame": 32, "hop": 16}
OF_SOUND = {
    "residual_1d": {"kind": "residual_1d", "channels": [4, 6], "stride": 3, "blocks": 2, "activation": "silu"},
    "gru": {"kind": "recurrent_frames", "cell": "gru", "width": 6},
    "lstm": {"kind": "recurrent_frames", "cell": "lstm", "width": 6},
    "frames": {"kind": "residual_frames", "width": 6, "blocks": 2, "activation": "silu"},
    "causal": {"kind": "residual_frames", "width": 6, "blocks": 1, "activation": "silu", "causal": True},
}
SOUND_CASES = [
    (WAVEFORM, "residual_1d", "gaussian_learned", True),
    (WAVEFORM, "residual_1d", "laplace_per_element", False),
    (SPECTROGRAM, "gru", "student_t_learned", True),
    (SPECTROGRAM | {"mel": 6}, "lstm", "gaussian_per_element", False),
    (SPECTROGRAM, "residual", "gaussian_learned", True),
    (SPECTROGRAM | {"mel": 6}, "convolution", "gaussian_per_channel", False),
    (SPECTROGRAM, "frames", "gaussian_per_element", True),
    (SPECTROGRAM, "causal", "laplace_learned", False),
]


@pytest.mark.parametrize("case", SOUND_CASES, ids=lambda case: "-".join([case[0]["kind"], *map(str, case[1:])]))
def test_sound_keeps_it_in_any_view(case):
    view, net, likelihood, conditional = case
    x = 0.3 * torch.randn(5, 2, 100, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    label = torch.arange(5) % 3 if conditional else None
    keeps_its_contract(*(heard(view, net, likelihood, conditional) for _ in range(2)), x, label)


RECORDINGS = AudioSpec(800, 100, 2, ("a", "b", "c"))


def heard(view, net, likelihood, conditional, spec=RECORDINGS):
    parts = {"view": view, "encoder": (NETS | OF_SOUND)[net], "decoder": (NETS | OF_SOUND)[net]}
    frames = parts["encoder"]["kind"] == "residual_frames"  # its latents are a map
    posterior = MAPS["spatial_gaussian"] if frames else POSTERIORS["gaussian"]
    parts |= {"posterior": posterior, "prior": PRIORS["standard_normal"], "conditional": conditional}
    model = Model.model_validate({**parts, "likelihood": (LIKELIHOODS | MORE_LIKELIHOODS)[likelihood]})
    torch.manual_seed(0)
    return build(model, spec)


@pytest.mark.parametrize("posterior", [*POSTERIORS, "ladder"])
def test_a_draw_is_a_value(posterior):
    """What is asked of a posterior after a draw changes nothing of what the draw says."""
    ladders = posterior == "ladder"
    model = ladder("mixed", "bernoulli", False, (1, 8, 8)) if ladders else make(
        "dense", "dense", "bernoulli", False, (1, 8, 8), posterior
    )  # fmt: skip
    wake(model)
    x, _ = batch((1, 8, 8))
    noise = torch.randn(2, 5, model.latents, generator=torch.Generator().manual_seed(0))
    alone, asked = model.eval().encode(x), model.encode(x)
    draw, same = alone.draw(noise), asked.draw(noise)
    assert same.posterior is not alone and torch.equal(draw.z, same.z)
    asked.mean, asked.variance, asked.draw(-noise), asked.log_prob(same.z.clone())
    assert torch.equal(draw.log_q(), same.log_q())
    torch.testing.assert_close(alone.log_prob(draw.z), draw.log_q(), rtol=1e-4, atol=1e-4)
    bounds = [model.explain(model.scaling(x), each, None).log_weight() for each in (draw, same)]
    assert torch.equal(*bounds)


def wake(model):
    """Couplings and correlations start at zero, where no gradient reaches what lies before them."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.posterior.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))


def keeps_its_contract(model, other, x, label):
    inference = model(x, samples=2, label=label)
    assert inference.z.shape == (2, 5, model.latents)
    assert inference.target.min() >= 0 and inference.target.max() <= 1
    for term in (inference.distortion(), inference.rate(), inference.log_weight()):
        assert term.shape == (2, 5)
        assert torch.isfinite(term).all()
    torch.testing.assert_close(inference.rates().sum(-1), inference.rate())
    assert inference.likelihood.sample().shape == (2, *inference.target.shape)
    assert inference.likelihood.mean.shape == (2, *inference.target.shape)
    # What judges E[x|z] reaches the decoder's output, as the distortion does.
    for value in (inference.likelihood.mean.sum(), inference.distortion().mean()):
        (gradient,) = torch.autograd.grad(value, inference.output, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any()

    (inference.distortion() + inference.rate()).mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []

    model.eval(), other.eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.encode(x, label).mean, model.encode(x, label).mean, rtol=0, atol=0)

    inference = model(x, label=label)
    target, observed = inference.target, inference.likelihood
    by_element = observed.log_prob_by_element(target)
    assert by_element.shape == (1, *target.shape)
    for answer in (observed.squared_error_by_element(target), observed.deviance_by_element(target)):
        assert answer.shape == by_element.shape and (answer >= 0).all() and torch.isfinite(answer).all()
    assert observed.unheard_of(target) is None
    figures = model.likelihood.figures()
    assert figures.keys() <= names().keys() and all(math.isfinite(value) for value in figures.values())
    torch.testing.assert_close(by_element.flatten(2).sum(2), -inference.distortion(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "gelu"])
def test_every_activation_builds(activation):
    NETS["this"] = {"kind": "dense", "layers": [4], "activation": activation}
    try:
        x, _ = batch((1, 8, 8))
        assert torch.isfinite(make("this", "this", "bernoulli", False, (1, 8, 8))(x).distortion()).all()
    finally:
        del NETS["this"]


def test_a_conditional_model_depends_on_its_label():
    for net in NETS:
        model = make(net, net, "bernoulli", True, (1, 8, 8))
        x, _ = batch((1, 8, 8))
        zeros, ones = torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long)
        assert (model.encode(x, zeros).mean - model.encode(x, ones).mean).abs().max() > 1e-4
        z = torch.zeros(5, 3)
        assert (model.decode(z, zeros).mean - model.decode(z, ones).mean).abs().max() > 1e-4


def test_a_conditional_model_wants_a_label():
    x, _ = batch((1, 8, 8))
    with pytest.raises(ValueError, match=r"label in 0\.\.2; none was given"):
        make("dense", "dense", "bernoulli", True, (1, 8, 8)).encode(x)


def test_conditional_without_labels_is_refused():
    model = {
        "encoder": NETS["dense"],
        "posterior": {"kind": "gaussian", "latents": 3},
        "prior": {"kind": "standard_normal"},
        "decoder": NETS["dense"],
        "likelihood": LIKELIHOODS["bernoulli"],
        "conditional": True,
    }
    with pytest.raises(RecipeError, match=r"model\.conditional is true, but the data have no labels"):
        build(Model.model_validate(model), ImageSpec((1, 8, 8), "uint8", 0, 255, False))


def test_batch_order_and_size_change_nothing():
    model = make("convolution", "convolution", "gaussian_learned", False, (1, 8, 8)).eval()
    x, _ = batch((1, 8, 8), 16)
    whole = model.encode(x).mean
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(model.encode(x[order]).mean, whole[order], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.encode(x[:3]).mean, whole[:3], rtol=1e-5, atol=1e-6)


def test_denoising_explains_another_target():
    model = make("dense", "dense", "bernoulli", False, (1, 8, 8))
    x, _ = batch((1, 8, 8))
    torch.testing.assert_close(model(x, target=255 - x).target, (255 - x).float() / 255)


def test_scaling_is_inverted():
    model = make("dense", "dense", "gaussian_fixed", False, (1, 8, 8))
    x, _ = batch((1, 8, 8))
    torch.testing.assert_close(model.scaling.inverse(model.scaling(x)), x.float(), atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_prior_transforms_noise_into_its_own_draws(prior):
    """Every prior: what is drawn from noise has the moments of the distribution."""
    model = make("dense", "dense", "bernoulli", False, (1, 8, 8), prior=prior).requires_grad_(False)
    if prior == "mixture":
        model.latent_prior.logits.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
        model.latent_prior.log_variances.copy_(torch.randn(4, 3, generator=torch.Generator().manual_seed(2)))
    prior = model.prior()
    z = model.draw(torch.randn(40_000, model.noise, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.mean(0), prior.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), prior.variance, atol=0.03, rtol=0.03)
    torch.testing.assert_close(model.frozen().prior().log_prob(z[:9]), prior.log_prob(z[:9]))


def test_samples_are_in_the_support():
    for likelihood in LIKELIHOODS | MORE_LIKELIHOODS:
        model = make("dense", "dense", likelihood, False, (1, 8, 8))
        drawn = model.decode(torch.zeros(4, 3)).sample()
        if likelihood == "bernoulli":
            assert set(drawn.unique().tolist()) <= {0.0, 1.0}
        assert torch.isfinite(model.decode(torch.zeros(4, 3)).log_prob(drawn)).all()
