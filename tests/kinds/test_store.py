import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.splitting import split
from vae_pipeline.kinds.store import PARTS, Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.metrics.parts import taken
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder

Array = npt.NDArray[Any]
FULL_DISK = """
import resource
from pathlib import Path
import numpy as np
from vae_pipeline.kinds.parts import Part, ImageSource
from vae_pipeline.kinds.writing import write
from vae_pipeline.system.errors import OutputError
from vae_pipeline.system.files import filled_folder
images = np.zeros(({count}, 1, 1, {width}), np.uint8)
part = Part(images, np.zeros({count}, np.int64))
source = ImageSource((1, 1, {width}), "uint8", 0, 255, ("a",), part, 0.0, 0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
try:
    with filled_folder(Path({out!r})) as folder:
        write(source, folder, 0)
except OutputError as error:
    print(error)
"""


def numbered(count: int) -> Array:
    return np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)


def source_of(
    images: Array,
    labels: Any = None,
    valid: Part | float = 0.1,
    test: Part | float = 0.2,
    span: tuple[float, float] = (0, 1e6),
    classes: tuple[str, ...] = (),
) -> ImageSource:
    found = None if labels is None else np.asarray(labels, np.int64)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    return ImageSource(shape, str(images.dtype), *span, classes, Part(images, found), valid, test)


def places(count: int, seed: int, valid: float, test: float) -> dict[int, str]:
    parts = split(source_of(numbered(count), valid=valid, test=test), seed)
    return {int(row): name for name in PARTS for row in parts[name].rows[np.arange(len(parts[name].rows))].ravel()}


def written(folder: Path, source: ImageSource, seed: int = 0) -> Prepared:
    folder.mkdir(exist_ok=True)
    write(source, folder, seed)
    return Prepared.open(folder)


# Enough rows that no part comes out empty.
fractions = st.tuples(st.floats(0.1, 0.4), st.floats(0.1, 0.4))
counts = st.integers(300, 500)
seeds = st.integers(0, 2**32 - 1)


@given(counts, seeds, fractions)
@settings(deadline=None, max_examples=50)
def test_split_is_a_partition(count: int, seed: int, wanted: tuple[float, float]) -> None:
    parts = split(source_of(numbered(count), np.arange(count), *wanted), seed)
    rows = np.concatenate([parts[name].rows[np.arange(len(parts[name].rows))].ravel() for name in PARTS])
    np.testing.assert_array_equal(np.sort(rows), np.arange(count))
    labels = np.concatenate([parts[name].labels for name in PARTS])
    np.testing.assert_array_equal(labels, rows)


@given(counts, seeds, fractions, st.integers(1, 500))
@settings(deadline=None, max_examples=50)
def test_rows_added_later_move_none(count: int, seed: int, wanted: tuple[float, float], more: int) -> None:
    before, after = places(count, seed, *wanted), places(count + more, seed, *wanted)
    assert {row: after[row] for row in before} == before


@given(seeds, fractions)
@settings(deadline=None, max_examples=25)
def test_split_depends_on_the_seed(seed: int, wanted: tuple[float, float]) -> None:
    assert places(300, seed, *wanted) == places(300, seed, *wanted)
    assert places(300, seed, *wanted) != places(300, (seed + 1) % 2**32, *wanted)


def test_parts_are_as_large_as_wanted() -> None:
    parts = split(source_of(numbered(20_000), valid=0.1, test=0.25), seed=3)
    shares = [len(parts[name].rows) / 20_000 for name in PARTS]
    np.testing.assert_allclose(shares, [0.65, 0.1, 0.25], atol=0.015)  # over four standard deviations


def test_parts_of_their_own_are_kept_whole() -> None:
    test = Part(numbered(7), None)
    parts = split(source_of(numbered(100), valid=0.0, test=test), seed=0)
    assert parts["test"] is test
    assert (len(parts["train"].rows), len(parts["valid"].rows)) == (100, 0)


