"""Standard streams that may be closed, or lead to a terminal that doesn't know every sign."""

import codecs
import io
import os
import sys

PLAIN = {"±": "+/-", "→": "->", "—": "-", "–": "-", "×": "x", "·": "*", "…": "...", "’": "'", "‖": "||"}


def make_usable() -> None:
    """Open what is closed on nothing, and write what an encoding lacks in plain signs."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _open_on_nothing(number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    codecs.register_error("plain", _in_plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors="plain")


def _open_on_nothing(number: int) -> None:
    """Open the null device there: else the next file that is opened gets the number, and prints land in it."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _in_plain_signs(error: UnicodeError) -> tuple[bytes, int]:
    """Plain signs for each that the encoding lacks; a byte of a file's name that wasn't text stays that byte."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    plain = (
        bytes([ord(sign) & 255]) if "\udc80" <= sign <= "\udcff" else PLAIN.get(sign, "?").encode() for sign in signs
    )
    return b"".join(plain), error.end
