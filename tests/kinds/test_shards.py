"""A training part in several files: the same rows as in one, for every machine those that it needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.lanes import ROOT
from tests.tables import mixed_frame
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.mapped import MappedArray, save_array
from vae_pipeline.kinds.shards import Shards
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import Data, shards_of
from vae_pipeline.system.errors import DataError, RecipeError
from vae_pipeline.system.reading import parse

COUNT, PARTS = 23, {"valid": 0.1, "test": 0.2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An array, and what it is in four files, each read by itself."""
    folder = tmp_path_factory.mktemp("files")
    values = np.random.default_rng(0).integers(0, 256, (COUNT, 2, 3), np.uint8)
    for shard in range(4):
        save_array(folder / f"{shard}.npy", values[shard::4])
    return values, {shard: MappedArray(folder / f"{shard}.npy") for shard in range(4)}


@given(st.lists(st.integers(0, COUNT - 1)), st.slices(COUNT))
@settings(deadline=None, max_examples=50)
def test_rows_are_those_of_the_whole_array(files, rows, piece):
    values, parts = files
    shards = Shards(parts, 4, values.shape, "uint8")
    assert (len(shards), shards.shape, shards.dtype, shards.nbytes) == (COUNT, values.shape, np.uint8, values.nbytes)
    np.testing.assert_array_equal(shards[np.array(rows, np.int64)], values[rows])
    np.testing.assert_array_equal(shards[piece], values[piece])
    np.testing.assert_array_equal(shards[COUNT - 1], values[COUNT - 1])
    np.testing.assert_array_equal(np.asarray(shards), values)


def test_rows_of_others_are_asked_for_where_they_answer(files):
    values, parts = files
    some = Shards({1: parts[1], 3: parts[3]}, 4, values.shape, "uint8")
    np.testing.assert_array_equal(some[np.array([1, 7, 3])], values[[1, 7, 3]])
    with pytest.raises(DataError, match="row 4 of the training part lies with another process"):
        some[np.array([1, 4])]
    asked = []
    some.elsewhere = lambda rows: asked.append(rows.tolist()) or values[rows]
    np.testing.assert_array_equal(some[2:9], values[2:9])
    assert asked == [[2, 4, 6, 8]]


def tones(folder):
    return {"kind": "drawn_tones", "examples": 60, "rate_hz": 8000, "seconds": 0.01, **PARTS}


def table(folder):
    mixed_frame().to_csv(folder / "rows.csv", index=False)
    data = {"file": {"path": str(folder / "rows.csv")}, "columns": {"id": "ignored"}, "scaling": "standard"}
    return {"kind": "table", "label": {"column": "fraud", "normal": "0"}, "one_class": True, **data, **PARTS}


def pictures(folder):
    return {"kind": "synthetic", "examples": 90, "side": 6, **PARTS}


def written(section, folder, **more):
    data = TypeAdapter(Data).validate_python({**section, **more})
    folder.mkdir()
    write(open_source(data, Finder(folder), 0), folder, 0, shards_of(data))
    return folder


@pytest.mark.parametrize("kind", [pictures, tones, table])
def test_every_kind_is_dealt_row_by_row_and_nothing_else_changes(kind, tmp_path):
    section = kind(tmp_path)
    whole, dealt = written(section, tmp_path / "whole"), written(section, tmp_path / "dealt", shards=3)
    rows = np.load(whole / "train.npy")
    for shard in range(3):
        np.testing.assert_array_equal(np.load(dealt / f"train-{shard:05d}-of-00003.npy"), rows[shard::3])
    others = {path.name for path in whole.iterdir()} - {"train.npy", "digests.json"}
    assert {path.name for path in dealt.iterdir() if not path.name.startswith("train-")} == others | {"digests.json"}
    assert all((whole / name).read_bytes() == (dealt / name).read_bytes() for name in others)
    one, other = Prepared.open(whole), Prepared.open(dealt)
    np.testing.assert_array_equal(one.train.x[:], other.train.x[:])
    assert one.digest() != other.digest()
    changed = np.load(dealt / "train-00002-of-00003.npy")
    changed[0] = changed[1]
    save_array(dealt / "train-00002-of-00003.npy", changed)
    with pytest.raises(DataError, match=r"train-00002-of-00003\.npy isn't the file that `vae-pipeline prepare` wrote"):
        Prepared.open(dealt)


