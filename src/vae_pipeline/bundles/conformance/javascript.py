"""onnxruntime's JavaScript packages: fetched from npm, run in Node or in a headless browser."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vae_pipeline.bundles.conformance.exchange import write_answer
from vae_pipeline.bundles.conformance.installed import NPM, browser, modules
from vae_pipeline.bundles.conformance.processes import answer_by, ended, started
from vae_pipeline.system.errors import MissingError

HERE = Path(__file__).parent
CONTENT = {".html": "text/html", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def fetch(home: Path) -> None:
    """Install npm's packages under VAE_HOME, without running scripts of theirs; nothing to do the second time.

    Raises:
        MissingError: npm couldn't.
    """
    wanted = modules(home).parent
    if wanted.is_dir():
        return
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.parent) as partial_folder:
        place = Path(partial_folder) / "new"
        packages = [f"{name}@{version}" for name, version in NPM.items()]
        done = subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", place, *packages],
            env={**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "npm error" in line] or ["npm failed"]
            raise MissingError(f"npm can't install {' '.join(packages)}: {said[0]}")
        if not wanted.is_dir():  # another process may have been faster
            shutil.move(place, wanted)


def answer_in_node(package: str, folder: Path, home: Path) -> str | None:
    """Answer the exchange's folder by one of the packages; what went wrong, or None."""
    return answer_by(["node", str(HERE / "node.mjs"), package, str(folder)], folder, {"NODE_PATH": str(modules(home))})


def answer_in_browser(folder: Path, home: Path) -> str | None:
    """Answer the exchange's folder by onnxruntime-web on a page of a local server; what went wrong, or None."""
    exchange = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    places = {
        "npm": modules(home) / "onnxruntime-web" / "dist",
        "bundle": Path(exchange["bundle"]),
    }
    end: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, folder, places, end))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = folder / "profile"
    command = [browser() or "chromium", *QUIET, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"]
    try:
        with started(command, folder, {}) as process:
            return ended(process, folder, lambda: bool(end)) or (end[0] or None if end else "it left the page")
    finally:
        server.shutdown()
        server.server_close()
        shutil.rmtree(profile, ignore_errors=True)


class _Page(BaseHTTPRequestHandler):
    """Serves the page, the graphs and the package; takes the answers."""

    def __init__(self, folder: Path, places: dict[str, Path], end: list[str], *request: object) -> None:
        self.folder, self.places, self.end = folder, places, end
        super().__init__(*request)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """A file of one of the places, by its name alone."""
        *place, name = self.path.strip("/").split("/")
        if self.path == "/tasks.json":
            file = self.folder / "tasks.json"
        elif place:
            file = self.places.get(place[0], HERE) / name
        else:
            file = HERE / (name or "page.html")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        # Only an isolated page gets a clock finer than 0.1 ms.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """The answer of a graph, or the end and its reason."""
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/end":
            self.end.append(content)
        else:
            write_answer(self.folder, self.path.rsplit("/", 1)[1], content)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal is the command's."""
