"""Many pictures, read by several processes, broken off and gone on with, give the bytes of one undisturbed process."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rich.console import Console
from tests.kinds.image.test_folder import as_folder, as_tar, as_tar_gz, as_zip

from vae_pipeline.kinds.blocks import Blocks
from vae_pipeline.kinds.image import looks
from vae_pipeline.kinds.listing import list_pictures, list_recordings
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.system.errors import CorruptFileError, DataError, WorkerError
from vae_pipeline.system.progress import heard_by
from vae_pipeline.system.settings import Settings

Array = npt.NDArray[Any]
COUNT = 75  # of blocks of 8
NOISE = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 6), np.uint8)
NAMES = [f"{'abc'[index % 3]}/{index:02d}.png" for index in range(COUNT)]


def png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {name: png(pixels) for name, pixels in zip(NAMES, NOISE, strict=True)}


def as_shards(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    names = sorted(files)
    for shard, start in enumerate(range(0, len(names), 20)):
        as_tar(path / f"{shard:03d}.tar", {name: files[name] for name in names[start : start + 20]})
    return path


packings = pytest.mark.parametrize("pack", [as_folder, as_tar, as_tar_gz, as_zip, as_shards])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "ROWS", 8)


@pytest.fixture
def prepared(smoke: Recipe, tmp_path: Path) -> Callable[..., Path]:
    """Prepare pictures by some processes; gives the folder that was filled."""

    def run(train: Path, out: str, processes: int = 1, **options: Any) -> Path:
        plain = {"shape": (1, 6, 6), "resize": "none", "labels": "folders", "corrupt": "fail"}
        section = FolderData(kind="folder", train=str(train), **(plain | {"valid": 0.2, "test": 0.2} | options))
        recipe = smoke.model_copy(update={"data": section})
        settings = Settings(prepare_processes=processes, home=tmp_path / "home", mlflow_uri="off")
        prepare(Job("many", recipe, 0, settings, Console(file=io.StringIO())), tmp_path / out)
        return tmp_path / out

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def counted_reads(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda _: None) -> list[int]:
    """The blocks that this process reads from now on; `before` each of them something is done, in any process."""
    read, seen = Blocks._read, list[int]()

    def reads(self: Blocks, number: int) -> None:
        seen.append(number)
        before(number)
        read(self, number)

    monkeypatch.setattr(Blocks, "_read", reads)
    return seen


@packings
def test_bytes_depend_on_no_number_of_processes(prepared: Any, tmp_path: Path, pack: Any) -> None:
    place = pack(tmp_path / "x", FILES)
    one, two, three = (content(prepared(place, f"out{processes}", processes)) for processes in (1, 2, 3))
    assert one == two == three
    parts = [np.load(tmp_path / "out1" / f"{part}.npy") for part in ("train", "valid", "test")]
    given = sorted(pixels.tobytes() for pixels in NOISE)
    assert sorted(row.tobytes() for part in parts for row in part) == given  # what Pillow was given to write


def test_rows_are_in_the_order_of_names(prepared: Any, tmp_path: Path) -> None:
    out = prepared(as_folder(tmp_path / "x", FILES), "out", 3, labels="none")
    order = {NOISE[NAMES.index(name)].tobytes(): place for place, name in enumerate(sorted(NAMES))}
    for part in ("train", "valid", "test"):
        places = [order[row.tobytes()] for row in np.load(out / f"{part}.npy")]
        assert places == sorted(places)


@packings
def test_a_killed_process_is_named_and_the_same_command_goes_on(
    prepared: Any, tmp_path: Path, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, first = pack(tmp_path / "x", FILES), os.getpid()
    undisturbed = content(prepared(place, "undisturbed"))
    with monkeypatch.context() as patched:

        def die(number: int) -> None:
            if number == 6 and os.getpid() != first:
                os.kill(os.getpid(), signal.SIGKILL)

        counted_reads(patched, die)
        with pytest.raises(WorkerError, match="process 0 of 2 was ended by SIGKILL"):
            prepared(place, "out", 2)
    assert not (tmp_path / "out").exists()
    kept = list((tmp_path / "home" / "prepare").glob("*/*.npy"))
    assert len(kept) >= 3  # those that the killed process had read: 0, 2 and 4 of ten
    reads = counted_reads(monkeypatch)
    assert content(prepared(place, "out")) == undisturbed
    assert len(reads) == 10 - len(kept)
    assert not set(reads) & {0, 2, 4}
    assert not list((tmp_path / "home" / "prepare").glob("*/*"))  # cleared away, as the data set is whole


def test_a_picture_that_changed_meanwhile_is_read_again(
    prepared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = as_folder(tmp_path / "x", FILES)
    with monkeypatch.context() as patched:

        def fail(number: int) -> None:
            if number == 9:
                raise KeyboardInterrupt

        counted_reads(patched, fail)
        with pytest.raises(KeyboardInterrupt):
            prepared(place, "out")
    changed = sorted(NAMES)[17]  # of block 2
    (place / changed).write_bytes(png(255 - NOISE[NAMES.index(changed)]))
    with monkeypatch.context() as patched:
        reads = counted_reads(patched)
        out = content(prepared(place, "out"))
    assert reads == [2, 9]
    assert out == content(prepared(place, "again"))


@pytest.mark.parametrize("processes", [1, 2, 3])
@packings
def test_the_first_bad_picture_among_many_is_named(prepared: Any, tmp_path: Path, pack: Any, processes: int) -> None:
    bad = {sorted(NAMES)[place]: b"no picture" for place in (70, 41, 55)}
    place, first = pack(tmp_path / "x", FILES | bad), sorted(NAMES)[41]
    if pack in (as_tar, as_tar_gz, as_zip):  # these keep the order in which they were packed
        first = next(name for name in FILES if name in bad)
    with pytest.raises(CorruptFileError, match=rf"^{place}/{first} is a truncated or corrupt picture, or none of PNG"):
        prepared(place, "out", processes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("processes", [2, 3])
def test_bad_pictures_are_dropped_alike(prepared: Any, tmp_path: Path, processes: int) -> None:
    bad = {name: FILES[name][:50] for name in NAMES[::9]}
    place = as_folder(tmp_path / "x", FILES | bad)
    alone, shared = (content(prepared(place, f"out{n}", n, corrupt="drop")) for n in (1, processes))
    assert alone == shared
    assert b'"truncated or corrupt picture": 9' in alone["card.json"]


@pytest.mark.parametrize("processes", [1, 3])
def test_greys_of_16_bits_fill_the_range_of_all(prepared: Any, tmp_path: Path, processes: int) -> None:
    """The last picture alone holds the highest value, on which the first one's pixels depend."""
    values = np.arange(36, dtype=np.uint16).reshape(6, 6) * 100
    deep = {name: png(values + 10 * index) for index, name in enumerate(sorted(NAMES))}
    out = prepared(as_folder(tmp_path / "x", deep), "out", processes, valid=0.0)
    high = 3500 + 10 * (COUNT - 1) + 1
    expected = [np.floor((values + 10.0 * index) / high * 256).astype(np.uint8) for index in range(COUNT)]
    rows = np.concatenate([np.load(out / f"{part}.npy") for part in ("train", "test")])
    assert sorted(row.tobytes() for row in rows) == sorted(row.tobytes() for row in expected)