@pytest.mark.parametrize(
    ("count", "valid", "test", "empty"), [(2, 0.1, 0.001, "valid|test"), (0, 0.0, Part(numbered(3), None), "train")]
)
def test_empty_part_is_refused(count: int, valid: float, test: Part | float, empty: str) -> None:
    with pytest.raises(DataError, match=f"the ({empty}) part is empty: {count} examples are too few"):
        split(source_of(numbered(count), valid=valid, test=test), seed=0)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_prepared_holds_what_was_written(tmp_path: Path, dtype: str) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (9000, 1, 2, 3)).astype(dtype)  # more than two chunks
    labels = draw.integers(0, 3, 9000)
    source = source_of(images, labels, span=(0, 255), classes=("a", "b", "c"))
    data, parts = written(tmp_path / "out", source), split(source, 0)
    for name, found in zip(PARTS, (data.train, data.valid, data.test), strict=True):
        np.testing.assert_array_equal(found.x[:], parts[name].rows[np.arange(len(found))])
        np.testing.assert_array_equal(found.labels, parts[name].labels)
        assert found.x.dtype == dtype
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{name}.npy"), found.x[:])
    assert data.spec.classes == ("a", "b", "c")
    assert data.card["observed"]["test"]["mean"] == pytest.approx(data.test.x[:].mean(dtype=float), abs=1e-5)
    assert data.card["classes"]["valid"] == dict(zip("abc", np.bincount(parts["valid"].labels).tolist(), strict=True))


def test_attributes_stay_beside_their_rows(tmp_path: Path) -> None:
    marks = np.random.default_rng(0).integers(0, 2, (80, 2)).astype(bool)
    plain = source_of(numbered(80))
    train = dataclasses.replace(plain.train, attributes=marks)
    source = dataclasses.replace(plain, train=train, attributes=("smiling", "glasses"))
    data = written(tmp_path / "marked", source)
    assert data.spec.attributes == ("smiling", "glasses")
    for name, part in zip(PARTS, (data.train, data.valid, data.test), strict=True):
        np.testing.assert_array_equal(part.attributes, marks[part.x[:].ravel().astype(int)])
        assert data.card["attributes"][name] == dict(zip(data.spec.attributes, part.attributes.sum(0), strict=True))
    some = taken(data.train, np.array([3, 1]))
    np.testing.assert_array_equal(some.attributes, data.train.attributes[[3, 1]])
    unmarked = written(tmp_path / "plain", plain)
    assert unmarked.train.attributes is None
    assert "attributes" not in unmarked.spec.to_dict() | unmarked.card
    assert unmarked.digest() != data.digest()


@pytest.mark.parametrize("other", [np.zeros((3, 1), bool), np.zeros((80, 1))])
def test_attributes_of_another_shape_or_type(tmp_path: Path, other: Array) -> None:
    plain = source_of(numbered(80), valid=0.0, test=Part(numbered(1), None, attributes=np.ones((1, 1), bool)))
    train = dataclasses.replace(plain.train, attributes=np.ones((80, 1), bool))
    written(tmp_path, dataclasses.replace(plain, train=train, attributes=("smiling",)))
    np.save(tmp_path / "train_attributes.npy", other)
    with pytest.raises(DataError, match=r"train_attributes\.npy doesn't hold 1 attributes of each example"):
        Prepared.open(tmp_path)


def test_no_validation_part(tmp_path: Path) -> None:
    data = written(tmp_path, source_of(numbered(50), valid=0.0))
    assert data.valid.x.shape == (0, 1, 1, 1)
    assert data.valid.labels is None
    assert data.card["examples"]["valid"] == 0


@pytest.mark.parametrize(("span", "binary"), [((0, 1), True), ((0, 2), False), ((-1, 1), False)])
def test_binary_is_noticed(tmp_path: Path, span: tuple[float, float], binary: bool) -> None:
    images = np.random.default_rng(0).integers(0, 2, (60, 1, 2, 2)).astype(np.float32)
    assert written(tmp_path, source_of(images, span=span)).spec.binary is binary


def test_duplicates_are_counted(tmp_path: Path) -> None:
    train = Part(np.array([1, 2, 2, 2, 3], np.uint8).reshape(-1, 1, 1, 1), None)
    valid = Part(np.array([3, 3, 4], np.uint8).reshape(-1, 1, 1, 1), None)
    test = Part(np.array([2, 5], np.uint8).reshape(-1, 1, 1, 1), None)
    data = written(tmp_path, ImageSource((1, 1, 1), "uint8", 0, 255, (), train, valid, test))
    assert data.card["duplicates"] == {"within_train": 2, "valid_in_train": 2, "test_in_train": 1}


def test_equal_data_has_an_equal_digest(tmp_path: Path) -> None:
    labels = np.arange(80) % 2
    base = source_of(numbered(80), labels, classes=("a", "b"))
    digest = written(tmp_path / "base", base).digest()
    assert written(tmp_path / "same", source_of(numbered(80), labels, classes=("a", "b"))).digest() == digest
    changed = numbered(80)
    changed[41] += 0.5
    others = {
        "value": source_of(changed, labels, classes=("a", "b")),
        "label": source_of(numbered(80), 1 - labels, classes=("a", "b")),
        "range": source_of(numbered(80), labels, span=(0, 2e6), classes=("a", "b")),
        "class": source_of(numbered(80), labels, classes=("a", "c")),
        "unlabelled": source_of(numbered(80)),
    }
    digests = {name: written(tmp_path / name, source).digest() for name, source in others.items()}
    digests["seed"] = written(tmp_path / "seed", base, seed=1).digest()
    assert len({digest, *digests.values()}) == 7


