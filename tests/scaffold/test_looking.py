"""Data of every kind are told apart by what they hold, and the recipe that is written for them can read them."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from tests.kinds.audio.test_decoding import recorded
from tests.kinds.image.test_folder import as_folder, as_zip
from tests.tables import mixed_frame

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import Source
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.text.store import fit_tokenizer
from vae_pipeline.recipe import Recipe
from vae_pipeline.scaffold.begin import Begun, begin, name_of, project_of
from vae_pipeline.scaffold.looking.found import Places
from vae_pipeline.scaffold.looking.look import look
from vae_pipeline.system.errors import DataError, OutputError, RecipeError

ENOUGH = 60


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def png(height: int, width: int, mode: str = "RGB", seed: int = 0) -> bytes:
    channels = (height, width) if mode == "L" else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, channels, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(folder: Path, count: int = ENOUGH, **how) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        content = png(10, 8 + 2 * (index % 3) if how.get("sizes") else 8, how.get("mode", "RGB"), index)
        (folder / f"{index:03}.png").write_bytes(content)
    return folder


def begun(data: Path | str, **options) -> Begun:
    """The recipe of some data, which is then opened as `prepare` would."""
    return begin(Path(data), Path(), **options)


def opened(found: Begun) -> Source:
    return open_source(found.recipe.data, Finder(Path()), 0)


def said(found: Begun) -> str:
    return "\n".join(found.found.said)


class TestPictures:
    def test_of_one_size_they_stay_as_they_are(self):
        found = begun(pictures(Path("Meine Fotos/größe")), name="faces")
        data = yaml.safe_load(Path("pipeline/faces.yaml").read_text())["data"]
        assert (data["shape"], data["resize"], data["labels"]) == ([3, 10, 8], "none", "none")
        assert data["train"] == "Meine Fotos/größe"
        assert opened(found).train.rows[np.arange(2)].shape == (2, 3, 10, 8)

    def test_of_many_sizes_they_are_cut(self):
        found = begun(pictures(Path("mixed"), sizes=True))
        assert (found.recipe.data.shape, found.recipe.data.resize) == ((3, 10, 10), "crop")
        assert "8 to 12 wide and 10 to 10 high" in said(found)

    def test_grey_ones_of_a_colour_mode_are_grey(self):
        Path("grey").mkdir()
        for index in range(ENOUGH):
            Image.open(io.BytesIO(png(8, 8, "L", index))).convert("RGB").save(f"grey/{index}.png")
        assert begun("grey").recipe.data.shape == (1, 8, 8)

    def test_large_ones_become_smaller_and_keep_their_proportions(self):
        for index in range(ENOUGH):
            Path("wide").mkdir(exist_ok=True)
            Image.new("L", (200, 100), index).save(f"wide/{index}.png")
        found = begun("wide")
        assert (found.recipe.data.shape, found.recipe.data.resize) == ((1, 32, 64), "stretch")

    def test_folders_are_classes_and_a_layout_in_parts_is_kept(self):
        for part, count in {"train": 30, "val": 4, "Test": 6}.items():
            for kind in ("cats", "dogs"):
                pictures(Path("pets") / part / kind, count)
        found = begun("pets", conditional=True)
        data = found.recipe.data
        assert (data.labels, data.train, data.valid, data.test) == ("folders", "pets/train", "pets/val", "pets/Test")
        assert found.recipe.model.conditional and found.recipe.sampler == "gaussian_by_class"
        assert opened(found).classes == ("cats", "dogs")

    def test_a_folder_each_is_no_class(self):
        for index in range(ENOUGH):
            pictures(Path("people") / f"person {index}", 1)
        found = begun("people")
        assert found.recipe.data.labels == "none"
        assert "aren't taken for classes" in said(found)

    def test_archives_are_taken_and_parts_in_them_are_no_classes(self):
        with zipfile.ZipFile("all.zip", "w") as file:
            for index in range(ENOUGH):
                file.writestr(f"{'train' if index % 2 else 'test'}/{'a' if index % 3 else 'b'}/{index}.png", png(8, 8))
        with tarfile.open("all.tar.gz", "w:gz") as file:
            file.add(pictures(Path("flat")), "flat")
        assert opened(begun("all.zip")).classes == ("a", "b")
        assert begun("all.tar.gz", name="flat").recipe.data.labels == "none"

    def test_corrupt_ones_and_other_files_are_left_out_and_told(self):
        folder = pictures(Path("some"))
        (folder / "broken.png").write_bytes(png(10, 8)[:60])
        (folder / "notes.docx").write_text("no picture")
        found = begun(folder)
        assert found.recipe.data.corrupt == "drop"
        assert "1 of 61 that were looked at are corrupt" in said(found)
        assert "passed over: 1 x not a picture (.docx)" in said(found)
        assert len(opened(found).train.rows) == ENOUGH

    def test_a_transparent_palette_is_judged_as_it_looks_and_warns_of_nothing(self, recwarn):
        for index in range(ENOUGH):
            grey = Image.new("RGBA", (9, 9), (index, index, index, 255))
            grey.paste((200, 0, 0, 0), (0, 0, 3, 3))  # red, and transparent: white
            buffer = io.BytesIO()
            grey.quantize(4).save(buffer, "PNG")
            as_folder(Path("icons"), {f"{index}.png": buffer.getvalue()})
        assert "60 grey pictures" in said(begun("icons"))
        assert not recwarn.list


class TestRecordings:
    def test_short_ones_are_taken_whole_and_folders_are_classes(self):
        for index in range(ENOUGH):
            as_folder(Path("sounds"), {f"{'ab'[index % 2]}/{index}.wav": recorded(np.full(400 + index, 0.1), 44100)})
        found = begun("sounds", conditional=True)
        data = found.recipe.data
        assert (data.rate_hz, data.length, data.longer, data.labels) == (16000, 1024, "crop", "folders")
        assert found.recipe.model.conditional
        assert "60 recordings of 0.00907 to 0.0104 s at 44,100 Hz" in said(found)
        assert opened(found).train.rows[np.arange(2)].shape == (2, 1, 1024)

    def test_long_ones_are_cut_into_windows(self):
        content = recorded(np.tile(np.linspace(-0.5, 0.5, 100), (2, 400)).T, 8000)
        place = as_zip(Path("long.zip"), {f"{index}.wav": content for index in range(12)} | {"cover.png": b""})
        found = begun(place)
        data = found.recipe.data
        assert (data.rate_hz, data.length, data.longer, data.labels) == (8000, 8192, "windows", "none")
        assert "in about 60 windows" in said(found) and "mixed to mono" in said(found)
        assert "passed over: 1 x not a recording (.png)" in said(found)
        assert len(opened(found).train.rows) == 60

    @pytest.mark.parametrize(("high", "rate_hz"), [(60, 44100), (3, 16000)])
    def test_a_rate_is_lowered_where_few_lose_much_by_it(self, high, rate_hz):
        time = np.arange(4410) / 44100
        for index in range(ENOUGH):
            tone = 0.3 * np.sin(2 * np.pi * (12_000 if index < high else 440) * time)
            as_folder(Path("sounds"), {f"{index:02}.wav": recorded(tone, 44100)})
        found = begun("sounds")
        assert found.recipe.data.rate_hz == rate_hz
        assert f"over a tenth of the energy of {30 if high > 3 else 2} of 30 that were heard" in said(found)
        assert opened(found).findings["dulled"] == (0 if high > 3 else 3)

    def test_broken_ones_are_left_out_and_one_alone_is_not_taken(self):
        files = {f"{index}.wav": recorded(np.full(100, 0.1)) for index in range(ENOUGH)}
        found = begun(as_folder(Path("sounds"), files | {"z.wav": b"no sound"}))
        assert found.recipe.data.corrupt == "drop" and "1 of 61 that were looked at are broken" in said(found)
        with pytest.raises(DataError, match="is one recording: name the folder"):
            begun("sounds/0.wav")


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "as_read"),
        [((9, 7), (1, 9, 7)), ((9, 7, 3), (3, 9, 7)), ((2, 9, 7), (2, 9, 7)), ((81,), (1, 9, 9))],
        ids=str,
    )
    def test_any_order_of_axes(self, shape, as_read):
        np.save("images.npy", np.random.default_rng(0).integers(0, 256, (ENOUGH, *shape), dtype=np.uint8))
        found = begun("images.npy")
        assert found.recipe.data.shape == as_read
        assert opened(found).train.rows[np.arange(2)].shape == (2, *as_read)

    @pytest.mark.parametrize(
        ("values", "bounds", "likelihood"),
        [
            ([0, 200], (0, 255), "discretised_gaussian"),
            ([0, 7, 16], (0, 16), "discretised_gaussian"),
            ([0, 1], (0, 1), "bernoulli"),
            ([0.0, 0.25, 1.0], (0, 1), "gaussian"),
            ([-1.0, 0.5], (-1, 1), "gaussian"),
            ([-300, 40, 5000], (-300, 5000), "gaussian"),
        ],
        ids=str,
    )
    def test_the_range_and_the_likelihood_are_those_of_the_values(self, values, bounds, likelihood):
        np.save("images.npy", np.random.default_rng(0).choice(values, (ENOUGH, 8, 8)))
        found = begun("images.npy")
        assert found.recipe.data.range == bounds
        assert found.recipe.model.likelihood.kind == likelihood
        assert opened(found).low == bounds[0]

    def test_parts_and_labels_of_an_archive_by_their_names(self):
        parts = {"train": ENOUGH, "val": 8, "test": 10}
        images = {f"{part}_images": np.full((count, 8, 8, 3), 9, np.uint8) for part, count in parts.items()}
        for rows in images.values():
            rows[0] = 200
        labels = {f"{part}_labels": np.arange(count, dtype=np.uint8)[:, None] % 4 for part, count in parts.items()}
        np.savez("set.npz", **images, **labels)
        found = begun("set.npz", conditional=True)
        source = opened(found)
        assert [len(part.rows) for part in (source.train, source.valid, source.test)] == [ENOUGH, 8, 10]
        assert source.classes == ("0", "1", "2", "3")

    def test_labels_of_an_archive_may_be_texts(self):
        images = np.random.default_rng(0).integers(0, 256, (ENOUGH, 8, 8), dtype=np.uint8)
        np.savez("set.npz", images=images, labels=np.array(["cat", "chien"])[np.arange(ENOUGH) % 2])
        found = begun("set.npz", conditional=True)
        assert "2 classes, by labels" in said(found) and opened(found).classes == ("cat", "chien")

    def test_parts_and_labels_of_files_beside_as_mnist_has_them(self):
        for part, count in {"train": ENOUGH, "t10k": 10}.items():
            images = np.random.default_rng(0).integers(0, 256, (count, 8, 8), dtype=np.uint8)
            header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
            Path(f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes()))
            header = bytes([0, 0, 8, 1]) + np.array([count], ">u4").tobytes()
            labels = (np.arange(count) % 3).astype(np.uint8)
            Path(f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels.tobytes()))
        found = begun("train-images-idx3-ubyte.gz")
        assert found.name == "train_images"
        source = opened(found)
        assert (len(source.test.rows), source.classes) == (10, ("0", "1", "2"))

    @pytest.mark.parametrize(("images", "labels"), [("x_train.npy", "y_train.npy"), ("faces.npy", "faces_labels.npy")])
    def test_labels_beside(self, images, labels):
        np.save(images, np.random.default_rng(0).integers(0, 256, (ENOUGH, 8, 8), dtype=np.uint8))
        np.save(labels, np.arange(ENOUGH) % 2)
        assert begun(images).recipe.data.train.labels.path == labels


class TestRows:
    def test_columns_and_what_they_leave_open(self):
        frame = mixed_frame()
        frame["work"] = np.where(np.arange(len(frame)) % 9 == 0, "?", np.where(np.arange(len(frame)) % 2, "yes", "no"))
        frame["comment"] = [f"text {index % 300}, of a person" for index in range(len(frame))]
        frame.to_csv("rows.csv", index=False)
        found = begun("rows.csv")
        assert found.recipe.data.missing == ("?",)
        assert found.recipe.data.columns.get("comment", "ignored") == "ignored"
        assert "'?' is taken for a missing value" in said(found)
        assert "comment" not in {column.name for column in opened(found).columns}

    def test_codes_are_no_numbers_and_words_of_another_column_no_gaps(self):
        draw = np.random.default_rng(0)
        frame = pd.DataFrame({"score": draw.integers(0, 90, ENOUGH).astype(str), "when": draw.integers(0, 90, ENOUGH)})
        frame["zip"] = draw.choice(["02138", "90210"], ENOUGH)
        frame["account"] = [f"{value:09}" for value in draw.integers(0, 10**8, ENOUGH)]
        frame["risk"] = draw.choice(["low", "high"], ENOUGH)
        frame["age"] = frame.when.astype(str)
        frame.loc[::9, "score"], frame.loc[::9, "age"] = "low", "unknown"
        frame.to_csv("rows.csv", index=False)
        found = begun("rows.csv")
        wanted = {"zip": "category", "account": "ignored", "score": found.recipe.data.columns["score"]}
        assert found.recipe.data.columns == wanted and found.recipe.data.missing == ("unknown",)
        assert "column zip holds '02138', as codes do" in said(found)
        assert f"{len(frame.loc[::9])} of its {ENOUGH} values are missing so" in said(found)
        kinds = {column.name: (column.kind, column.missing) for column in opened(found).columns}
        assert kinds["risk"] == ("category", False) and kinds["age"] == ("number", True)

    def test_what_a_column_is_told_to_be_takes_no_word_for_a_gap(self):
        pd.DataFrame({"a": ["low", *map(str, range(ENOUGH - 1))], "b": range(1, 1 + ENOUGH)}).to_csv("rows.csv")
        found = look(Path("rows.csv"), Places(Path()), columns={"a": "category"})
        assert found.data["columns"]["a"] == "category" and "missing" not in found.data

    @pytest.mark.parametrize("name", ["rows.npz", "named.csv"])
    def test_labels_make_it_a_detector_of_anomalies(self, name):
        x, y = np.random.default_rng(0).normal(size=(ENOUGH + 5, 3)), np.arange(ENOUGH + 5) >= ENOUGH
        np.savez("rows.npz", X=x, y=y.astype(int))
        pd.DataFrame(x).assign(state=np.where(y, "bad", "a=b")).to_csv("named.csv", index=False)
        found = begun(name, label=None if name == "rows.npz" else ("state", "a=b"))
        assert found.recipe.data.one_class
        assert opened(found).labels.sum() == 5

    @pytest.mark.parametrize("normal", [0, 0.0, False])
    def test_labels_of_zero_are_normal_of_any_type(self, normal):
        y = np.full(ENOUGH + 5, normal)
        y[ENOUGH:] = 1
        np.savez("rows.npz", X=np.random.default_rng(0).normal(size=(len(y), 3)), y=y)
        assert opened(begun("rows.npz")).labels.sum() == 5

    @pytest.mark.parametrize("y", [np.arange(ENOUGH) % 10, np.ones(ENOUGH), np.array(["good", "bad"] * (ENOUGH // 2))])
    def test_other_labels_are_left_out_and_told(self, y):
        np.savez("rows.npz", X=np.random.default_rng(0).normal(size=(ENOUGH, 3)), y=y)
        found = begun("rows.npz")
        assert not found.recipe.data.one_class
        assert "left out: column y, which holds other values than 0" in said(found)
        source = opened(found)
        assert (len(source.columns), len(source.rows), source.labels) == (3, ENOUGH, None)

    def test_a_label_that_no_row_has_is_told_with_those_that_are(self):
        pd.DataFrame({"a": range(ENOUGH), "state": ["good", "bad"] * (ENOUGH // 2)}).to_csv("rows.csv", index=False)
        with pytest.raises(DataError, match="its values are bad, good"):
            begun("rows.csv", label=("state", "fine"))


class TestLines:
    def test_words_are_parted_as_they_are_written(self):
        lines = [f"The {size} cat, and the dog: both are {size}." for size in ("big", "small")] * ENOUGH
        Path("plain.txt").write_text("\n".join(lines))
        Path("parted.txt.gz").write_bytes(
            gzip.compress("\n".join(lines).replace(",", " ,").replace(":", " :").encode())
        )
        assert begun("plain.txt").recipe.data.tokenizer.split == "signs"
        found = begun("parted.txt.gz")
        assert found.recipe.data.tokenizer.split == "blanks"
        assert len(opened(found).train) == 2 * ENOUGH

    def test_names_are_learned_by_their_letters(self):
        rng = np.random.default_rng(0)
        names = ["".join(rng.choice(list("aeioulmnrs"), 7)) for _ in range(2 * ENOUGH)]
        Path("names.txt").write_text("\n".join(names))
        found = begun("names.txt")
        assert (found.recipe.data.tokenizer.kind, found.recipe.data.limit) == ("bytes", 8)

    def test_letters_of_several_bytes_are_learned_whole(self):
        """Chinese parts no words by blanks; of Greek names each is another word."""
        rng = np.random.default_rng(0)
        for name, letters in (("chinese", "春眠不覺曉處聞啼鳥夜來風雨聲花落知多少"), ("greek", "αβγδεζηθ")):
            lines = ["".join(rng.choice(list(letters), 7)) for _ in range(2 * ENOUGH)]
            Path(f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
            found = begun(f"{name}.txt")
            assert found.recipe.data.tokenizer.kind == "byte_pairs"
            fitted = fit_tokenizer(found.recipe.data.tokenizer, lines)
            assert {fitted.decode([each]) for each in range(fitted.get_vocab_size())} >= set(letters)

    def test_lines_that_look_like_rows_are_remarked_on(self):
        Path("rows.txt").write_text("".join(f"{index};{index % 7};red\n" for index in range(ENOUGH)))
        assert "lines hold 2 semicolons each, as rows of a table do: if they are rows, name the file .csv" in said(
            begun("rows.txt")
        )
        Path("prose.txt").write_text("".join(f"one{', two' * (index % 3)}\n" for index in range(ENOUGH)))
        assert "as rows of a table do" not in said(begun("prose.txt"))


class TestRefusals:
    def test_a_text_of_another_encoding_and_json_are_told_by_what_they_are(self):
        Path("cafés.txt").write_bytes("Liège\n".encode("latin-1") * ENOUGH)
        with pytest.raises(DataError, match=r"line 1 of cafés\.txt isn't UTF-8.*iconv"):
            begun("cafés.txt")
        Path("cars.json").write_text('[\n{"name": "a",\n"hp": 1}\n]' * ENOUGH)
        with pytest.raises(DataError, match=r"cars\.json is JSON: .*\.jsonl"):
            begun("cars.json")

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda path: None, "isn't there"),
            (lambda path: path.mkdir(), "holds no pictures"),
            (lambda path: pictures(path, 3), "holds 3 pictures"),
            (lambda path: path.write_bytes(b""), "is empty"),
            (lambda path: path.write_bytes(bytes(range(256)) * 9), "of no kind that is learned here"),
            (lambda path: path.write_bytes(gzip.compress(b"text" * 99)[:20]), "truncated or corrupt"),
            (lambda path: path.write_text("two\nlines"), "holds 2 lines"),
            (lambda path: (path.mkdir(), (path / "rows.csv").write_text("a,b\n1,2\n")), "name one of its files"),
        ],
        ids=["absent", "empty folder", "few", "empty file", "unknown", "cut short", "two lines", "of tables"],
    )
    def test_what_cannot_be_learned(self, make, message):
        make(Path("thing"))
        with pytest.raises(DataError, match=message) as caught:
            begun("thing")
        assert "\n" not in str(caught.value)
        assert not Path("pipeline").exists()

    @pytest.mark.parametrize("fault", ["objects", "a wrong sum", "cut short"])
    def test_an_archive_that_cannot_be_read(self, fault):
        path = Path("thing.npz")
        np.savez(path, X=np.array([{}, {}]) if fault == "objects" else np.zeros((ENOUGH, 3)))
        content = path.read_bytes()
        if fault == "a wrong sum":
            path.write_bytes(content[:200] + b"\1" + content[201:])
        elif fault == "cut short":
            path.write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match=r"thing\.npz") as caught:
            begun(path)
        assert "\n" not in str(caught.value)

    def test_arrays_of_which_any_may_be_the_images(self):
        np.savez("two.npz", left=np.zeros((ENOUGH, 8, 8)), right=np.ones((ENOUGH, 8, 8)))
        with pytest.raises(DataError, match="left, right"):
            begun("two.npz")

    def test_nothing_is_replaced_unasked(self):
        folder = pictures(Path("faces"))
        begun(folder)
        Path("pipeline/faces.yaml").write_text("mine")
        with pytest.raises(OutputError, match="is there already"):
            begun(folder)
        assert Path("pipeline/faces.yaml").read_text() == "mine"
        begun(folder, force=True)
        assert Recipe.load(Path("pipeline/faces.yaml"))

    def test_names_that_are_none(self):
        with pytest.raises(RecipeError, match="can't name a recipe"):
            begun(pictures(Path("faces")), name="../faces")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Fotos Größe.zip", "fotos_grosse"),
        ("写真.npy", "data"),
        ("a.tar.gz", "a"),
        ("x-images-idx3-ubyte.gz", "x_images"),
    ],
)
def test_names_are_of_plain_letters(file, name):
    assert name_of(Path(file)) == name


def test_paths_are_written_for_the_folder_of_the_project(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").touch()
    inside, outside = pictures(tmp_path / "data" / "raw" / "in"), pictures(tmp_path.parent / f"{tmp_path.name} out")
    monkeypatch.chdir(inside)
    root = project_of(Path())
    assert root == tmp_path
    assert begin(Path(), root).recipe.data.train == "data/raw/in"
    assert begin(Path("../../../..") / outside.name, root, name="out").recipe.data.train == str(outside)
    assert sorted(path.name for path in (tmp_path / "pipeline").iterdir()) == ["in.yaml", "out.yaml"]
