"""Images drawn by given numbers: the likelihood's own distribution, by the graph, the bundle and the estimator."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn
from typer.testing import CliRunner

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.onnx import to_onnx
from vae_pipeline.cli.main import app
from vae_pipeline.estimators import answers
from vae_pipeline.models.likelihoods.bernoulli import LogitBernoulli
from vae_pipeline.models.likelihoods.categorical import LevelCategorical
from vae_pipeline.models.likelihoods.discretised import Discretised, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.image_draw import UNIFORM, ImageDraw
from vae_pipeline.models.likelihoods.location_scale import Continuous
from vae_pipeline.models.likelihoods.logistic import DiscretisedLogistic
from vae_pipeline.models.likelihoods.student_t import StudentT
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.samples import even
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.trained import Trained

COUNT, LEVELS = 20_000, 5
MIDDLES = (np.arange(LEVELS - 1) + 0.5) / (LEVELS - 1)
"""The places between neighbouring levels, on values scaled to [0, 1]."""


def by(z, *values):
    """Parameters, several along their axis, in a graph that doesn't know them before it is given z."""
    many = [len(values)] * (len(values) > 1)
    return torch.tensor(values).view(1, *many, 1, 1, 1) * z.view(-1, *[1] * (3 + len(many)))


def rounded(of):
    return np.diff(of.cdf(MIDDLES), prepend=0, append=1)


normal = partial(torch.distributions.Normal, validate_args=False)
laplace = partial(torch.distributions.Laplace, validate_args=False)
LOGITS = (0.5, -1.0, 2.0, 0.0, 0.3)
WHOLE = {
    "bernoulli": (lambda z: LogitBernoulli(by(z, 0.7), 3), special.expit([-0.7, 0.7])),
    "categorical": (lambda z: LevelCategorical(by(z, *LOGITS), 3), special.softmax(LOGITS)),
    "discretised_gaussian": (
        lambda z: Discretised(NormalTail(), by(z, 0.8), by(z, 0.3), LEVELS, 3),
        rounded(stats.norm(0.8, 0.3)),
    ),
    "discretised_laplace": (
        lambda z: Discretised(LaplaceTail(), by(z, 0.1), by(z, 0.4), LEVELS, 3),
        rounded(stats.laplace(0.1, 0.4)),
    ),
    "discretised_logistic": (
        lambda z: DiscretisedLogistic(by(z, 0.2, 0.9), by(z, 0.3, 1.0), by(z, -2.0, -1.0), LEVELS, 3),
        special.softmax([0.2, 0.9])
        @ [rounded(stats.logistic(0.3, np.exp(-2))), rounded(stats.logistic(1, np.exp(-1)))],
    ),
}
REAL = {
    "gaussian": (lambda z: normal(by(z, 0.3), by(z, 2.0)), stats.norm(0.3, 2.0)),
    "laplace": (lambda z: laplace(by(z, 0.3), by(z, 2.0)), stats.laplace(0.3, 2.0)),
    "student_t": (lambda z: StudentT(torch.tensor(4.0), by(z, 0.3), by(z, 2.0)), stats.t(4, 0.3, 2.0)),
}


class Every(nn.Module):
    """One draw of each likelihood."""

    def forward(self, z, uniform):
        levels = {name: ImageDraw(Scaling(0, 1 if name == "bernoulli" else LEVELS - 1), whole=True) for name in WHOLE}
        whole = [levels[name].drawn(images(z), uniform) for name, (images, _) in WHOLE.items()]
        real = [ImageDraw(Scaling(-1, 1), whole=False).drawn(Continuous(of(z), 3), uniform) for of, _ in REAL.values()]
        return tuple(drawn.values for drawn in whole + real)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """What a graph draws of each likelihood, [COUNT]."""
    file, outputs = tmp_path_factory.mktemp("every") / "every.onnx", (*WHOLE, *REAL)
    inputs = {"z": np.ones((COUNT, 1), np.float32), "uniform": even(COUNT, (1, 1), UNIFORM)}
    some = {name: torch.from_numpy(values[:2]) for name, values in inputs.items()}
    proto = to_onnx(Every(), some, outputs, "draws", {"vae.graph": "every"})
    file.write_bytes(proto.SerializeToString())
    return {name: values.ravel() for name, values in parity.run(file, inputs, outputs).items()}


