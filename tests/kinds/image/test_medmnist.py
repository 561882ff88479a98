"""MedMNIST's files are read in their official parts, with names for their labels."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import MedmnistData
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder, sha256_of

SIZES = {"train": 6, "val": 3, "test": 4}


def arrays(*axes):
    draw = np.random.default_rng(0)
    found = {}
    for part, count in SIZES.items():
        found[f"{part}_images"] = draw.integers(0, 256, (count, *axes), np.uint8)
        found[f"{part}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 2
    return found


def saved(path, found):
    np.savez_compressed(path, **found)
    return MedmnistData.model_validate({"kind": "medmnist", "file": {"path": str(path)}})


@pytest.mark.parametrize("axes", [(28, 28), (28, 20, 3)])
def test_the_parts_are_the_official_ones(axes, tmp_path):
    found = arrays(*axes)
    source = open_source(saved(tmp_path / "x.npz", found), Finder(tmp_path), 0)
    assert (source.shape, source.dtype) == ((3 if len(axes) == 3 else 1, *axes[:2]), "uint8")
    for name, part in {"train": source.train, "val": source.valid, "test": source.test}.items():
        assert isinstance(part, Part)
        images = np.asarray(part.rows)
        expected = found[f"{name}_images"].reshape(SIZES[name], *axes[:2], -1).transpose(0, 3, 1, 2)
        assert np.array_equal(images, expected)
        assert np.array_equal(part.labels, found[f"{name}_labels"].ravel())


def test_labels_get_names_and_rows_of_train_that_are_in_another_part_can_be_left_out(tmp_path):
    found = arrays(8, 8)
    found["train_images"][2] = found["test_images"][1]
    data = saved(tmp_path / "x.npz", found).model_dump(mode="json")
    data |= {"classes": ["well", "ill"], "split": {"duplicates": "drop"}}
    with filled_folder(tmp_path / "out") as folder:
        write(open_source(MedmnistData.model_validate(data), Finder(tmp_path), 0), folder, 0)
    prepared = Prepared.open(tmp_path / "out")
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == (5, 3, 4)
    assert prepared.card["classes"]["test"] == {"well": 2, "ill": 2}
    assert prepared.card["dropped"] == {"duplicate": 1}


def test_a_mirror_may_have_the_file_in_another_form(tmp_path):
    (tmp_path / "mirror").mkdir()
    other = tmp_path / "mirror" / "other.npz"
    np.savez(other, **arrays(8, 8))
    file = {
        "url": "https://nowhere.invalid/x.npz?download=1",
        "digest": f"md5:{'0' * 32}",
        "repacked": {"name": "other.npz", "digest": f"sha256:{sha256_of(other)}"},
    }
    data = MedmnistData.model_validate({"kind": "medmnist", "file": file})
    source = open_source(data, Finder(tmp_path / "cache", str(tmp_path / "mirror")), 0)
    assert len(source.train.rows) == SIZES["train"] and source.origins == {"other.npz": file["repacked"]["digest"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found | {"train_images": np.zeros((6, 8, 8, 8), np.uint8)}, "MedMNIST's 2D sets"),
        (lambda found: found | {"train_labels": np.zeros((6, 14), np.uint8)}, "one label an image is wanted"),
        (lambda found: {key: found[key] for key in found if key != "val_images"}, "there is no 'val_images'"),
    ],
)
def test_other_files_are_refused(change, message, tmp_path):
    data = saved(tmp_path / "x.npz", change(arrays(8, 8)))
    with pytest.raises(DataError, match=message):
        open_source(data, Finder(tmp_path), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": {"path": "x.npz", "key": "train_images"}}, "leave key out"),
        ({"split": {"duplicates": "together"}}, "take drop"),
        ({"classes": ["a", "a"]}, "twice"),
    ],
)
def test_a_section_that_means_nothing_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        MedmnistData.model_validate({"kind": "medmnist", "file": {"path": str(Path("x.npz"))}} | changes)
