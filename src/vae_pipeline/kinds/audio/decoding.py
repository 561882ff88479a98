"""A recording's file to samples: of the common formats, of any rate, depth and number of channels.

Decoding is soundfile's (libsndfile), and another rate is made by soxr; both cost only those who read sound.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.audio.spec import FASTEST, LOUDEST
from vae_pipeline.system.errors import CorruptFileError, DataError

Samples = npt.NDArray[np.float32]
SUFFIXES = (".wav", ".flac", ".ogg")
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG")
CHANNELS = 64
"""The most channels of a recording that is read."""
LARGEST = 2**28
"""The most values of a recording that is read, and of what it becomes at another rate: a gigabyte of memory each."""
FULL_SCALE = 1 - 2**-15
"""The largest sample of 16 bits: what reaches it was clipped, or nearly."""
MOST_LOST = 0.1
"""The share of a recording's energy that a lower rate may lose before it is said."""
RIFF, CHUNK = struct.Struct("<4sI4s"), struct.Struct("<4sI")
"""The beginnings of a WAV and of each of its chunks: a name and the number of bytes that follow."""
UNKNOWN = 2**31 - 2**12
"""Bytes, from which a claim stands for a length that wasn't known."""
MARGIN = 256
"""Samples of the wanted rate that are read beyond a crop, so that the filter has its neighbours."""


@dataclass(frozen=True)
class Header:
    """The claims of a file about itself."""

    rate_hz: int
    channels: int
    samples: int
    """Samples of each channel."""


@dataclass(frozen=True)
class Recording:
    """The samples of a file at the rate that was asked for."""

    x: Samples
    """[channels, samples] in [-1, 1]."""
    header: Header
    clipped: bool
    """True if a sample reached full scale, or lay beyond it and was set to it."""
    cropped: bool
    """True if the file holds more."""
    lost: float
    """The share of the energy that the rate can't hold: what lies above half of it."""
    peak: float
    """The largest sample of the file's, by its size."""
    lopsided: bool
    """True if a channel of the file is silent and another isn't."""


def read_header(content: bytes, name: str) -> Header:
    """The claims of a file, found possible before memory is taken for its samples.

    Raises:
        CorruptFileError: it is no recording, or its header is broken.
        DataError: it claims a rate, channels or a length that aren't read.
    """
    with _opened(content, name) as file:
        return _header(file, name)


def read_recording(content: bytes, name: str, rate_hz: int, mono: bool, length: int | None = None) -> Recording:
    """Decode a recording at a rate: the mean of its channels if `mono`, its beginning if a `length` is given.

    Samples of floating point beyond full scale are set to it. Another rate rounds the number of samples.

    Raises:
        CorruptFileError: it is no recording, is broken, or holds no samples or NaN.
        DataError: as `read_header`, or the samples are of another unit.
    """
    with _opened(content, name) as file:
        header = _header(file, name)
        wanted = header.samples if length is None else min(header.samples, -(-length * header.rate_hz // rate_hz))
        around = 0 if header.rate_hz == rate_hz else -(-MARGIN * header.rate_hz // rate_hz)
        values = max(header.samples if length is None else wanted + around, 1) * header.channels
        if values * max(1.0, rate_hz / header.rate_hz) > LARGEST:
            raise DataError(
                f"{name} claims {header.samples:,} samples of {header.channels} channels, over the {LARGEST:,} "
                "values that are read of a recording: cut it into parts"
            )
        x = file.read(wanted + around, dtype="float32", always_2d=True)
    kept = x[:wanted]
    if not len(x):
        raise CorruptFileError(f"{name} holds no samples: leave it out")
    if not np.isfinite(x).all():
        raise CorruptFileError(f"{name} holds NaN or infinity: leave it out, or mend it")
    peak = float(np.abs(kept).max())
    if peak > LOUDEST:
        raise DataError(f"{name} holds samples up to {peak:.7g}, and full scale is 1: divide them by what it is there")
    x = x.clip(-1, 1)
    heard = kept.any(axis=0)
    if mono:
        x = x.mean(axis=1, keepdims=True)
    before = _power(x[:wanted])
    x = _at_rate(x, header.rate_hz, rate_hz)[: None if length is None else length]
    lost = max(0.0, 1 - _power(x) / before) if header.rate_hz > rate_hz and before else 0.0
    cropped = length is not None and header.samples > wanted
    return Recording(
        np.ascontiguousarray(x.T),
        header,
        peak >= FULL_SCALE,
        cropped,
        lost,
        peak,
        bool(heard.any() and not heard.all()),
    )


def _power(x: Samples) -> float:
    """The mean square of samples."""
    return float(np.vdot(x, x)) / x.size


def count_at_rate(samples: int, given_hz: int, wanted_hz: int) -> int:
    """The number of samples that so many become at another rate, rounded; one at least."""
    return max(1, round(samples * wanted_hz / given_hz))


def _at_rate(x: Samples, given_hz: int, wanted_hz: int) -> Samples:
    if given_hz == wanted_hz:
        return x
    import soxr  # noqa: PLC0415 (it costs only those who have another rate)

    found = np.zeros((count_at_rate(len(x), given_hz, wanted_hz), x.shape[1]), np.float32)
    made = soxr.resample(x, given_hz, wanted_hz)[: len(found)]
    found[: len(made)] = made.clip(-1, 1)  # its filter overshoots
    return found


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Any]:
    import soundfile  # noqa: PLC0415 (it costs only those who read sound)

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _refuse_cut(content, name)
            yield file
    except soundfile.LibsndfileError as error:
        why = error.error_string.rstrip(".")
        raise CorruptFileError(
            f"{name} is a broken recording, or none of {', '.join(FORMATS)} ({why}): leave it out"
        ) from error


def _refuse_cut(content: bytes, name: str) -> None:
    """Refuse a WAV that holds fewer bytes of samples than it claims, which libsndfile takes for a shorter one.

    A program that writes to a pipe can't know the length, and claims more than 2 GiB.

    Raises:
        CorruptFileError: it is cut short.
    """
    at = RIFF.size if content.startswith(b"RIFF") else len(content)
    while at + CHUNK.size <= len(content):
        kind, claimed = CHUNK.unpack_from(content, at)
        at += CHUNK.size
        if kind == b"data" and len(content) - at < claimed < UNKNOWN:
            raise CorruptFileError(
                f"{name} holds {len(content) - at:,} of the {claimed:,} bytes of samples that it claims: it was cut "
                "short; fetch it again, or leave it out"
            )
        at += claimed + claimed % 2


def _header(file: Any, name: str) -> Header:
    header = Header(file.samplerate, file.channels, file.frames)
    if file.format not in FORMATS:
        raise CorruptFileError(f"{name} is of the format {file.format}; wanted one of {', '.join(FORMATS)}: convert it")
    if header.channels > CHANNELS:
        raise DataError(f"{name} claims {header.channels:,} channels; {CHANNELS} at most are read: is it sound?")
    if not 0 < header.rate_hz <= FASTEST:
        raise DataError(f"{name} claims {header.rate_hz:,} samples a second; wanted 1 to {FASTEST:,}: mend its header")
    return header
