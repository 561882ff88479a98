import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from tests.lanes import edited, make_job

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import subset, taken
from vae_pipeline.models.build import build
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe.study import ARMS, Study
from vae_pipeline.stages.job import sections_of
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.arms import classifier as module
from vae_pipeline.training.arms.classifier import _Feed, fit_classifier, probabilities
from vae_pipeline.training.arms.generator import between, fit_generator, new_images, variants
from vae_pipeline.training.arms.labelled import images_of, labelled_rows
from vae_pipeline.training.arms.remembering import nearer_to_labelled
from vae_pipeline.training.arms.repeats import Drawn

SUBSET = derive(0, "remembering")
CPU = torch.device("cpu")
STUDY = Study(steps=3, batch=16, share=0.25)


def labelled_set(train, size, seed):
    return taken(train, labelled_rows(train, np.arange(len(train)), size, seed))


@pytest.fixture(scope="module")
def labelled(prepared):
    return labelled_set(prepared.train, 20, 0)


@pytest.fixture(scope="module")
def generator(smoke, prepared):
    with seeded(0):
        return build(edited(smoke, model={"conditional": True}).model, prepared.spec).eval().requires_grad_(False)


@pytest.fixture
def feed(labelled, generator, prepared):
    def of(arm, study=STUDY):
        with seeded(0):
            scaling = module.Scaling(prepared.spec.low, prepared.spec.high)
            return _Feed(study, arm, labelled, generator, scaling, 2, 0, CPU)

    return of


def test_a_labelled_set_has_each_class_in_its_share_and_one_at_least():
    labels = np.repeat([0, 1, 3], [60, 38, 2])
    assert images_of(labels, 10) == {0: 6, 1: 3, 3: 1} and images_of(labels, 3) == {0: 1, 1: 1, 3: 1}
    assert images_of(labels, 100) == images_of(labels, "all") == {0: 60, 1: 38, 3: 2}
    for size in range(3, 101):
        counts = images_of(labels, size)
        assert sum(counts.values()) == size
        assert all(1 <= counts[each] <= (labels == each).sum() for each in counts)
    for size in (2, 101):
        with pytest.raises(DataError):
            images_of(labels, size)


def test_labelled_sets_follow_from_the_seed_and_hold_training_images(prepared, labelled):
    again, other = labelled_set(prepared.train, 20, 0), labelled_set(prepared.train, 20, 1)
    np.testing.assert_array_equal(labelled.x, again.x)
    assert not np.array_equal(labelled.x, other.x)
    given, drawn = (
        {(image.tobytes(), int(label)) for image, label in zip(part.x[:], part.labels, strict=True)}
        for part in (prepared.train, labelled)
    )
    assert drawn <= given


def test_labelled_sets_of_images_without_groups_are_those_that_they_were():
    """Rows of 60 images, as they were drawn before groups were heeded."""
    train = Split(np.zeros((60, 1, 1, 1)), np.arange(60) % 7 % 3)
    everything = np.arange(60)
    assert labelled_rows(train, everything, 12, 0).tolist() == [0, 3, 4, 8, 9, 10, 11, 16, 19, 27, 46, 49]
    assert labelled_rows(train, everything, 12, 1).tolist() == [8, 9, 13, 17, 21, 22, 27, 43, 47, 48, 53, 58]


@pytest.mark.parametrize("mixed", [False, True])
def test_groups_are_drawn_whole_but_the_last_of_each_class(mixed):
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 12, 40)))
    labels = rng.integers(0, 2, len(groups)) if mixed else groups % 2
    train, everything = Split(np.zeros((len(groups), 1, 1, 1)), labels, groups=groups), np.arange(len(groups))
    pairs = groups + 40 * labels
    sizes = np.bincount(pairs, minlength=80)
    for size, seed in itertools.product((10, 50, 120), range(5)):
        rows = labelled_rows(train, everything, size, seed)
        assert len(set(rows.tolist())) == size
        assert {each: (labels[rows] == each).sum() for each in (0, 1)} == images_of(labels, size)
        drawn = np.bincount(pairs[rows], minlength=80)  # images of each group and class
        cut = (drawn > 0) & (drawn < sizes)
        assert cut[:40].sum() <= 1 and cut[40:].sum() <= 1
        images = len(np.unique(np.random.default_rng(seed).permutation(groups)[:size]))
        assert size < 50 or len(np.unique(groups[rows])) < images  # images drawn one by one are of more groups
    assert labelled_rows(train, everything, "all", 0).tolist() == everything.tolist()
    half = everything[groups < 20]
    assert set(labelled_rows(train, half, 30, 0)) <= set(half)