def test_it_is_told_how_many_pictures_were_read(prepared: Any, tmp_path: Path) -> None:
    place, told = as_folder(tmp_path / "x", FILES), list[tuple[str, int, int]]()
    with heard_by(lambda *words: told.append(words)):
        prepared(place, "out", 2)
    works = ["listing x", "dates of pictures of x", "pictures of x"]
    parts = [f"writing {part}" for part in ("train", "valid", "test")]
    assert list(dict.fromkeys(what for what, _, _ in told)) == [*works, *parts]
    assert [(done, total) for what, done, total in told if what == works[-1]][-1] == (COUNT, COUNT)


class TestShards:
    """A folder of archives is one set."""

    def test_it_gives_the_arrays_of_the_folder_that_was_packed(self, prepared: Any, tmp_path: Path) -> None:
        places = [as_folder(tmp_path / "folder", FILES), as_shards(tmp_path / "shards", FILES)]
        folder, shards = (content(prepared(place, f"out_{place.name}")) for place in places)
        cards = [found.pop("card.json") for found in (folder, shards)]
        for found in (folder, shards):
            found.pop("digests.json")  # of the card too, which has the origin
        assert folder == shards
        assert cards[0] != cards[1]

    def test_archives_of_any_form_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        as_zip(tmp_path / "b.zip", {"x/3.png": FILES[NAMES[3]]})
        as_tar_gz(tmp_path / "c.tgz", {"x/1.png": FILES[NAMES[1]]})
        as_folder(tmp_path, {"a/deep.tar": b"", "index.json": b"{}", ".gitignore": b"", "shards.dvc": b""})
        as_tar(tmp_path / "a" / "deep.tar", {"x/2.png": FILES[NAMES[2]], "x/2.json": b"{}"})
        found = list_pictures(tmp_path)
        assert list(found.names) == ["x/2.png", "x/3.png", "x/1.png"]
        assert [found.read(name) for name in found.names] == [FILES[NAMES[index]] for index in (2, 3, 1)]
        assert found.skipped == {"not a picture (.json)": 1}

    def test_a_name_in_two_archives_is_refused(self, tmp_path: Path) -> None:
        for shard in "ab":
            as_tar(tmp_path / f"{shard}.tar", {"x/1.png": FILES[NAMES[1]]})
        with pytest.raises(DataError, match=rf"{tmp_path}/a.tar and {tmp_path}/b.tar both hold x/1.png: give files"):
            list_pictures(tmp_path)

    def test_the_digest_follows_each_archive(self, tmp_path: Path) -> None:
        place, digests = as_shards(tmp_path / "x", FILES), list[str]()
        for changed in (FILES, FILES | {sorted(NAMES)[-1]: FILES[NAMES[0]]}, FILES):
            for path in place.iterdir():
                path.unlink()
            place.rmdir()
            digests.append(list_pictures(as_shards(place, changed)).digest(None))
        assert digests[0] == digests[2] != digests[1]

    def test_an_archive_that_is_broken_is_named(self, tmp_path: Path) -> None:
        place = as_shards(tmp_path / "x", FILES)
        (place / "001.tar").write_bytes((place / "001.tar").read_bytes()[:700])
        with pytest.raises(DataError, match=r"001\.tar is a truncated or corrupt archive"):
            list_pictures(place)
        (place / "001.tar").write_bytes(b"")
        with pytest.raises(DataError, match=r"001\.tar is no whole \.zip or \.tar: make or fetch it again"):
            list_pictures(place)

    def test_pictures_beside_archives_are_what_is_read(self, tmp_path: Path) -> None:
        as_folder(tmp_path, {"1.png": FILES[NAMES[0]]})
        as_tar(tmp_path / "more.tar", {"2.png": FILES[NAMES[1]]})
        found = list_pictures(tmp_path)
        assert (list(found.names), found.skipped) == (["1.png"], {"not a picture (.tar)": 1})

    def test_neither_pictures_nor_recordings(self, tmp_path: Path) -> None:
        as_tar(tmp_path / "a.tar", {"notes.txt": b""})
        with pytest.raises(DataError, match=r"holds no recordings .*; it holds 1 other files: \(\.txt\)"):
            list_recordings(tmp_path)


