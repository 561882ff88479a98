"""Images of one class: pictures with masks beside them, and defects that are drawn."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from tests.kinds.image.test_folder import as_folder, as_tar, png

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.decoding import read_mask
from vae_pipeline.kinds.image.defects import spoil
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import DrawnDefectsData, FolderData
from vae_pipeline.system.errors import DataError

KINDS = ["stripe", "blob", "missing"]


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


def mask(row: int) -> bytes:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[row, 1:3] = 176
    return png(pixels)


def tiles(flawless: int = 20) -> dict[str, bytes]:
    """Tiles in KIND/Imgs: flawless ones, some of them with an empty mask; cracks and frays, each with its mask."""
    files = {f"Free/Imgs/{index}.jpg": jpeg(index) for index in range(flawless)}
    files["Free/Imgs/0.png"] = png(np.zeros((8, 8), np.uint8))
    for kind, shade in (("Crack", 100), ("Fray", 200)):
        files |= {f"{kind}/Imgs/{index}.jpg": jpeg(shade + index) for index in range(3)}
        files |= {f"{kind}/Imgs/{index}.png": mask(index) for index in range(3)}
    return files


def folder_data(train: Path, **options) -> FolderData:
    plain = {"shape": (1, 8, 8), "resize": "stretch", "corrupt": "fail", "valid": 0.2, "test": 0.4}
    labels = {"normal": "Free", "masks": "beside"}
    return FolderData(kind="folder", train=str(train), **(plain | {"labels": labels} | options))


def prepare(data, folder: Path, seed: int = 0) -> Prepared:
    folder.mkdir()
    write(open_source(data, Finder(folder), seed), folder, seed)
    return Prepared.open(folder)


@pytest.mark.parametrize("pack", [as_folder, as_tar])
def test_anomalies_are_kept_for_the_test_part_with_their_masks(pack, tmp_path):
    prepared = prepare(folder_data(pack(tmp_path / "tiles", tiles())), tmp_path / "data")
    assert prepared.spec.classes == ("Free", "Crack", "Fray")
    assert prepared.tells_anomalies
    for part in (prepared.train, prepared.valid):
        assert len(part) > 0 and not part.labels.any() and part.masks is None
    assert np.bincount(prepared.test.labels)[1:].tolist() == [3, 3]
    assert len(prepared.train) + len(prepared.valid) + len(prepared.test) == 26
    shades, masks = prepared.test.x[:][:, 0, 0, 0].astype(int), prepared.test.masks
    assert masks.shape == (len(prepared.test), 8, 8) and masks.dtype == np.uint8
    for label, shade, found in zip(prepared.test.labels, shades, masks[:], strict=True):
        wanted = np.zeros((8, 8), np.uint8)
        if label:
            wanted[shade - 100 * label, 1:3] = 1
        assert found.tolist() == wanted.tolist()


def test_the_card_tells_the_split(tmp_path):
    data = folder_data(as_folder(tmp_path / "tiles", tiles()))
    first, again = (prepare(data, tmp_path / name).card["split"] for name in ("first", "again"))
    other = prepare(data, tmp_path / "other", seed=1).card["split"]
    assert first == again
    assert first["kind"] == other["kind"] == "one_class"
    assert first["indices"].keys() == {"train", "valid", "test"}
    assert first["indices"]["train"] != other["indices"]["train"]
    assert json.loads((tmp_path / "first" / "card.json").read_text())["classes"]["test"]["Crack"] == 3


def test_without_masks_every_picture_is_one(tmp_path):
    place = as_folder(tmp_path / "tiles", {"ok/a.png": png(np.zeros((8, 8), np.uint8)), "bad/a.png": mask(2), **{
        f"ok/{index}.png": png(np.full((8, 8), index, np.uint8)) for index in range(20)
    }})  # fmt: skip
    prepared = prepare(folder_data(place, labels={"normal": "ok", "masks": "none"}), tmp_path / "data")
    assert prepared.spec.classes == ("ok", "bad")
    assert prepared.test.masks is None and not (tmp_path / "data" / "test_masks.npy").exists()
    assert prepared.test.labels.sum() == 1


def test_an_anomaly_without_a_mask_is_named(tmp_path):
    files = tiles()
    del files["Fray/Imgs/1.png"]
    with pytest.raises(DataError, match=r"Fray/Imgs/1\.jpg shows an anomaly, and no mask 1\.png lies beside it"):
        open_source(folder_data(as_folder(tmp_path / "tiles", files)), Finder(tmp_path), 0)


def test_a_normal_folder_that_is_not_there(tmp_path):
    data = folder_data(as_folder(tmp_path / "tiles", tiles()), labels={"normal": "Good", "masks": "beside"})
    with pytest.raises(DataError, match=r"a folder 'Good', as data\.labels\.normal says: its folders are Crack/Imgs"):
        open_source(data, Finder(tmp_path), 0)


def test_a_test_part_of_its_own_has_no_room_for_anomalies():
    with pytest.raises(ValidationError, match="give valid and test as fractions"):
        folder_data(Path("train"), test="test")


def test_a_mask_keeps_its_thinnest_line_when_it_is_made_small():
    pixels = np.zeros((40, 40), np.uint8)
    pixels[17] = 1
    small = read_mask(png(pixels), "mask", (8, 8), "stretch")
    assert small.tolist() == np.repeat(np.eye(8, dtype=int)[3][:, None], 8, axis=1).tolist()


def test_masks_that_do_not_fit_are_refused(tmp_path):
    prepare(folder_data(as_folder(tmp_path / "tiles", tiles())), tmp_path / "data")
    np.save(tmp_path / "data" / "test_masks.npy", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(DataError, match="one mask for each example"):
        Prepared.open(tmp_path / "data")


def drawn(share: float = 0.5, test: float = 0.4) -> DrawnDefectsData:
    images = {"kind": "digits", "valid": 0.1, "test": test}
    return DrawnDefectsData.model_validate(
        {"kind": "drawn_defects", "images": images, "defects": KINDS, "share": share}
    )


class TestDrawnDefects:
    def test_only_the_test_part_is_drawn_on(self, tmp_path):
        prepared, plain = prepare(drawn(), tmp_path / "drawn"), prepare(drawn().images, tmp_path / "plain")
        assert prepared.spec.classes == ("normal", *KINDS) and prepared.tells_anomalies and not plain.tells_anomalies
        for part in ("train", "valid"):
            assert (getattr(prepared, part).x[:] == getattr(plain, part).x[:]).all()
            assert not getattr(prepared, part).labels.any()
        changed = (prepared.test.x[:] != plain.test.x[:]).any(axis=1)
        assert (changed == prepared.test.masks[:]).all()
        assert (changed.any(axis=(1, 2)) == (prepared.test.labels > 0)).all()
        assert (prepared.test.labels > 0).mean() == pytest.approx(0.5, abs=0.08)

    def test_the_same_seed_draws_the_same(self, tmp_path):
        first, again = prepare(drawn(), tmp_path / "first"), prepare(drawn(), tmp_path / "again")
        assert first.digest() == again.digest()
        assert first.digest() != prepare(drawn(), tmp_path / "other", seed=1).digest()

    def test_rows_do_not_depend_on_how_they_are_read(self):
        rows = open_source(drawn(), Finder(Path("nowhere")), 0).test.rows
        whole = rows[np.arange(len(rows))]
        assert (rows[np.array([9, 4])] == whole[[9, 4]]).all()

    def test_images_that_have_defects_already(self):
        images = folder_data(Path("tiles")).model_dump()
        with pytest.raises(ValidationError, match="defects are drawn on images that have none of their own"):
            DrawnDefectsData.model_validate({**drawn().model_dump(), "images": images})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 28, 28), (3, 20, 33)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_every_defect_can_be_seen(kind, shape, shade):
    for index in range(30):
        image = np.full(shape, shade, np.uint8)
        changed = spoil(image, kind, 0, 255, np.random.default_rng(index))
        assert (changed >= 0).all() and (changed <= 255).all()
        away = np.abs(changed - image.astype(float)).max()
        assert away >= 0.5 * max(shade, 255 - shade) - 1e-9
