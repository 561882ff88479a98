"""Recordings, tiles, masks and scans, read by several processes or gone on with, give the bytes of one process."""

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from rich.console import Console
from tests.kinds.audio.test_decoding import RATE_HZ, recorded
from tests.kinds.image.test_folder import as_folder
from tests.kinds.image.test_scans import made

from vae_pipeline.kinds.audio.look import RecordingLook
from vae_pipeline.kinds.blocks import Blocks
from vae_pipeline.kinds.image import looks
from vae_pipeline.kinds.image.scans.look import ScanLook
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import AudioData, FolderData, ScansData
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.system.errors import CorruptFileError, DataError, Interrupted, WorkerError
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.stopping import Stopped

DRAW = np.random.default_rng(0)
DIVIDED = {"valid": 0.2, "test": 0.2, "corrupt": "fail"}


def picture(*size: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(DRAW.integers(0, 256, size, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def recordings(path: Path) -> AudioData:
    """Recordings of one to five windows, the last of which is padded."""
    files = {f"{'ab'[n % 2]}/{n:02d}.wav": recorded(DRAW.uniform(-0.5, 0.5, 20 + 8 * n)) for n in range(20)}
    section = {"kind": "audio", "rate_hz": RATE_HZ, "seconds": 0.005, "longer": "windows", "channels": "mono"}
    place = {"path": str(as_folder(path, files))}
    return AudioData.model_validate(section | DIVIDED | {"labels": "folders", "train": place})


def tiles(path: Path) -> FolderData:
    files = {f"{n:02d}.png": picture(4 + n % 5, 4 + n % 7) for n in range(20)}
    section = {"kind": "folder", "shape": (1, 4, 4), "resize": "tiles", "labels": "none"}
    return FolderData.model_validate(section | DIVIDED | {"train": str(as_folder(path, files))})


def deep_tiles(path: Path) -> FolderData:
    """Tiles of 16 bits, whose pixels depend on the range of all."""
    data = tiles(path)
    for number, name in enumerate(sorted(path.iterdir())[::3]):
        values = np.arange(80, dtype=np.uint16).reshape(8, 10) * 50 + number
        Image.fromarray(values).save(name)
    return data


def masks(path: Path, resize: str = "none") -> FolderData:
    files = {f"train/good/{n}.png": picture(8, 8) for n in range(8)}
    files |= {f"test/{kind}/{n}.png": picture(8, 8) for kind in ("good", "cut", "glue") for n in range(6)}
    files |= {f"ground_truth/{kind}/{n}_mask.png": picture(8, 8) for kind in ("cut", "glue") for n in range(6)}
    shape = (1, 8, 8) if resize == "none" else (1, 4, 4)
    section = {"kind": "folder", "shape": shape, "resize": resize, "labels": {"kind": "mvtec"}, "corrupt": "fail"}
    return FolderData.model_validate(section | {"train": str(as_folder(path, files)), "valid": 0.3})


def masks_of_tiles(path: Path) -> FolderData:
    return masks(path, "tiles")


def scans(path: Path) -> ScansData:
    for number in range(18):
        made(path / "ab"[number % 2] / f"{number:02d}.dcm", number)
    (path / "c.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes())
    section = {"kind": "scans", "shape": [1, 32, 32], "resize": "stretch", "window": None, "patients": "file"}
    return ScansData.model_validate(section | DIVIDED | {"labels": "none", "train": str(path)})


SETS = [recordings, tiles, deep_tiles, masks, masks_of_tiles, scans]
sets = pytest.mark.parametrize("kind", SETS)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS", "TILED"):
        monkeypatch.setattr(looks, name, 4)
    for look in (RecordingLook, ScanLook):
        monkeypatch.setattr(look, "at_once", 4)


@pytest.fixture
def prepared(smoke: Recipe, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Prepare data by some processes; gives the content of the folder that was filled."""

    def run(data: Any, out: str, processes: int = 1) -> dict[str, bytes]:
        settings = Settings(prepare_processes=processes, home=tmp_path / "home", mlflow_uri="off")
        recipe = smoke.model_copy(update={"data": data})
        prepare(Job("shared", recipe, 0, settings, Console(file=io.StringIO())), tmp_path / out)
        return {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()}

    return run


def before_blocks(patched: pytest.MonkeyPatch, do: Callable[[Blocks, int], None]) -> None:
    """Have something done before each block is read, in any process."""
    read = Blocks._read

    def reads(self: Blocks, number: int) -> None:
        do(self, number)
        read(self, number)

    patched.setattr(Blocks, "_read", reads)


@sets
def test_bytes_depend_on_no_number_of_processes(prepared: Any, tmp_path: Path, kind: Any) -> None:
    data = kind(tmp_path / "x")
    one, two, three = (prepared(data, f"out{processes}", processes) for processes in (1, 2, 3))
    assert one == two == three


@sets
def test_a_killed_process_is_named_and_the_same_command_reads_what_lacks(
    prepared: Any, tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, first = kind(tmp_path / "x"), os.getpid()
    undisturbed, home = prepared(data, "undisturbed"), tmp_path / "home" / "prepare"
    with monkeypatch.context() as patched:

        def die(_: Blocks, number: int) -> None:
            if number == 2 and os.getpid() != first:
                os.kill(os.getpid(), signal.SIGKILL)

        before_blocks(patched, die)
        with pytest.raises(WorkerError, match="was ended by SIGKILL"):
            prepared(data, "out", 2)
    assert not (tmp_path / "out").exists()
    kept, read = {path.stem for path in home.glob("*/*.npy")}, set[str]()
    assert kept
    with monkeypatch.context() as patched:
        before_blocks(patched, lambda blocks, number: read.add(blocks.keys[number]))
        assert prepared(data, "out") == undisturbed
    assert read and not read & kept
    assert not list(home.glob("*/*"))


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize(
    ("kind", "bad", "named"),
    [
        (recordings, ("b/17.wav", "b/05.wav", "b/19.wav"), r"x/b/05\.wav is a broken recording"),
        (tiles, ("17.png", "05.png", "19.png"), r"x/05\.png is a truncated or corrupt picture"),
        (
            masks,
            ("ground_truth/glue/5_mask.png", "ground_truth/cut/4_mask.png", "ground_truth/glue/0_mask.png"),
            r"x/ground_truth/cut/4_mask\.png is a truncated or corrupt picture",
        ),
        (
            scans,
            ("a/16.dcm", "a/04.dcm", "b/17.dcm"),
            "scan 3 of 19 of .*x .in the order of paths. has pixels that are truncated",
        ),
    ],
)
def test_the_first_bad_file_among_many_is_named(
    prepared: Any, tmp_path: Path, kind: Any, bad: tuple[str, ...], named: str, processes: int
) -> None:
    data = kind(tmp_path / "x")
    for name in bad:
        whole = (tmp_path / "x" / name).read_bytes()
        (tmp_path / "x" / name).write_bytes(whole[:-1000] if kind is scans else whole[:20])
    with pytest.raises(CorruptFileError, match=named):
        prepared(data, "out", processes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [recordings, tiles, scans])
def test_bad_files_are_dropped_alike(prepared: Any, tmp_path: Path, kind: Any) -> None:
    data = kind(tmp_path / "x").model_copy(update={"corrupt": "drop"})
    files = sorted(path for path in (tmp_path / "x").rglob("*") if path.is_file())
    for path in files[::6]:
        path.write_bytes(path.read_bytes()[:20])
    alone, shared = (prepared(data, f"out{processes}", processes) for processes in (1, 3))
    assert alone == shared
    assert b'": 4' in alone["card.json"][alone["card.json"].index(b'"dropped"') :]


def test_a_signal_says_what_is_kept(prepared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = recordings(tmp_path / "x")

    def stop(_: Blocks, number: int) -> None:
        if number == 2:
            raise Stopped("SIGTERM")

    with monkeypatch.context() as patched:
        before_blocks(patched, stop)
        with pytest.raises(Interrupted, match=r"^SIGTERM: stopped; what was read is kept in .*/prepare/.* goes on"):
            prepared(data, "out")
    assert len(list((tmp_path / "home" / "prepare").glob("*/*.npy"))) == 2
    prepared(data, "out")


def test_a_block_that_was_cut_short_is_named(prepared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = recordings(tmp_path / "x")
    rows = Blocks.rows

    def cut(self: Blocks, number: int, levels: tuple[float, float]) -> Any:
        file = self._file(number, "rows")
        file.write_bytes(file.read_bytes()[:-1])
        return rows(self, number, levels)

    monkeypatch.setattr(Blocks, "rows", cut)
    with pytest.raises(DataError, match=r"\.rows is truncated or corrupt: remove it, and prepare again"):
        prepared(data, "out")