@pytest.fixture
def dealt(tmp_path):
    return written(pictures(tmp_path), tmp_path / "dealt", shards=4)


def test_a_process_opens_its_own_files_alone(dealt):
    digest = Prepared.open(dealt).digest()
    for shard in (0, 2):
        (dealt / f"train-0000{shard}-of-00004.npy").unlink()
    found = Prepared.open(dealt, 1, 2)
    assert sorted(found.train.x.files) == [1, 3] and found.digest() == digest
    assert len(found.train) == len(found.train.labels) == found.card["examples"]["train"]
    message = "lacks train-00000-of-00004.npy and 1 more, shards of the training part .* copy them from where"
    for place, processes in ((0, 2), (0, 1)):
        with pytest.raises(DataError, match=message):
            Prepared.open(dealt, place, processes)


def test_a_file_of_other_shards_or_of_all_is_no_shard(dealt):
    """Files that an earlier `prepare` left beside it have no digest, so that nothing would tell a change of them."""
    found = Prepared.open(dealt).train.x[:]
    save_array(dealt / "train.npy", np.zeros_like(found))
    save_array(dealt / "train-00000-of-00002.npy", np.zeros_like(found[::2]))
    np.testing.assert_array_equal(Prepared.open(dealt).train.x[:], found)


def test_a_shard_of_another_length_is_refused(dealt):
    rows = np.load(dealt / "train-00003-of-00004.npy")
    save_array(dealt / "train-00003-of-00004.npy", rows[1:])
    with pytest.raises(DataError, match=r"train-00003-of-00004\.npy doesn't fit spec\.json"):
        Prepared.open(dealt)


def test_more_shards_than_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.shards is 512, and there are \d\d training examples: take fewer"):
        written(pictures(tmp_path), tmp_path / "out", shards=512)


@pytest.mark.parametrize(("shards", "message"), [(1, "greater than or equal to 2"), ("4", "valid integer")])
def test_a_number_that_deals_nothing_is_refused(shards, message, smoke):
    values = smoke.model_dump(mode="json")
    values["data"] |= {"shards": shards}
    with pytest.raises(RecipeError, match=rf"data.*shards.*{message}"):
        parse(Recipe, values, "smoke.yaml")


def test_sentences_have_no_shards():
    values = Recipe.load(ROOT / "pipeline" / "sentences.yaml").model_dump(mode="json")
    values["data"] |= {"shards": 2}
    with pytest.raises(RecipeError, match="shards"):
        parse(Recipe, values, "sentences.yaml")


def test_the_command_names_the_files_of_each_machine(dealt, tmp_path):
    run = lambda *words: CliRunner().invoke(app, ["shards", str(dealt), *words])  # noqa: E731
    lines = run("--machines", "2").output.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["machine 0", "machine 1"]
    assert [line.split()[-2:] for line in lines] == [
        [f"train-0000{shard}-of-00004.npy" for shard in own] for own in ((0, 2), (1, 3))
    ]
    names = run("--machines", "2", "--each", "2", "--machine", "1").output.splitlines()
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in names:
        (kept / name).write_bytes((dealt / name).read_bytes())
    for place in (2, 3):
        assert list(Prepared.open(kept, place, 4).train.x.files) == [place]
    refused = run("--machines", "3")
    assert "3 processes can't share 4 shards evenly" in str(refused.exception)
    assert "numbered from 0 to 1" in str(run("--machines", "2", "--machine", "2").exception)


def test_the_command_refuses_a_training_part_in_one_file(prepared):
    refused = CliRunner().invoke(app, ["shards", str(prepared.folder), "--machines", "2"])
    assert "has the training part in one file, which every machine needs: set data.shards" in str(refused.exception)
