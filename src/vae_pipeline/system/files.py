"""Writing so that nothing is lost or left half-written: write beside, then rename."""

import glob
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from vae_pipeline.system.errors import OutputError

# One of these is in every folder that a command filled; a folder of anything else is never replaced.
STAGE_FILES = (
    "spec.json", "metrics.json", "bundle.json", "curve.json", "study.json", "audit.json", "explorer.js",
    "vae_pipeline.json",
)  # fmt: skip


@contextmanager
def filled_folder(out: Path) -> Iterator[Path]:
    """Yield a new folder that takes `out`'s place once the block has ended well; else `out` stays as it was.

    Raises:
        OutputError: `out` holds something else than a stage's output, or can't be written (no permission, a file
            in the way, the disk is full).
    """
    out = out.resolve()  # through a link, the folder that it leads to is filled
    partial = _place_beside(out)
    try:  # from before the folder is there, so that a signal at any moment leaves none
        with writing(out):
            partial.mkdir()
            yield partial
            _swap(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_writable(out: Path, *inputs: Path) -> None:
    """Find out before hours of work whether `filled_folder` will be able to write, and will spare the inputs.

    Raises:
        OutputError: it won't.
    """
    for read in inputs:
        if read.resolve().is_relative_to(out.resolve()) or out.resolve().is_relative_to(read.resolve()):
            raise OutputError(f"--out {out} and the input {read} overlap: name another folder with --out")
    partial = _place_beside(out.resolve())
    try:
        with writing(out.resolve()):
            partial.mkdir()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _place_beside(out: Path) -> Path:
    with writing(out):
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file, but a folder is to be written there: move it away")
        if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in STAGE_FILES):
            raise OutputError(
                f"{out} holds other files than a stage's output, and would be replaced: move them away, "
                "or name another folder with --out"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        _recover(out)
        return out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}")


def _recover(out: Path) -> None:
    """Clear up after processes that were killed while they filled `out`."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.*.*"):
        process = left.name.removeprefix(f".{out.name}.").split(".")[0]
        if not process.isdigit() or _alive(int(process)):
            continue
        if left.suffix == ".old" and not out.exists():  # killed between the two renames
            left.rename(out)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap(partial: Path, out: Path) -> None:
    """Put `partial` in the place of `out`; where that fails, `out` is back where it was."""
    replaced = partial.with_name(partial.name + ".old")
    if out.exists():
        out.rename(replaced)
    try:
        partial.rename(out)
    except BaseException:
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn the system's refusals to write `out` (full disk, no permission) into an OutputError.

    An error about a file elsewhere, such as an input that can't be read, passes through.
    """
    try:
        yield
    except OSError as error:
        about = out if error.filename is None else Path(os.fsdecode(error.filename))
        if error.errno is None or not about.absolute().is_relative_to(out.absolute().parent):
            raise
        raise _cannot_write(out, error) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, flush it to the disk and rename it, so that `path` is always whole."""
    with replaced_file(path) as file:
        file.write(content)


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Replace a file as `replace_file` does, by content that the block writes a piece at a time."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON that reads well and is the same for equal content."""
    replace_file(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_regular(path: Path, most: int) -> bytes:
    """A file's content.

    Raises:
        OSError: it can't be opened.
        ValueError: it is a pipe or a device, which may never end, or has over `most` bytes.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError("it is a pipe or a device, and a file is wanted")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most / 2**20:g} MiB")
    return content


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(path: Path) -> str:
    """A digest of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return content_key([[file.relative_to(path).as_posix(), sha256_of(file)] for file in files])


def content_key(*parts: object) -> str:
    """The sha256 of plain values: equal values, equal key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _cannot_write(out: Path, error: OSError) -> OutputError:
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"can't write {out}: {reason}; free space or name another folder with --out")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
