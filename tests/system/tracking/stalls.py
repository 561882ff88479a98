"""Servers that stall, each in one of all the ways that were thought of."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

BODY = b'{"experiment": {"experiment_id": "1", "name": "vae-pipeline", "lifecycle_stage": "active"}}'


def silent(connection: socket.socket) -> None:
    time.sleep(600)


def closed(connection: socket.socket) -> None:
    connection.recv(65536)


def closed_midway(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n" + BODY)


def retry_after(code: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + code + b"\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n")

    return answer


def slow_head(connection: socket.socket) -> None:
    connection.recv(65536)
    drip(connection, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600)


def endless_head(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(60_000):
        connection.sendall(b"X-%d: x\r\n" % number)
        time.sleep(0.01)


def slow_body(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n")
    drip(connection, BODY + b" " * 600)


def drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def interim(connection: socket.socket) -> None:
    """Says again and again that the request may go on."""
    connection.recv(65536)
    for _ in range(600):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.1)


STALLS = {
    "silent": silent,
    "closed": closed,
    "closed midway": closed_midway,
    "503": retry_after(b"503 Service Unavailable"),
    "429": retry_after(b"429 Too Many Requests"),
    "slow head": slow_head,
    "endless head": endless_head,
    "slow body": slow_body,
    "interim": interim,
}


@contextlib.contextmanager
def stalling(stall: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that stalls in some way."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                stall(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://joe:s3cret@127.0.0.1:{listener.getsockname()[1]}"
