"""Mutations of a bundle or of prepared data: every command ends well or in one line, in bounded time and memory.

Needs a folder of either:

    python -m benchmarks fuzz bundle exports/digits --inputs data/prepared/digits/test.npy --mutations 500
    python -m benchmarks fuzz prepared data/prepared/digits --mutations 200

Each mutation runs in a process of its own. Half of those of a bundle are accidents, which leave the digests as they
were; the others are forged: every digest is made anew, so that what lies behind them is looked at. Of an accident
another result than the untouched folder's is a failure; of a forgery it can't be told from another model, unless a file
of the host shows up in what was written.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.store import Store
from vae_pipeline.bundles.explorer.browser_runtime import BrowserRuntime
from vae_pipeline.bundles.explorer.page import write_file
from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import VaeError
from vae_pipeline.system.files import content_key
from vae_pipeline.system.seal import seal

PAGE = None
LIMIT_S = 20
SECRET = "the host's own words"
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 10**30, 1e308, -0.5, "", "x", "../../escaped", "/etc/passwd", "a\0b", "x" * 10**5, [],
    [[]], {}, {"a": {}}, [0] * 1000, ["batch", 10**9], ["batch", -1], "float64",
]  # fmt: skip
CONTENTS = [b"", b"{", b"[]", b"null", b"\x80\x04.", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"[" * 10**5, b"\0" * 10**6]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to every value of JSON."""
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def edit_json(path: Path, draw: random.Random) -> str:
    values = json.loads(path.read_text())
    values.pop("sha256", None) if draw.random() < 0.5 else None
    way = draw.choice([place for place in places(values) if place])
    around = values
    for key in way[:-1]:
        around = around[key]
    if draw.random() < 0.25 and isinstance(around, dict):
        value = around.pop(way[-1])
        if draw.random() < 0.5:
            around[draw.choice(["../../escaped", "", "graphs", "x" * 300])] = value
        said = "removed or renamed"
    else:
        around[way[-1]] = draw.choice(VALUES)
        said = repr(around[way[-1]])[:40]
    path.write_text(json.dumps(values))
    return f"{path.name}: {'.'.join(map(str, way))} {said}"


def damage(path: Path, draw: random.Random, secret: Path) -> str:
    """Bytes of a file, or what it is."""
    content = bytearray(path.read_bytes())
    match draw.randrange(6):
        case 0 | 1 if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
            return f"{path.name}: a flipped bit"
        case 2:
            path.write_bytes(content[: draw.randrange(len(content) + 1)])
            return f"{path.name}: cut short"
        case 3:
            path.write_bytes(draw.choice(CONTENTS))
            return f"{path.name}: other content"
        case 4:
            path.unlink()
            made = draw.choice(["pipe", "link", "device", "folder", "nothing"])
            if made == "pipe":
                os.mkfifo(path)
            elif made in ("link", "device"):
                path.symlink_to(secret if made == "link" else "/dev/zero")
            elif made == "folder":
                path.mkdir()
            return f"{path.name}: a {made}"
        case _:
            path.write_bytes(content + bytes(draw.randrange(1, 99)))
            return f"{path.name}: bytes behind its end"


def forge(folder: Path) -> None:
    """Make every digest of a bundle anew, as far as its manifest still names files."""
    path = folder / "bundle.json"
    try:
        values = json.loads(path.read_text())
        values.pop("sha256", None)
        entries = [(graph, graph[file], digest) for graph in values["graphs"].values()
                   for file, digest in (("file", "sha256"), ("golden", "golden_sha256"))]  # fmt: skip
        if values["detection"]:
            calibration = values["detection"]["calibration"]
            entries.append((calibration, calibration["file"], "sha256"))
        entries += [(values["files"], file, file) for file in values["files"]]
        for entry, file, digest in entries:
            if (folder / file).is_file() and not (folder / file).is_symlink():
                entry[digest] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        path.write_text(json.dumps(values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def mutate_bundle(folder: Path, draw: random.Random, secret: Path) -> tuple[str, bool]:
    """A mutation: what was done, and if it is an accident."""
    forged = draw.random() < 0.5
    if draw.random() < 0.6:
        said = edit_json(folder / "bundle.json", draw)
        accident = not forged and "sha256" in json.loads((folder / "bundle.json").read_text())
    else:
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".onnx", ".npz"))
        said, accident = damage(draw.choice(files), draw, secret), not forged
    if forged:
        forge(folder)
    return said, accident


def mutate_prepared(folder: Path, draw: random.Random, secret: Path) -> tuple[str, bool]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    path, forged = draw.choice(files), draw.random() < 0.5
    said = edit_json(path, draw) if path.suffix == ".json" and draw.random() < 0.6 else damage(path, draw, secret)
    if forged and path.name != "digests.json" and path.is_file() and not path.is_symlink():
        seal(folder)
    return said, not forged


