import base64
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vae_pipeline.kinds.download import Finder, has_digest
from vae_pipeline.recipe.data import File, Repacked
from vae_pipeline.system.errors import DataError, DownloadError, OutputError
from vae_pipeline.system.files import filled_folder

CONTENT = np.random.default_rng(0).bytes(100_000)


@dataclass
class Site:
    """A server on 127.0.0.1: what it delivers, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cut: int | None = None
    """Bytes after which the next answer breaks off."""
    drip: str | None = None
    """The part of every answer that comes a byte now and then: `head` or `body`."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    authorised: list[str] = field(default_factory=list)


def handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append((self.path, wanted))
            if "Authorization" in self.headers:
                site.authorised.append(self.headers["Authorization"])
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            if site.drip == "head":
                self.drip(b"HTTP/1.0 200 OK" * 100)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end, site.cut = site.cut, None
            if site.drip == "body":
                self.wfile.write(content[start : start + 1000])
                self.drip(content[start + 1000 :])
            self.wfile.write(content[start:end])

        def drip(self, content: bytes) -> None:
            with suppress(OSError):
                for byte in content[:60]:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(found)) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def closed() -> Iterator[str]:
    """A URL whose port nobody listens on, and that nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def file_at(url: str, content: bytes = CONTENT, algorithm: str = "sha256") -> File:
    return File(url=f"{url}/train.gz", digest=digest_of(content, algorithm))


def saved(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def parts_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_download_is_kept(tmp_path: Path, site: Site, algorithm: str) -> None:
    site.files["/train.gz"] = CONTENT
    file = file_at(site.url, algorithm=algorithm)
    told: list[tuple[str, int, int | None]] = []
    found = Finder(tmp_path, report=lambda *news: told.append(news)).find(file)
    assert found.read_bytes() == CONTENT
    assert told[-1] == ("train.gz", len(CONTENT), len(CONTENT))
    assert Finder(tmp_path).find(file) == found
    assert site.asked == [("/train.gz", None)]
    assert parts_in(tmp_path) == []


def test_damaged_copy_in_the_cache_is_fetched_again(tmp_path: Path, site: Site) -> None:
    site.files["/train.gz"] = CONTENT
    found = Finder(tmp_path).find(file_at(site.url))
    found.write_bytes(CONTENT[:-1])
    assert Finder(tmp_path).find(file_at(site.url)).read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_file_url(tmp_path: Path) -> None:
    origin = saved(tmp_path / "origin" / "train.gz", CONTENT)
    assert Finder(tmp_path / "cache").find(file_at(origin.parent.as_uri())).read_bytes() == CONTENT


def test_url_without_a_name(tmp_path: Path, site: Site) -> None:
    site.files["/?id=7"] = CONTENT
    file = File(url=f"{site.url}/?id=7", digest=digest_of(CONTENT))
    assert Finder(tmp_path / "cache", str(tmp_path)).find(file).read_bytes() == CONTENT


def test_wrong_checksum(tmp_path: Path, site: Site) -> None:
    site.files["/train.gz"] = b"another"
    with pytest.raises(DownloadError) as caught:
        Finder(tmp_path).find(file_at(site.url))
    text = str(caught.value)
    assert f"{site.url}/train.gz delivers a file with the checksum {hashlib.sha256(b'another').hexdigest()}" in text
    assert f"wanted {digest_of(CONTENT)}" in text
    assert "name that folder in VAE_MIRROR" in text
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_no_network(tmp_path: Path, closed: str) -> None:
    with pytest.raises(DownloadError) as caught:
        Finder(tmp_path).find(file_at(closed))
    text = str(caught.value)
    assert text.startswith(f"train.gz can't be had: {closed}/train.gz can't be reached (")
    assert "refused" in text
    assert f"Put a copy with {digest_of(CONTENT)} into a folder and name that folder in VAE_MIRROR" in text


def test_absent_page(tmp_path: Path, site: Site) -> None:
    with pytest.raises(DownloadError, match=r"/train\.gz answers 404 Not Found"):
        Finder(tmp_path).find(file_at(site.url))


@pytest.mark.parametrize("ranges", [True, False])
def test_interrupted_download_goes_on(tmp_path: Path, site: Site, ranges: bool) -> None:
    site.files["/train.gz"] = CONTENT
    site.ranges, site.cut = ranges, 40_000
    with pytest.raises(DownloadError, match="broke off after 40000 of 100000 bytes; run again to go on from there"):
        Finder(tmp_path).find(file_at(site.url))
    assert [part.stat().st_size for part in parts_in(tmp_path)] == [40_000]
    told: list[int | None] = []
    found = Finder(tmp_path, report=lambda _, done, total: told.extend((done, total))).find(file_at(site.url))
    assert found.read_bytes() == CONTENT
    assert site.asked == [("/train.gz", None), ("/train.gz", "bytes=40000-")]
    assert told[-2:] == [100_000, 100_000]
    assert parts_in(tmp_path) == []


@pytest.mark.parametrize("surplus", [b"", b"too long"])
def test_part_that_needs_no_more(tmp_path: Path, site: Site, surplus: bytes) -> None:
    site.files["/train.gz"] = CONTENT
    part = tmp_path / digest_of(CONTENT).replace(":", "-") / "train.gz.part"
    saved(part, CONTENT + surplus)
    assert Finder(tmp_path).find(file_at(site.url)).read_bytes() == CONTENT


@pytest.mark.parametrize("error", [OSError("the record layer failed"), TimeoutError("timed out")])
def test_network_that_fails_midway(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*_: object) -> bytes:
        raise error

    site.files["/train.gz"] = CONTENT
    monkeypatch.setattr("http.client.HTTPResponse.read1", fail)
    with pytest.raises(DownloadError, match=rf"/train\.gz can't be reached \({error}\)"):
        Finder(tmp_path).find(file_at(site.url))


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr("vae_pipeline.kinds.download.TIMEOUT_S", 0.3)
    site.files |= {"/train.gz": CONTENT, "/copies/train.gz": CONTENT}
    site.drip = part
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"can't be reached \(it sent less than 30,000 bytes in 0\.3 s; run again"):
        Finder(tmp_path, mirror=f"{site.url}/copies").find(file_at(site.url))
    assert time.monotonic() - started < 1
    assert site.asked == [("/copies/train.gz", None)]  # a host that stalls is asked once
    site.drip = None
    kept = [f"bytes={path.stat().st_size}-" for path in parts_in(tmp_path)]
    assert Finder(tmp_path).find(file_at(site.url)).read_bytes() == CONTENT
    assert [site.asked[-1][1]] == (kept or [None])
    assert bool(kept) == (part == "body")


def test_user_and_password_of_a_url_are_sent_and_never_shown(tmp_path: Path, site: Site) -> None:
    site.files["/train.gz"] = CONTENT
    address = site.url.replace("://", "://joe:s3%40cret@")
    assert Finder(tmp_path).find(file_at(address)).read_bytes() == CONTENT
    assert site.authorised == ["Basic " + base64.b64encode(b"joe:s3@cret").decode()]
    with pytest.raises(DownloadError) as caught:
        Finder(tmp_path).find(File(url=f"{address}/absent?sig=t0ken", digest=digest_of(b"")))
    shown = site.url.replace("://", "://***@")
    assert str(caught.value).startswith(f"absent can't be had: {shown}/absent?sig=*** answers 404")


def test_cache_that_cant_be_written(tmp_path: Path, closed: str) -> None:
    (tmp_path / "cache").write_text("kept")
    with pytest.raises(OutputError, match="can't write"):
        Finder(tmp_path / "cache").find(file_at(closed))


def test_mirror_folder_is_asked_before_the_network(tmp_path: Path, closed: str) -> None:
    wrong = saved(tmp_path / "mirror" / "a" / "train.gz", b"another")
    right = saved(tmp_path / "mirror" / "b" / "deep" / "train.gz", CONTENT)
    (tmp_path / "mirror" / "0" / "train.gz").mkdir(parents=True)
    finder = Finder(tmp_path / "cache", str(tmp_path / "mirror"))
    assert finder.find(file_at(closed)) == right
    right.unlink()
    with pytest.raises(DownloadError, match=f"{wrong} has another checksum; http.* can't be reached"):
        finder.find(file_at(closed))


def test_mirror_file_may_be_gzipped(tmp_path: Path, closed: str) -> None:
    inside = saved(tmp_path / "mirror" / "train.gz", gzip.compress(CONTENT))
    finder = Finder(tmp_path / "cache", str(tmp_path / "mirror"))
    assert finder.find(file_at(closed)) == inside
    inside.rename(tmp_path / "mirror" / "train.gz.gz")
    assert finder.find(file_at(closed)) == tmp_path / "mirror" / "train.gz.gz"


def test_name_is_no_pattern(tmp_path: Path, closed: str) -> None:
    right = saved(tmp_path / "mirror" / "[x]*.npy", CONTENT)
    file = File(url=f"{closed}/[x]*.npy", digest=digest_of(CONTENT))
    assert Finder(tmp_path / "cache", str(tmp_path / "mirror")).find(file) == right


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_url_is_asked_first(tmp_path: Path, site: Site, closed: str, slash: str) -> None:
    site.files["/copies/train.gz"] = CONTENT
    found = Finder(tmp_path, f"{site.url}/copies{slash}").find(file_at(closed))
    assert found.read_bytes() == CONTENT
    assert site.asked == [("/copies/train.gz", None)]


def test_mirror_url_with_a_gzipped_copy(tmp_path: Path, site: Site, closed: str) -> None:
    site.files["/train.gz.gz"] = gzip.compress(CONTENT)
    found = Finder(tmp_path, site.url).find(file_at(closed))
    assert gzip.decompress(found.read_bytes()) == CONTENT


def test_mirror_url_without_the_file(tmp_path: Path, site: Site) -> None:
    site.files["/train.gz"] = CONTENT
    assert Finder(tmp_path, f"{site.url}/copies").find(file_at(site.url)).read_bytes() == CONTENT
    assert [path for path, _ in site.asked] == ["/copies/train.gz", "/copies/train.gz.gz", "/train.gz"]


def test_mirror_that_names_no_folder(tmp_path: Path, closed: str) -> None:
    with pytest.raises(DownloadError, match=f"VAE_MIRROR names {tmp_path}/absent, which isn't a folder"):
        Finder(tmp_path / "cache", f"{tmp_path}/absent").find(file_at(closed))


def test_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", b"")
    assert Finder(tmp_path / "cache").find(File(path=str(path))) == path
    with pytest.raises(DataError, match=r"absent\.npy isn't there .*: mend the path in the recipe"):
        Finder(tmp_path / "cache").find(File(path=str(tmp_path / "absent.npy")))


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_has_digest(tmp_path: Path, algorithm: str, pack: Callable[[bytes], bytes]) -> None:
    path = saved(tmp_path / "x", pack(CONTENT))
    assert has_digest(path, digest_of(CONTENT, algorithm))
    assert has_digest(path, digest_of(pack(CONTENT), algorithm))
    assert not has_digest(path, digest_of(CONTENT[1:], algorithm))


def test_truncated_gz_hasnt_the_digest_of_its_content(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.gz", gzip.compress(CONTENT)[:-9])
    assert not has_digest(path, digest_of(CONTENT))


def test_failed_download_leaves_the_earlier_folder(tmp_path: Path, closed: str) -> None:
    old = saved(tmp_path / "out" / "spec.json", b"kept")

    def prepare() -> None:
        with filled_folder(tmp_path / "out"):
            Finder(tmp_path / "cache").find(file_at(closed))

    with pytest.raises(DownloadError):
        prepare()
    assert list((tmp_path / "out").iterdir()) == [old]


def test_two_processes_at_once_fetch_it_once(tmp_path: Path, site: Site) -> None:
    site.files["/train.gz"] = CONTENT
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: Finder(tmp_path).find(file_at(site.url)).read_bytes(), range(4)))
    assert found == [CONTENT] * 4
    assert site.asked == [("/train.gz", None)]


def test_the_same_values_in_another_form_are_taken_before_a_download(tmp_path: Path, closed: str) -> None:
    repacked = Repacked(name="faces.npz", digest=digest_of(b"repacked"), key="images")
    file = File(url=f"{closed}/5976027", digest=digest_of(CONTENT), key="faces", name="faces.mat", repacked=repacked)
    finder = Finder(tmp_path / "cache", str(tmp_path / "mirror"))
    other = saved(tmp_path / "mirror" / "deep" / "faces.npz", b"another")
    with pytest.raises(DownloadError, match=r"faces\.mat can't be had: .*can't be reached"):
        finder.find_array(file)
    other.write_bytes(b"repacked")
    assert finder.find_array(file) == (other, "images")
    here = file.model_copy(update={"url": None, "digest": None, "name": None, "path": str(tmp_path / "faces.mat")})
    assert finder.find_array(here) == (other, "images")
    mine = saved(tmp_path / "faces.mat", b"mine")
    assert finder.find_array(here) == (mine, "faces")
    whole = saved(tmp_path / "mirror" / "faces.mat", CONTENT)
    assert finder.find_array(file) == (whole, "faces")
