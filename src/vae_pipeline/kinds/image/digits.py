"""scikit-learn's digits: 1,797 real images of 8x8, values 0..16.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).
"""

import hashlib

import numpy as np
from sklearn.datasets import load_digits

from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.recipe.data import DigitsData


def open_digits(data: DigitsData) -> ImageSource:
    """Read the digits that scikit-learn carries."""
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[:, None]
    return ImageSource(
        shape=(1, 8, 8),
        dtype="uint8",
        low=0,
        high=16,
        classes=tuple(str(digit) for digit in range(10)),
        train=Part(images, bunch.target.astype(np.int64)),
        valid=data.valid,
        test=data.test,
        split=data.split,
        origins={"sklearn.datasets.load_digits": f"sha256:{hashlib.sha256(images.tobytes()).hexdigest()}"},
    )