def test_every_file_but_the_card_counts_for_the_digest(tmp_path: Path) -> None:
    marks, groups = np.ones((80, 1), bool), {"train": [str(row // 4) for row in range(80)]}
    masked = Part(numbered(6), np.arange(6) % 2, masks=np.ones((6, 1, 1), np.uint8), attributes=marks[:6])
    source = source_of(numbered(80), np.arange(80) % 2, test=masked, classes=("a", "b"))
    train = dataclasses.replace(source.train, attributes=marks)
    groups |= {"test": ["x"] * 6}
    source = dataclasses.replace(source, train=train, attributes=("smiling",), groups=groups)
    with filled_folder(tmp_path / "out") as folder:
        write(source, folder, 0, shards=2)
    data = Prepared.open(tmp_path / "out")
    assert {"train_groups.npy", "test_masks.npy", "train-00001-of-00002.npy"} < data.digests.keys()
    found = {
        name: dataclasses.replace(data, digests={**data.digests, name: "another"}).digest() for name in data.digests
    }
    assert [name for name, digest in found.items() if digest == data.digest()] == ["card.json"]
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_data_leaves_the_earlier_folder(tmp_path: Path, bad: float) -> None:
    out = tmp_path / "out"
    digest = written(out, source_of(numbered(50))).digest()
    images = numbered(50)
    images[13] = bad

    def prepare() -> None:
        with filled_folder(out) as folder:
            write(source_of(images), folder, 0)

    with pytest.raises(DataError, match="hold NaN or infinity"):
        prepare()
    assert Prepared.open(out).digest() == digest
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"]


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "train_labels.npy"])
def test_truncated_array(tmp_path: Path, name: str) -> None:
    written(tmp_path, source_of(numbered(50), np.zeros(50), classes=("a",)))
    whole = (tmp_path / name).read_bytes()
    for length in (0, 4, 40, len(whole) - 1):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(DataError, match=rf"{name} is truncated or corrupt .*: run `vae-pipeline prepare` again"):
            Prepared.open(tmp_path)


def test_corrupt_header(tmp_path: Path) -> None:
    written(tmp_path, source_of(numbered(50)))
    path = tmp_path / "test.npy"
    path.write_bytes(path.read_bytes().replace(b"}", b" ", 1))
    with pytest.raises(DataError, match=r"test\.npy is truncated or corrupt"):
        Prepared.open(tmp_path)


@pytest.mark.parametrize("name", ["spec.json", "train.npy", "test_labels.npy"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    written(tmp_path, source_of(numbered(50), np.zeros(50), classes=("a",)))
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name} isn't there: run `vae-pipeline prepare` first"):
        Prepared.open(tmp_path)


@pytest.mark.parametrize("other", [np.zeros((5, 1, 1, 2), np.float32), np.zeros((5, 1, 1, 1), np.uint8)])
def test_array_of_another_shape_or_type(tmp_path: Path, other: Array) -> None:
    written(tmp_path, source_of(numbered(50)))
    np.save(tmp_path / "train.npy", other)
    with pytest.raises(DataError, match=r"train\.npy doesn't fit spec\.json"):
        Prepared.open(tmp_path)


def test_labels_of_another_length(tmp_path: Path) -> None:
    data = written(tmp_path, source_of(numbered(50), np.zeros(50), classes=("a",)))
    np.save(tmp_path / "test_labels.npy", np.zeros(3, np.int64))
    with pytest.raises(DataError, match=rf"one label of 0\.\.0 for each of {len(data.test)} examples"):
        Prepared.open(tmp_path)


def test_card_is_json_of_plain_values(tmp_path: Path) -> None:
    data = written(tmp_path, source_of(numbered(50)))
    assert data.card == json.loads((tmp_path / "card.json").read_text())
    assert data.card["range"] == [0, 1e6]
    assert sum(data.card["examples"].values()) == 50


@pytest.mark.parametrize(("count", "width"), [(100, 1000), (5000, 1)], ids=["images", "labels"])
def test_full_disk_keeps_the_earlier_data(tmp_path: Path, count: int, width: int) -> None:
    out = tmp_path / "out"
    digest = written(out, source_of(numbered(50))).digest()
    program = FULL_DISK.format(count=count, width=width, out=str(out))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"can't write {out}: file too large; free space or name another folder")
    assert Prepared.open(out).digest() == digest
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"]
