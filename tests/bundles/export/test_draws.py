"""Images drawn by given numbers: the likelihood's own distribution, and the same images by the graphs."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from tests.bundles.export.test_families import is_the_model

from vae_pipeline.bundles.export.bundle import _describe
from vae_pipeline.bundles.export.draws import DrawImageGraph, SampleDrawnGraph
from vae_pipeline.models.likelihoods.bernoulli import LogitBernoulli
from vae_pipeline.models.likelihoods.categorical import LevelCategorical
from vae_pipeline.models.likelihoods.discretised import Discretised, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.image_draw import UNIFORM, ImageDraw
from vae_pipeline.models.likelihoods.location_scale import Continuous
from vae_pipeline.models.likelihoods.logistic import DiscretisedLogistic
from vae_pipeline.models.likelihoods.student_t import StudentT
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.manifest import GraphEntry, Manifest
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.training.trained import Trained

COUNT, LEVELS = 20_000, 5


def one(*values):
    return torch.tensor(values).view(1, *([len(values)] * (len(values) > 1)), 1, 1, 1)


WHOLE = {
    "bernoulli": LogitBernoulli(one(0.7), 3),
    "categorical": LevelCategorical(one(0.5, -1.0, 2.0, 0.0, 0.3), 3),
    "gaussian": Discretised(NormalTail(), one(0.8), one(0.3), LEVELS, 3),
    "laplace": Discretised(LaplaceTail(), one(0.1), one(0.4), LEVELS, 3),
    "logistic": DiscretisedLogistic(one(0.3, 1.0), one(0.2, 0.9), one(-2.0, -1.0), LEVELS, 3),
}
REAL = {
    "gaussian": (torch.distributions.Normal(one(0.3), one(2.0)), stats.norm(0.3, 2.0)),
    "laplace": (torch.distributions.Laplace(one(0.3), one(2.0)), stats.laplace(0.3, 2.0)),
    "student_t": (StudentT(torch.tensor(4.0), one(0.3), one(2.0)), stats.t(4, 0.3, 2.0)),
}


def even():
    return torch.rand(COUNT, UNIFORM, generator=torch.Generator().manual_seed(1)).clamp(2.0**-24, 1 - 2.0**-24)


@pytest.mark.parametrize("name", WHOLE)
def test_a_level_is_drawn_by_its_probability(name):
    images = WHOLE[name]
    levels = 2 if name == "bernoulli" else LEVELS
    drawn = ImageDraw(Scaling(0, levels - 1), whole=True).drawn(images, even())
    values = drawn.values.flatten().numpy()
    assert set(values) <= set(range(levels))
    wanted = [float(images.log_prob_by_element(one(k / (levels - 1))).exp()) for k in range(levels)]
    counts = np.bincount(values.astype(int), minlength=levels)
    assert stats.chisquare(counts, COUNT * np.array(wanted) / sum(wanted)).pvalue > 1e-3


@pytest.mark.parametrize("name", REAL)
def test_a_real_value_has_its_distribution(name):
    real, wanted = REAL[name]
    drawn = ImageDraw(Scaling(-1, 1), whole=False).drawn(Continuous(real, 3), even())
    assert stats.kstest((drawn.values.flatten().double() + 1) / 2, wanted.cdf).pvalue > 1e-3
    assert not drawn.doubtful.any()


def test_a_bundle_draws_the_models_images(lane, tmp_path):
    trained, bundle, made = Trained.load(lane.model), tmp_path / "bundle", {}
    model, spec = trained.model.eval(), trained.spec
    shutil.copytree(lane.bundle, bundle)
    x, entries = torch.zeros(16, *spec.event_shape), {}
    for graph in (DrawImageGraph(True), SampleDrawnGraph(True)):
        is_the_model(graph, model, x, Units(spec, None), bundle, made)
        file, golden = bundle / f"{graph.name}.onnx", bundle / f"{graph.name}.npz"
        np.savez(golden, x=0)
        described = (_describe(made[graph.name].graph.input), _describe(made[graph.name].graph.output))
        digests = (sha256_of(file), golden.name, sha256_of(golden))
        entries[graph.name] = GraphEntry(graph.about, file.name, *digests, *described)
    manifest = Manifest.load(bundle)
    replace(manifest, graphs={**manifest.graphs, **entries}).save(bundle)
    opened = Bundle.load(bundle)
    drawn, means = opened.sample(500, seed=1, draw=True), opened.sample(500, seed=1)
    assert np.array_equal(means, Bundle.load(lane.bundle).sample(500, seed=1))  # the default is what it was
    assert set(np.unique(drawn)) == {spec.low, spec.high}
    assert np.array_equal(opened.sample(500, seed=1, draw=True), drawn)
    away = (drawn - means).mean(0) / np.sqrt((means - spec.low) * (spec.high - means)).mean(0) * np.sqrt(500)
    assert np.abs(away).max() < 5  # of a mean p a Bernoulli's is p, with the variance p (1 - p)
    with pytest.raises(DataError, match="generate gives the means of images: take sample"):
        opened.generate(2, draw=True)
