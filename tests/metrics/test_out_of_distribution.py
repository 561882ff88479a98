import io

import numpy as np
from PIL import Image

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.metrics.out_of_distribution import atypicality, complexity


def test_complexity_is_the_length_of_the_file_that_pillow_writes(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (3, 3, 9, 7)).astype(np.uint8)
    images[0] = 200
    found = complexity(images, ImageSpec((3, 9, 7), "uint8", 0, 255, False))
    for image, nats in zip(images, found, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "image.png", optimize=True)
        assert nats == (tmp_path / "image.png").stat().st_size * np.log(256)
    assert found[0] < found[1]


def test_a_lossless_file_gives_the_image_back():
    image = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    np.testing.assert_array_equal(np.asarray(Image.open(file)), image)
    found = complexity(image[None, None], ImageSpec((1, 9, 7), "uint8", 0, 255, False))
    assert found[0] == len(file.getvalue()) * 8 * np.log(2)


def test_what_is_too_likely_is_as_untypical_as_what_is_too_unlikely():
    known = np.array([10.0, 12.0, 14.0])
    np.testing.assert_array_equal(atypicality(np.array([2.0, 12.0, 22.0]), known), [10, 0, 10])