@pytest.mark.parametrize("name", WHOLE)
def test_a_level_is_drawn_by_its_probability(name, drawn):
    wanted = COUNT * WHOLE[name][1]
    counts = np.bincount(drawn[name].astype(int), minlength=len(wanted))
    assert (drawn[name] == drawn[name].astype(int)).all()
    assert stats.chisquare(counts, wanted).pvalue > 1e-3


@pytest.mark.parametrize("name", REAL)
def test_a_real_value_has_its_distribution(name, drawn):
    scaled = (drawn[name].astype(np.float64) + 1) / 2
    assert stats.kstest(scaled, REAL[name][1].cdf).pvalue > 1e-3


def test_a_bundle_draws_images_round_its_means(conditional_lane):
    """Of a Gaussian, cut off at black and at white; all of one class, where the model is conditional."""
    bundle, count = Bundle.load(conditional_lane.bundle), 2000
    spec, labels = bundle.spec, np.ones(count, int)
    drawn, means = (bundle.sample(count, seed=1, labels=labels, draw=draw) for draw in (True, None))
    assert np.array_equal(means, bundle.sample(count, seed=1, labels=labels, draw=False))  # and so is the default
    assert np.array_equal(drawn, bundle.sample(count, seed=1, labels=labels, draw=True))
    assert (drawn == drawn.astype(np.uint8)).all()
    scale = float(Trained.load(conditional_lane.model).model.likelihood.scale.detach()) * (spec.high - spec.low)
    low, high = (spec.low - means) / scale, (spec.high - means) / scale
    inside = stats.norm.cdf(high) - stats.norm.cdf(low)
    wanted = means * inside + scale * (stats.norm.pdf(low) - stats.norm.pdf(high))
    wanted += spec.low * stats.norm.cdf(low) + spec.high * stats.norm.sf(high)
    away = (drawn - wanted).mean(0) / scale * np.sqrt(count)  # none varies by more than its scale
    assert np.abs(away).max() < 5 and (drawn - wanted).std() > scale / 3


def test_an_estimator_draws_the_images_of_its_bundle(conditional_lane):
    trained, device = Trained.load(conditional_lane.model), torch.device("cpu")
    model, labels = trained.model.eval(), np.arange(50) % 2
    z = answers.drawn(model, 50, 5, device)
    found = answers.drawn_images(model, z, labels, trained.spec, device, 5)
    wanted = Bundle.load(conditional_lane.bundle).sample(50, seed=5, labels=labels, draw=True)
    assert np.abs(found - wanted).max() <= 1  # a level, where rounding decides
    assert (found == wanted).mean() > 0.99


def test_the_command_draws_what_the_bundle_does(conditional_lane, lane, tmp_path):
    words = ["-o", str(tmp_path / "x.npy"), "--count", "3", "--seed", "2", "--draw"]
    found = CliRunner().invoke(app, ["sample", str(conditional_lane.bundle), *words, "--label", "1"])
    assert found.exit_code == 0, found.output
    drawn = Bundle.load(conditional_lane.bundle).sample(3, seed=2, labels=[1, 1, 1], draw=True)
    assert np.array_equal(np.load(tmp_path / "x.npy"), drawn)
    with pytest.raises(
        DataError, match=r"draws no images: set export\.draws: true in its recipe and export it again, or"
    ):
        CliRunner().invoke(app, ["sample", str(lane.bundle), *words], catch_exceptions=False)


def test_means_alone_are_generated(conditional_lane):
    bundle = Bundle.load(conditional_lane.bundle)
    with pytest.raises(DataError, match="generate gives the means of images: take sample"):
        bundle.generate(2, labels=[0, 0], draw=True)
