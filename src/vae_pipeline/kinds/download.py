"""Finding a file: at its path, in the mirror, among earlier downloads, or at its canonical address.

A file is looked for by its name and accepted by its checksum: that of its bytes or, where it is gzipped,
of what is inside (some archives publish the one, some the other).
"""

import base64
import glob
import gzip
import hashlib
import http.client
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.recipe.data import File
from vae_pipeline.system.errors import DataError, DownloadError
from vae_pipeline.system.files import writing
from vae_pipeline.system.locking import held

CHUNK = 1 << 20
TIMEOUT_S = 30.0
LEAST = 30_000
"""Bytes that must come in every TIMEOUT_S: a server that sends one now and then would never time out."""
Reporter = Callable[[str, int, int | None], None]
"""A function that is told the name, the bytes so far, and the bytes in all if they are known."""


def silent(name: str, done: int, total: int | None) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Finder:
    """Places where files are looked for: `mirror`, a folder or a URL, and `cache`, which keeps downloads."""

    cache: Path
    mirror: str | None = None
    report: Reporter = silent
    warn: Callable[[str], None] = lambda _: None

    def find(self, file: File) -> Path:
        """Path of a local copy that has the digest, or of the same values in another form: as `find_array`."""
        return self.find_array(file)[0]

    def find_array(self, file: File) -> tuple[Path, str | None]:
        """Path of a local copy that has the digest, and the key of the array that is meant there.

        It is the copy that `file.repacked` names where the mirror holds that and the file itself isn't at hand.

        Raises:
            DataError: a `path` that isn't there.
            DownloadError: no network, or every copy has another checksum.
        """
        other = file.repacked
        if other is not None and not self._is_at_hand(file):
            for path in self._in_mirror(other.name):
                if has_digest(path, other.digest):
                    return path, other.key
        return self._find(file), file.key

    def _find(self, file: File) -> Path:
        if file.path is not None:
            path = Path(file.path)
            if not path.exists():
                raise DataError(f"{path} isn't there (it is sought from {Path.cwd()}): mend the path in the recipe")
            return path
        assert file.url is not None and file.digest is not None
        name, cached = self._kept(file)
        if cached.is_file() and has_digest(cached, file.digest):
            return cached
        candidates = self._in_mirror(name)
        for path in candidates:
            if has_digest(path, file.digest):
                return path
        folder = self._mirror_folder()
        urls = [file.url]
        if self.mirror is not None and folder is None:
            urls = [f"{self.mirror.rstrip('/')}/{suffix}" for suffix in (name, f"{name}.gz")] + urls
        problems = [f"{path} has another checksum" for path in candidates]
        silent_hosts: set[str] = set()
        for url in urls:
            host = urllib.parse.urlsplit(url).netloc
            if host in silent_hosts:
                continue
            try:
                return self._download(url, cached, file.digest)
            except DownloadError as error:
                problems.append(str(error))
                if isinstance(error.__cause__, TimeoutError):
                    silent_hosts.add(host)
        raise DownloadError(
            f"{name} can't be had: {'; '.join(problems)}. Put a copy with {file.digest} into a folder "
            "and name that folder in VAE_MIRROR"
        )

    def _is_at_hand(self, file: File) -> bool:
        if file.path is not None:
            return Path(file.path).exists()
        assert file.digest is not None  # with a url
        name, cached = self._kept(file)
        return any(path.is_file() and has_digest(path, file.digest) for path in (cached, *self._in_mirror(name)))

    def _kept(self, file: File) -> tuple[str, Path]:
        """The name of a file at a url, and the path at which its download is kept."""
        assert file.url is not None and file.digest is not None
        try:
            name = file.name or Path(urllib.parse.urlsplit(file.url).path).name or "download"
        except ValueError as error:
            raise DownloadError(f"{file.url} isn't a URL ({error}): mend it in the recipe") from error
        return name, self.cache / file.digest.replace(":", "-") / name

    def _in_mirror(self, name: str) -> list[Path]:
        """The files of that name, gzipped or not, where the mirror is a folder."""
        folder = self._mirror_folder()
        return [] if folder is None else _named(folder, name) + _named(folder, f"{name}.gz")

    def _mirror_folder(self) -> Path | None:
        if self.mirror is None or "://" in self.mirror:
            return None
        folder = Path(self.mirror)
        if not folder.is_dir():
            raise DownloadError(f"VAE_MIRROR names {folder}, which isn't a folder: mend it, or unset VAE_MIRROR")
        return folder

    def _download(self, url: str, target: Path, digest: str) -> Path:
        """Fetch `url` to `target`, going on from where an earlier attempt broke off."""
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        with held(target.with_name(target.name + ".lock"), "downloads this file", self.warn):
            if target.is_file() and has_digest(target, digest):  # another process was faster
                return target
            return self._download_alone(url, target, digest)

    def _download_alone(self, url: str, target: Path, digest: str) -> Path:
        part = target.with_name(target.name + ".part")
        have = part.stat().st_size if part.is_file() else 0
        try:
            self._fetch(url, part, have)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416:  # 416: nothing is left to fetch
                raise DownloadError(f"{url} answers {error.code} {error.reason}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:  # writing the part raises OutputError instead
            reason = getattr(error, "reason", error)
            raise DownloadError(f"{url} can't be reached ({reason})") from error
        if not has_digest(part, digest):
            with part.open("rb") as file:
                given = hashlib.file_digest(file, digest.partition(":")[0]).hexdigest()
            part.unlink()
            if have:  # what an earlier attempt left may have been of other bytes
                return self._download_alone(url, target, digest)
            raise DownloadError(f"{url} delivers a file with the checksum {given}; wanted {digest}")
        part.rename(target)
        return target

    def _fetch(self, url: str, part: Path, have: int) -> None:
        with _answer(_request(url, have)) as (response, chunks):
            resumed = getattr(response, "status", None) == 206
            done = have if resumed else 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else None
            with writing(part):
                file = part.open("ab" if resumed else "wb", buffering=0)
            with file:
                for chunk in chunks:
                    with writing(part):
                        file.write(chunk)
                    done += len(chunk)
                    self.report(part.name.removesuffix(".part"), done, total)
            if total is not None and done < total:
                raise ConnectionError(f"broke off after {done} of {total} bytes; run again to go on from there")


def _request(url: str, have: int) -> urllib.request.Request:
    """Ask for what follows the bytes that we have; urllib wants user and password of the URL in a header."""
    parts = urllib.parse.urlsplit(url)
    userinfo, _, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl(), headers={"User-Agent": "vae-pipeline"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    if userinfo:
        pair = ":".join(urllib.parse.unquote(part) for part in userinfo.partition(":")[::2])
        encoded = base64.b64encode(pair.encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")  # another host isn't to have it
    return request


@contextmanager
def _answer(request: urllib.request.Request) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """The response and its chunks, read by a thread: nothing else bounds the time that a response's head may take.

    Raises:
        TimeoutError: nothing came for TIMEOUT_S, or too little.
    """
    arrived: queue.Queue[Any] = queue.Queue(maxsize=8)
    over = threading.Event()

    def read() -> None:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                arrived.put(response)
                read_some = getattr(response, "read1", response.read)  # a file's has no read1
                while not over.is_set():
                    chunk = read_some(CHUNK)
                    arrived.put(chunk)
                    if not chunk:
                        return
        except Exception as error:  # raised where the chunks are used
            arrived.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield _next(arrived, time.monotonic() + TIMEOUT_S), _chunks(arrived)
    finally:
        over.set()
        while not arrived.empty():  # the thread may be waiting for room
            arrived.get_nowait()


def _chunks(arrived: "queue.Queue[Any]") -> Iterator[bytes]:
    done, until = 0, time.monotonic() + TIMEOUT_S
    while chunk := _next(arrived, until):
        yield chunk
        done += len(chunk)
        if done >= LEAST:
            done, until = 0, time.monotonic() + TIMEOUT_S


def _next(arrived: "queue.Queue[Any]", until: float) -> Any:
    """The bytes that arrive next."""
    try:
        found = arrived.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(
            f"it sent less than {LEAST:,} bytes in {TIMEOUT_S:g} s; run again to go on from there"
        ) from None
    if isinstance(found, Exception):
        raise found
    return found


def _named(folder: Path, name: str) -> list[Path]:
    return sorted(path for path in folder.rglob(glob.escape(name)) if path.is_file())


def has_digest(path: Path, digest: str) -> bool:
    """True if the bytes of `path`, or what is gzipped in it, have the digest (`sha256:...` or `md5:...`)."""
    algorithm, _, wanted = digest.partition(":")
    with path.open("rb") as file:
        if hashlib.file_digest(file, algorithm).hexdigest() == wanted:
            return True
    try:
        inside = hashlib.new(algorithm)
        for chunk in _gunzipped(path):
            inside.update(chunk)
    except (OSError, EOFError, zlib.error):
        return False
    return inside.hexdigest() == wanted


def _gunzipped(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(CHUNK):
            yield chunk
