import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vae_pipeline.system.errors import DataError, OutputError
from vae_pipeline.system.files import (
    content_key,
    filled_folder,
    replace_file,
    require_writable,
    sha256_of,
    tree_digest,
    write_json,
    writing,
)

# The largest file that a process may write stands in for the disk's free space.
FULL_DISK = """
import resource
from pathlib import Path
from vae_pipeline.system.errors import OutputError
from vae_pipeline.system.files import filled_folder, replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    {act}
except OutputError as error:
    print(error)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def on_full_disk(act: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK.format(act=act)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_filled_folder_replaces_all_that_was_there(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with filled_folder(out) as folder:
        (folder / "spec.json").write_text("1")
        assert not out.exists()
    assert names(out) == ["spec.json"]
    with filled_folder(out) as folder:
        (folder / "second").write_text("2")
        assert names(out) == ["spec.json"]
    assert names(out) == ["second"]
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("error", [DataError("bad"), KeyboardInterrupt(), RuntimeError()])
def test_failed_filling_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "spec.json").write_text("kept")

    def fill() -> None:
        with filled_folder(out) as folder:
            (folder / "new").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fill()
    assert names(tmp_path) == ["out"]
    assert (out / "spec.json").read_text() == "kept"


def test_failed_filling_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(DataError), filled_folder(tmp_path / "out"):
        raise DataError("bad")
    assert names(tmp_path) == []


def test_file_in_the_folders_way(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("kept")
    with pytest.raises(OutputError, match="out is a file, but a folder is to be written there"), filled_folder(out):
        pytest.fail("the block was entered")
    assert out.read_text() == "kept"


def test_file_in_the_parents_way(tmp_path: Path) -> None:
    (tmp_path / "parent").write_text("kept")
    out = tmp_path / "parent" / "out"
    with pytest.raises(OutputError, match=f"can't write {out}: .*--out"), filled_folder(out):
        pytest.fail("the block was entered")
    assert (tmp_path / "parent").read_text() == "kept"


def test_new_files_have_ordinary_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with filled_folder(tmp_path / "out"):
            pass
        replace_file(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_replace_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("place", ["folder", "file/below"])
def test_file_that_cant_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match=f"can't write {tmp_path / place}: "):
        replace_file(tmp_path / place, b"new")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_relative_name_is_the_one_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(prefix: str, dir: Path) -> tuple[int, str]:
        raise PermissionError(errno.EACCES, "Permission denied", str(dir.absolute() / f"{prefix}x"))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(OutputError, match=r"can't write s\.png: permission denied"):
        replace_file(Path("s.png"), b"")


def test_full_disk_keeps_the_old_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "spec.json").write_text("kept")
    act = f"with filled_folder(Path({str(out)!r})) as folder: (folder / 'new').write_bytes(bytes(8192))"
    assert on_full_disk(act).startswith(f"can't write {out}: file too large; free space")
    assert names(tmp_path) == ["out"]
    assert (out / "spec.json").read_text() == "kept"


def test_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    assert on_full_disk(f"replace_file(Path({str(path)!r}), bytes(8192))").startswith(f"can't write {path}: ")
    assert names(tmp_path) == ["file"]
    assert path.read_text() == "kept"


def test_writing_passes_on_what_the_system_didnt_say(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no number"), writing(tmp_path):
        raise OSError("no number")


def test_json_is_whole_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    write_json(path, {"straße": [1, 2.5, None]})
    assert json.loads(path.read_bytes()) == {"straße": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert json.loads(path.read_bytes()) == {"straße": [1, 2.5, None]}


def test_sha256_of(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_tree_digest(tmp_path: Path) -> None:
    def digest(name: str, **files: str) -> str:
        (tmp_path / name / "deep").mkdir(parents=True)
        for file, content in files.items():
            (tmp_path / name / "deep" / file).write_text(content)
        return tree_digest(tmp_path / name)

    base = digest("base", a="1", b="2")
    assert digest("same", b="2", a="1") == base
    others = [digest("value", a="1", b="3"), digest("name", a="1", c="2"), digest("less", a="1"), digest("none")]
    others.append(digest("swapped", a="2", b="1"))
    assert len({base, *others}) == 6
    file = tmp_path / "base" / "deep" / "a"
    assert tree_digest(file) == hashlib.sha256(b"1").hexdigest()


def test_require_writable(tmp_path: Path) -> None:
    require_writable(tmp_path / "deep" / "out")
    assert names(tmp_path / "deep") == []
    (tmp_path / "file").write_text("kept")
    for place in ("file", "file/out"):
        with pytest.raises(OutputError, match=str(tmp_path / place)):
            require_writable(tmp_path / place)
    assert names(tmp_path) == ["deep", "file"]


def test_failed_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "spec.json").write_text("kept")
    rename = Path.rename

    def refuse_the_new(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with pytest.raises(OutputError, match="operation not permitted"), filled_folder(out) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["out"]
    assert names(out) == ["spec.json"]


def test_content_key() -> None:
    assert content_key({"a": 1, "b": 2}, 3) == content_key({"b": 2, "a": 1}, 3)
    assert content_key({"a": 1}, 3) != content_key({"a": 1}, 4)


def test_a_folder_that_no_stage_filled_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="holds other files than a stage's output"), filled_folder(tmp_path / "out"):
        pytest.fail("the block was entered")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years"


def test_through_a_link_the_folder_that_it_leads_to_is_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with filled_folder(tmp_path / "link") as folder:
        (folder / "spec.json").write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["spec.json"]
    assert sorted(names(tmp_path)) == ["link", "real"]


@pytest.mark.parametrize("place", ["data", "data/inside", "."])
def test_an_output_that_overlaps_an_input_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(OutputError, match=r"overlap: name another folder with --out"):
        require_writable(tmp_path / place, tmp_path / "data")


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    dead, mine = dead_process(), os.getpid()
    for name in (f".out.{dead}.abc", f".out.{mine}.abc", ".out.notes.txt", f".other.{dead}.abc"):
        (tmp_path / name).mkdir()
    with filled_folder(tmp_path / "out") as folder:
        (folder / "spec.json").write_text("1")
    assert names(tmp_path) == sorted([f".out.{mine}.abc", ".out.notes.txt", f".other.{dead}.abc", "out"])


def test_killed_between_the_two_renames_the_old_folder_comes_back(tmp_path: Path) -> None:
    left = tmp_path / f".out.{dead_process()}.abc.old"
    left.mkdir()
    (left / "spec.json").write_text("kept")
    require_writable(tmp_path / "out")
    assert (tmp_path / "out" / "spec.json").read_text() == "kept"
    assert names(tmp_path) == ["out"]


def test_an_input_that_cannot_be_read_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), filled_folder(tmp_path / "d" / "out"):
        (tmp_path / "elsewhere.png").read_bytes()
