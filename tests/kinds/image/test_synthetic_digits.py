from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import ImageSource
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import DigitsData, SyntheticData


def bars(seed: int, examples: int = 300, side: int = 12) -> ImageSource:
    data = SyntheticData(kind="synthetic", examples=examples, side=side, valid=0.1, test=0.2)
    return open_source(data, Finder(Path("nowhere")), seed)


def images(source: ImageSource) -> np.ndarray:
    return source.train.rows[np.arange(len(source.train.rows))]


def test_digits_are_those_of_scikit_learn() -> None:
    source = open_source(DigitsData(kind="digits", valid=0.1, test=0.2), Finder(Path("nowhere")), seed=0)
    wanted = load_digits()
    np.testing.assert_array_equal(images(source).reshape(1797, 64), wanted.data)
    np.testing.assert_array_equal(source.train.labels, wanted.target)
    assert source.classes == tuple(str(name) for name in wanted.target_names)
    assert (source.low, source.high) == (wanted.data.min(), wanted.data.max())
    assert (source.valid, source.test) == (0.1, 0.2)


def test_prepared_digits_are_all_there(tmp_path: Path) -> None:
    write(open_source(DigitsData(kind="digits", valid=0.1, test=0.2), Finder(tmp_path), 0), tmp_path, seed=0)
    data = Prepared.open(tmp_path)
    parts = [data.train, data.valid, data.test]
    found = np.concatenate([np.column_stack([part.x[:].reshape(-1, 64), part.labels]) for part in parts])
    wanted = np.column_stack(load_digits(return_X_y=True))
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(wanted, axis=0))
    assert len(found) == len(wanted)
    assert data.card["examples"] == {"train": len(parts[0]), "valid": len(parts[1]), "test": len(parts[2])}


@pytest.mark.parametrize("side", [4, 5, 12])
def test_every_image_holds_one_bar_of_its_class(side: int) -> None:
    source = bars(0, side=side)
    assert source.classes == ("upright", "lying")
    assert source.train.labels is not None
    for image, label in zip(images(source)[:, 0], source.train.labels, strict=True):
        bar = image.T if label else image
        assert (bar == bar[0]).all()
        lit = np.flatnonzero(bar[0])
        assert 1 <= len(lit) <= max(1, side // 3)
        assert lit[-1] - lit[0] + 1 == len(lit)
        assert len(np.unique(bar[0, lit])) == 1
        assert bar[0, lit[0]] >= 128


def test_both_classes_are_about_as_many() -> None:
    labels = bars(0, examples=1000).train.labels
    assert labels is not None
    assert abs(labels.mean() - 0.5) < 0.08  # five standard deviations


def test_bars_depend_on_the_seed_alone() -> None:
    np.testing.assert_array_equal(images(bars(1)), images(bars(1)))
    assert (images(bars(1)) != images(bars(2))).any()
    assert bars(1).origins != bars(2).origins
