import numpy as np
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from scipy import stats

from vae_pipeline.bundles.export.noise import noise_graph, normal_noise
from vae_pipeline.runtime.inputs import SEEDS


def noise(seed, index, width):
    """[indices, width], float64."""
    index = torch.as_tensor(index, dtype=torch.float32)
    return normal_noise(torch.full_like(index, seed), index, width).double().numpy()


@pytest.mark.parametrize("seed", [0, 1, 4096, SEEDS - 1])
def test_it_is_standard_normal(seed):
    found = noise(seed, np.arange(20_000), 4)
    for column in found.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert stats.kstest(np.square(found).sum(1), stats.chi2(4).cdf).pvalue > 1e-3


def test_neither_dimensions_nor_neighbours_nor_seeds_know_of_each_other():
    index = np.arange(20_000)
    first, second = noise(7, index, 3), noise(8, index, 3)
    columns = np.concatenate([first[1:], first[:-1], second[1:]], 1)
    for values in (columns, np.square(columns)):
        apart = np.corrcoef(values, rowvar=False) - np.eye(9)
        assert np.abs(apart).max() < 4.5 / np.sqrt(len(columns))


def test_pairs_of_dimensions_fill_the_plane():
    places = stats.norm.cdf(noise(3, np.arange(100_000), 2))
    counts, _, _ = np.histogram2d(*places.T, bins=40, range=[[0, 1], [0, 1]])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_a_bit_of_seed_index_or_dimension_changes_half_of_the_signs():
    draw = np.random.default_rng(0)
    seed, index = (torch.from_numpy(draw.integers(0, SEEDS, 4000)).float() for _ in range(2))
    base = normal_noise(seed, index, 8)
    for bit in range(24):
        for other in (
            normal_noise((seed.long() ^ (1 << bit)).float(), index, 8),
            normal_noise(seed, (index.long() ^ (1 << bit)).float(), 8),
        ):
            changed = ((base > 0) != (other > 0)).double().mean().item()
            assert abs(changed - 0.5) < 4.5 * 0.5 / np.sqrt(base.numel())
    changed = ((base[:, :-1] > 0) != (base[:, 1:] > 0)).double().mean().item()
    assert abs(changed - 0.5) < 4.5 * 0.5 / np.sqrt(7 * 4000)


def test_a_row_is_its_own():
    whole = noise(5, np.arange(100), 6)
    np.testing.assert_array_equal(noise(5, [42], 6)[0], whole[42])
    np.testing.assert_array_equal(noise(5, [42], 3)[0], whole[42, :3])
    assert np.isfinite(noise(5, [0, SEEDS - 1], 4000)).all()


def test_dimensions_beyond_a_word_are_noise_of_their_own():
    found = noise(5, np.arange(4), 10_000)
    np.testing.assert_array_equal(found[:, :4096], noise(5, np.arange(4), 4096))
    for row in found:
        assert stats.kstest(row, "norm").pvalue > 1e-3
        assert abs(np.corrcoef(row[:4096], row[4096:8192])[0, 1]) < 4.5 / 64


@pytest.mark.parametrize(("width", "rows"), [(5, 500), (4100, 3)])
def test_the_graph_gives_the_same_noise(width, rows):
    draw = np.random.default_rng(0)
    seed, index = (draw.integers(0, SEEDS, rows).astype(np.float32) for _ in range(2))
    wanted = normal_noise(torch.from_numpy(seed), torch.from_numpy(index), width).numpy()
    proto = noise_graph(width, 18)
    inputs = {"seed": seed, "index": index}
    (reference,) = ReferenceEvaluator(proto).run(None, inputs)
    (found,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, inputs)
    np.testing.assert_allclose(reference, wanted, atol=5e-6)
    np.testing.assert_allclose(found, wanted, atol=5e-6)
