"""A real MLflow server on loopback, and a proxy before it whose connections die when a test wants it."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal


@contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """Its port; it keeps all in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, *places], env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            deadline = time.monotonic() + 120
            while not _answers(port):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@dataclass
class Proxy:
    """The requests that it has passed on, and the one at which the connection dies."""

    port: int
    """The server's."""
    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    dies_at: int | None = None
    """The request, counted from 0, that is the first to be cut."""
    where: Literal["before", "after"] = "before"
    """`before`: it is cut before it is delivered; `after`: before its answer is."""
    comes_back: bool = False
    """True if the requests after it pass again."""

    def live(self) -> None:
        """Pass on everything, and count anew."""
        self.seen, self.dies_at = [], None

    def die(self, at: int, where: Literal["before", "after"], comes_back: bool = False) -> None:
        """Count anew, and die at a request."""
        self.seen, self.dies_at, self.where, self.comes_back = [], at, where, comes_back


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy)) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            number = len(proxy.seen)
            proxy.seen.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            at = proxy.dies_at
            dies = at is not None and (number == at or (number > at and not proxy.comes_back))
            if dies and (number != at or proxy.where == "before"):
                self.cut()
                return
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if dies:
                self.cut()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
