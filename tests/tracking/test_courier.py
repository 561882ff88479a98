"""Trackers that stall in all ways that were thought of, and signals while one is waited for."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.lanes import ROOT, make_job

from vae_pipeline.errors import BundleError
from vae_pipeline.tracking.tracker import Tracker, fetch_bundle

pytestmark = pytest.mark.slow  # each imports MLflow in a process of its own

WAIT_S = 1.0
BODY = b'{"experiment": {"experiment_id": "1", "name": "vae-pipeline", "lifecycle_stage": "active"}}'


def silent(connection: socket.socket) -> None:
    time.sleep(60)


def closed(connection: socket.socket) -> None:
    connection.recv(65536)


def retry_after(code: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + code + b"\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n")

    return answer


def slow_head(connection: socket.socket) -> None:
    connection.recv(65536)
    drip(connection, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600)


def slow_body(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n")
    drip(connection, BODY + b" " * 600)


def drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def interim(connection: socket.socket) -> None:
    """Says again and again that the request may go on."""
    connection.recv(65536)
    for _ in range(600):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.1)


STALLS = {
    "silent": silent,
    "closed": closed,
    "503": retry_after(b"503 Service Unavailable"),
    "429": retry_after(b"429 Too Many Requests"),
    "slow head": slow_head,
    "slow body": slow_body,
    "interim": interim,
}


@pytest.fixture
def stalling() -> Iterator[Callable[[str], str]]:
    """The address of a server that stalls in some way."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve(stall: Callable[[socket.socket], None]) -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0], stall), daemon=True).start()

        def answer(connection: socket.socket, stall: Callable[[socket.socket], None]) -> None:
            with connection, contextlib.suppress(OSError):
                stall(connection)

        def start(name: str) -> str:
            threading.Thread(target=serve, args=(STALLS[name],), daemon=True).start()
            return f"http://joe:s3cret@127.0.0.1:{listener.getsockname()[1]}"

        yield start


def recorded(smoke, home, uri, warn):
    """A tracker, and a journal that has ended."""
    tracker = Tracker(make_job("s", smoke, home, mlflow_uri=uri, mlflow_wait_s=WAIT_S).settings, warn)
    journal = tracker.journal("evaluate", "k")
    journal.start("s", {}, {}, weights="w")
    journal.end("FINISHED")
    return tracker, journal


@pytest.mark.parametrize("stall", STALLS)
def test_a_tracker_that_stalls_costs_one_warning_and_its_time(stall, stalling, smoke, tmp_path):
    warnings = []
    tracker, journal = recorded(smoke, tmp_path, stalling(stall), warnings.append)
    started = time.monotonic()
    assert not tracker.send(journal)
    assert time.monotonic() - started < 30  # MLflow's imports are most of it, on a busy machine
    assert len(warnings) == 1 and "`vae-pipeline sync`" in warnings[0]
    assert "s3cret" not in warnings[0] and "127.0.0.1" in warnings[0]
    assert journal.path.is_file()


def test_whatever_is_asked_of_a_tracker_that_stalls_ends(stalling, smoke, tmp_path):
    warnings = []
    tracker, journal = recorded(smoke, tmp_path, stalling("slow head"), warnings.append)
    with tracker.followed(journal):
        pass
    assert tracker.sync() == (0, 1, 0)
    assert len(warnings) == 2 and all("within 1 s" in text for text in warnings)
    with pytest.raises(BundleError, match="it didn't answer within 1 s: VAE_MLFLOW_WAIT_S"):
        fetch_bundle("models:/s@champion", tracker.settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_tracker_is_waited_for_ends_at_once(number, stalling, smoke, tmp_path):
    uri = stalling("slow body")
    recorded(smoke, tmp_path, uri, pytest.fail)
    settings = {"VAE_MLFLOW_URI": uri, "VAE_HOME": str(tmp_path), "VAE_MLFLOW_WAIT_S": "600"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_pipeline", "sync"],
        env=os.environ | settings,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    time.sleep(4)
    process.send_signal(number)
    started = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 3
    assert process.returncode == 130
    assert errors.count("\n") == 1 and f"{number.name} while MLflow at http://***@127.0.0.1" in errors
