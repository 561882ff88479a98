import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors

from vae_pipeline.metrics import generation
from vae_pipeline.metrics.generation import frechet_distance, nearest_neighbour_ratio, overlap


def cloud(count, features=4, seed=0):
    return np.random.default_rng(seed).standard_normal((count, features))


def test_the_frechet_distance_is_its_formula():
    mixing = cloud(4, seed=3)
    first, second = cloud(300), cloud(500, seed=1) @ mixing + 0.5
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-8)


def test_the_frechet_distance_of_known_gaussians():
    """N(0, I) and N((3, 0), 4 I) in two dimensions: 9 + 2 (1 + 4 - 2 * 2)."""
    first, second = cloud(200_000, 2), 2 * cloud(200_000, 2, seed=1) + np.array([3, 0])
    assert frechet_distance(first, second) == pytest.approx(11, abs=0.1)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_it_stands_features_that_never_vary():
    flat = np.concatenate([cloud(100, 3), np.zeros((100, 2))], axis=1)
    assert frechet_distance(flat, flat + 1) == pytest.approx(5, abs=1e-8)


def test_overlap_is_what_scikit_learns_neighbours_say(monkeypatch):
    monkeypatch.setattr(generation, "BLOCK", 37)
    real, samples = cloud(150), 1.3 * cloud(220, seed=1) + 0.3
    found = overlap(real, samples)
    reach = [NearestNeighbors(n_neighbors=6).fit(x).kneighbors(x)[0][:, -1] for x in (real, samples)]
    distance = np.linalg.norm(real[:, None] - samples, axis=-1)
    in_real, in_samples = distance <= reach[0][:, None], distance <= reach[1]
    assert found.precision == pytest.approx(in_real.any(0).mean())
    assert found.recall == pytest.approx(in_samples.any(1).mean())
    assert found.density == pytest.approx(in_real.sum(0).mean() / 5)
    assert found.coverage == pytest.approx(in_real.any(1).mean())


def test_one_distribution_overlaps_and_two_far_apart_do_not():
    found = overlap(cloud(1000), cloud(1000, seed=1))
    assert min(found.precision, found.recall, found.coverage) > 0.9 and found.density == pytest.approx(1, abs=0.1)
    apart = overlap(cloud(100), cloud(100, seed=1) + 50)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)


def test_copies_of_training_images_are_noticed():
    train, test = cloud(500), cloud(400, seed=1)
    assert nearest_neighbour_ratio(train[:300] + 1e-6, train, test) < 0.01
    assert nearest_neighbour_ratio(cloud(300, seed=2), train, test) == pytest.approx(1, abs=0.05)