def use_bundle(folder: Path, inputs: Path | None, out: Path) -> list[str]:
    """Digests of what commands find and write; what a command refuses is told."""
    found: list[str] = []
    served, page = out / "served", out / "page.html"

    def step(call: Callable[[], Any]) -> None:
        try:
            with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # every number, to its last bit
                found.append(hashlib.sha256(repr(call()).encode()).hexdigest())
        except VaeError as error:
            line = str(error)
            found.append(f"refused {line[:300]}" if SECRET not in line else "SECRET")

    def scores() -> Any:
        bundle = Bundle.load(folder)
        if bundle.spec.kind == "text":
            given = ["the cat sees the dog", "the dog"]
            return [[*part] for part in vars(bundle.sentences.score(given, 2)).values()], bundle.sentences.sample(3)
        x = np.load(inputs)[:5] if inputs else bundle.golden("encoder")["x"]
        labels = [0] * len(x) if bundle.classes else None
        found = [bundle.encode(x, labels), bundle.reconstruct(x, labels), bundle.score(x, labels, 2), bundle.spec]
        found += [bundle.sample(2, labels=labels and labels[:2]), bundle.generate(2, labels=labels and labels[:2])]
        return found + ([bundle.detect(x, labels), bundle.calibration(), bundle.least_alpha] if bundle.detects else [])

    def repository() -> Any:
        write_repository(Bundle.load(folder), "triton", served)
        files = sorted(path for path in served.rglob("*") if path.is_file())
        return [(path.relative_to(served).as_posix(), path.read_bytes()) for path in files]

    def written() -> Any:
        write_file(Bundle.load(folder), BrowserRuntime(b"", b""), page)
        return page.read_bytes()

    step(scores)
    step(lambda: len(verify(folder)))
    step(repository)
    step(written)
    return found


def use_prepared(folder: Path, *_: Path | None) -> list[str]:
    """A digest of all that a stage reads, or what it refuses."""
    try:
        data = Prepared.open(folder)
        found = repr((data.spec, data.card, data.digest(), [part.x[:].tobytes() for part in
                      (data.train, data.valid, data.test)]))  # fmt: skip
        return [hashlib.sha256(found.encode()).hexdigest()]
    except VaeError as error:
        return [f"refused {str(error)[:300]}"]


def apart(use: Callable[..., list[str]], folder: Path, inputs: Path | None, out: Path) -> tuple[str, Any, float, float]:
    """The end of a process of its own: outcome, findings, seconds, peak memory in MB."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            (out / "found.json").write_text(json.dumps(use(folder, inputs, out)))
        except BaseException:
            (out / "trace").write_text(traceback.format_exc())
            code = 3
        os._exit(code)
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > LIMIT_S:
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            return "hang", None, time.monotonic() - began, usage.ru_maxrss / 1e3
        time.sleep(0.01)
    took, memory = time.monotonic() - began, usage.ru_maxrss / 1e3
    if os.waitstatus_to_exitcode(status):
        trace = out / "trace"
        return "crash", trace.read_text() if trace.exists() else f"ended with {status}", took, memory
    return "ended", json.loads((out / "found.json").read_text()), took, memory


def options(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=["bundle", "prepared"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--mutations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)


def measure(given: Namespace, _: Store) -> None:
    mutate = mutate_bundle if given.what == "bundle" else mutate_prepared
    use = use_bundle if given.what == "bundle" else use_prepared
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    counts: Counter[str] = Counter()
    longest = largest = 0.0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "secret").write_text(SECRET)
        (root / "whole").mkdir()
        _, wanted, _, _ = apart(use, given.folder, given.inputs, root / "whole")
        assert not any(part.startswith("refused") for part in wanted[: 2 if given.what == "bundle" else 1]), wanted
        for number in range(given.mutations):
            place = root / "place" / "deep"
            shutil.copytree(given.folder, place / "folder")
            (place / "out").mkdir()
            said, accident = mutate(place / "folder", random.Random(content_key(given.seed, number)), root / "secret")
            before = {path for path in root.rglob("*") if "out" not in path.parts}
            outcome, found, took, memory = apart(use, place / "folder", given.inputs, place / "out")
            longest, largest = max(longest, took), max(largest, memory)
            if outcome == "ended":
                refused = [part for part in found if part.startswith("refused")]
                others = [part for part, whole in zip(found, wanted, strict=True) if part not in (whole, *refused)]
                outcome = "other" if others else "same" if found == wanted else "refused"
                if outcome == "refused" and len(refused) < len(found):
                    outcome = "refused in part, and the same in what is left"
                page = place / "out" / "page.html"
                if "SECRET" in found or (page.exists() and SECRET in page.read_text(errors="replace")):
                    outcome = "secret told"
                if {path for path in root.rglob("*") if "out" not in path.parts} - before:
                    outcome = "wrote elsewhere"
                if any(len(part.splitlines()) > 1 for part in refused):
                    counts["of several lines"] += 1
            kind = "accident" if accident else "forged"
            counts[f"{kind}: {outcome}"] += 1
            if outcome in ("crash", "hang", "secret told", "wrote elsewhere") or (accident and outcome == "other"):
                print(f"{number}: {kind}, {said}: {outcome} {found}", flush=True)
            shutil.rmtree(root / "place")
    print(f"{given.what}, {given.mutations} mutations, seed {given.seed}: {dict(sorted(counts.items()))}")
    print(f"longest {longest:.1f} s, largest {largest:.0f} MB")
    bad = [name for name in counts if any(word in name for word in ("crash", "hang", "secret", "elsewhere"))]
    sys.exit(bool(bad or counts["accident: other"]))
