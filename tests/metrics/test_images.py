import numpy as np
import pytest
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vae_pipeline.data.store import Split
from vae_pipeline.metrics import images


@pytest.fixture
def pair():
    draw = np.random.default_rng(0)
    first = draw.random((4, 3, 16, 20))
    return first, np.clip(first + 0.1 * draw.standard_normal(first.shape), 0, 1)


def test_ssim_is_scikit_images(pair):
    ours = images.structural_similarity(*pair)
    for index, (first, second) in enumerate(zip(*pair, strict=True)):
        wanted = structural_similarity(
            first, second, channel_axis=0, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ours[index] == pytest.approx(wanted, abs=1e-12)


def test_ssim_of_small_images():
    draw = np.random.default_rng(0)
    first = draw.random((2, 1, 8, 8))
    assert images.structural_similarity(first, first) == pytest.approx(1)
    assert (images.structural_similarity(first, draw.random((2, 1, 8, 8))) < 0.5).all()


def test_psnr_is_scikit_images(pair):
    for first, second in zip(*pair, strict=True):
        mse = np.array([((first - second) ** 2).mean()])
        assert images.psnr(mse)[0] == pytest.approx(peak_signal_noise_ratio(first, second, data_range=1))


def test_a_perfect_image_is_finite():
    assert images.psnr(np.zeros(1)) == pytest.approx(100)


def test_the_entropy_floor_is_scipys():
    x = np.random.default_rng(0).integers(0, 256, (10, 1, 4, 4)).astype(np.uint8)
    p = x.reshape(10, -1) / 255
    wanted = entropy(np.stack([p, 1 - p])).sum(axis=1).mean()
    assert images.entropy_floor(Split(x, None), 0, 255) == pytest.approx(wanted)


def test_the_entropy_floor_of_binary_data_is_zero():
    x = np.random.default_rng(0).integers(0, 2, (10, 1, 4, 4)).astype(np.uint8)
    assert images.entropy_floor(Split(x, None), 0, 1) == 0