def test_a_sparse_file_of_a_tar_is_read_whole(tmp_path: Path) -> None:
    picture = png(NOISE[0])
    (tmp_path / "1.bmp").write_bytes(picture)
    with (tmp_path / "1.bmp").open("r+b") as file:
        file.truncate(1 << 20)  # a hole after the picture
    subprocess.run(["tar", "--sparse", "-cf", "x.tar", "1.bmp"], cwd=tmp_path, check=True)
    assert (tmp_path / "x.tar").stat().st_size < 1 << 17
    assert list_pictures(tmp_path / "x.tar").read("1.bmp") == picture + bytes((1 << 20) - len(picture))


KILLABLE = """
from vae_pipeline.kinds.image import looks
looks.ROWS = 8
from vae_pipeline.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_command_goes_on_and_ends_with_the_same_bytes(root: Path, tmp_path: Path, processes: int) -> None:
    as_folder(tmp_path / "x", {f"{copy}/{name}": found for copy in range(12) for name, found in FILES.items()})
    text = (root / "pipeline" / "images.yaml").read_text()
    head, _, rest = text.partition("data:\n")
    section = "  kind: folder\n  shape: [1, 6, 6]\n  resize: none\n  labels: folders\n  corrupt: fail\n  train: x\n"
    given = head + "data:\n" + section + "  valid: 0.1\n  test: 0.1\n" + rest[rest.index("model:") :]
    (tmp_path / "many.yaml").write_text(given)
    home = tmp_path / "killed"

    def command(out: str, home: Path, processes: int) -> "subprocess.Popen[bytes]":
        settings = {"VAE_HOME": str(home), "VAE_PREPARE_PROCESSES": str(processes)}
        words: Sequence[str] = [sys.executable, "-c", KILLABLE, "prepare", "many.yaml", "--out", out]
        return subprocess.Popen(words, cwd=tmp_path, env=os.environ | settings, stdout=subprocess.DEVNULL)

    assert command("undisturbed", tmp_path / "home", 1).wait() == 0
    for wanted in (5, 40, 80):
        process = command("out", home, processes)
        while len(list(home.glob("prepare/*/*.npy"))) < wanted and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
    before = len(list(home.glob("prepare/*/*.npy")))
    assert before >= 80
    assert command("out", home, processes).wait() == 0
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")
    assert not list(home.glob("prepare/*/*"))
    assert [path.name for path in tmp_path.glob(".out*")] == []