def test_all_arms_see_the_same_real_images_and_a_share_of_the_generators(feed):
    with seeded(0):
        plain, target = feed("none")()
    for arm in ("vae_prior", "vae_posterior", "vae_interpolation"):
        with seeded(0):
            images, found = feed(arm)()
        torch.testing.assert_close(images[:12], plain[:12])
        torch.testing.assert_close(found, target)
        assert (images[12:] - plain[12:]).abs().amax((1, 2, 3)).min() > 0.01 and 0 <= images.min() <= images.max() <= 1
    with seeded(0):
        synthetic, _ = feed("synthetic")()
    assert (synthetic - plain).abs().amax((1, 2, 3)).min() > 0.01


def test_class_weights_count_classes_alike_and_oversampling_draws_them_alike(labelled, feed, prepared):
    labels = np.array([0] * 18 + [1] * 2)
    feed = _Feed(STUDY, "class_weights", replace(labelled, labels=labels), None, module.Scaling(0, 1), 2, 0, CPU)
    weights = feed._weights()
    torch.testing.assert_close(weights, torch.tensor([20 / 36, 20 / 4]))  # scikit-learn's "balanced"
    many = STUDY.model_copy(update={"batch": 2000})
    drawn = _Feed(many, "oversampling", replace(labelled, labels=labels), None, module.Scaling(0, 1), 2, 0, CPU)
    assert labels[drawn._rows()].mean() == pytest.approx(0.5, abs=0.05)


class Copies:
    """A generator that gives images back which it was given, whatever the label."""

    noise = 1

    def __init__(self, images):
        self.images = images

    def draw(self, noise, label):
        return torch.arange(len(label))

    def decode(self, z, label):
        return SimpleNamespace(mean=self.images[z % len(self.images)])


def test_new_images_that_are_labelled_ones_lie_nearest_to_them(prepared):
    drawn = Drawn(labelled_set(prepared.train, 20, 0), labelled_set(prepared.train, 60, 1), 0)
    scaling = module.Scaling(prepared.spec.low, prepared.spec.high)
    both = [scaling(torch.from_numpy(part.x)) for part in (drawn.labelled, subset(drawn.choosing, 20, SUBSET))]
    of = [nearer_to_labelled(Copies(images), drawn, scaling, CPU) for images in (*both, torch.cat(both))]
    near = NearestNeighbors(n_neighbors=1).fit(torch.cat(both).flatten(1))
    wanted = [(near.kneighbors(images.flatten(1))[1] < 20).mean() for images in (*both, torch.cat(both))]
    assert of == pytest.approx(wanted, abs=0.03) and of[0] > 0.9 and of[1] < 0.2


def test_mixup_mixes_images_and_targets_alike(feed):
    source = feed("mixup")
    for _ in range(5):
        images, target = source()
        torch.testing.assert_close(target.sum(1), torch.ones(16))
        assert 0 <= images.min() <= images.max() <= 1


def test_a_linear_way_starts_from_the_labelled_images_where_they_are_enough(smoke, prepared, labelled, monkeypatch):
    seen = []
    monkeypatch.setattr("vae_pipeline.training.arms.generator.begin_linear", lambda *given: seen.append(given[1]))
    train = {"epochs": None, "steps": 1, "keep": "last", "patience": None}
    recipe = sections_of(make_job("tiny", edited(smoke, model={"conditional": True}, train=train), None))
    few = labelled_set(prepared.train, recipe.model.posterior.latents, 0)
    for part in (labelled, few):
        fit_generator(recipe, prepared.spec, part, CPU)
    assert [len(part) for part in seen] == [20] and seen[0] is labelled


def test_variants_lie_around_reconstructions_and_lines_end_at_them(generator, labelled):
    x, label = torch.from_numpy(labelled.x), torch.from_numpy(labelled.labels)
    rebuilt = generator.decode(generator.encode(x, label).mean, label).mean
    torch.testing.assert_close(variants(generator, x, label, 1e-6), rebuilt, atol=1e-4, rtol=0)
    torch.testing.assert_close(between(generator, x, x, label), rebuilt)
    near, far = ((variants(generator, x, label, spread) - rebuilt).abs().mean() for spread in (0.3, 3.0))
    assert near < far
    assert new_images(generator, label).shape == rebuilt.shape


def test_arms_begin_alike_and_a_classifier_follows_from_its_seed(labelled, generator, prepared, monkeypatch):
    begun = []
    monkeypatch.setattr(module, "AdamW", lambda net, weight_decay: begun.append(net.classes.weight.clone()) or _Still())
    for arm in ("none", *ARMS):
        fit_classifier(STUDY, arm, labelled, generator, prepared.spec, 5, CPU)
    assert all(torch.equal(each, begun[0]) for each in begun)
    monkeypatch.undo()
    one, two = (fit_classifier(STUDY, "vae_prior", labelled, generator, prepared.spec, 5, CPU) for _ in range(2))
    p = probabilities(one, prepared.test, CPU)
    np.testing.assert_array_equal(p, probabilities(two, prepared.test, CPU))
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


class _Still:
    def step(self, rate):
        pass
