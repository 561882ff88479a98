"""Recordings that a bundle makes clean: read from files or a pipe, and written beside their names."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vae_pipeline.cli.output import PIPE, progress, say

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vae_pipeline.kinds.spec import AudioSpec
    from vae_pipeline.runtime.bundle import Bundle


@dataclass(frozen=True)
class _Heard:
    """A recording at the bundle's rate, [channels, samples]."""

    name: str
    x: "npt.NDArray[np.float32]"


def denoise_recordings(
    model: "Bundle", spec: "AudioSpec", inputs: list[Path], out: Path, intervals: bool, mix: float, as_json: bool
) -> None:
    """Make recordings of any length clean, each at the bundle's rate and with its own channels.

    Raises:
        DataError: one can't be used, or two have one name.
        OutputError: there is no place for what is asked.
    """
    from vae_pipeline.kinds.audio.encoding import as_wav
    from vae_pipeline.runtime.streams import stream_of
    from vae_pipeline.system.errors import DataError, OutputError
    from vae_pipeline.system.files import filled_folder, replace_file

    told, _ = stream_of(model)
    in_folder = not out.suffix and str(out) != PIPE
    if not in_folder and out.suffix.lower() != ".wav" and str(out) != PIPE:
        raise OutputError(f"{out}: sound goes to a file that ends in .wav, to a folder, or to a pipe (-)")
    if intervals and str(out) == PIPE:
        raise OutputError("-o - has no place for --intervals: name a folder, or a file that ends in .wav")
    files = _files(inputs)
    if len(files) > 1 and not in_folder:
        raise OutputError(f"{len(files)} recordings were given, and {out} is one file: name a folder")

    def made() -> Iterator[tuple[str, bytes]]:
        with progress(model, len(files)):
            for heard in (_read(path, spec) for path in files):
                rows = heard.x[:, None] if spec.channels == 1 else heard.x[None]
                found = model.denoise(rows, mix=mix)
                for suffix, x in {"": found.clean, "_low": found.low, "_high": found.high}.items():
                    if x is not None and (intervals or not suffix):
                        channels = x.reshape(1, len(heard.x), -1)
                        yield heard.name + suffix, as_wav(channels, replace(spec, channels=len(heard.x)))
                model.progress(1)

    if in_folder:
        written: set[str] = set()
        with filled_folder(out) as folder:
            for name, content in made():
                if name in written:
                    raise DataError(f"two recordings have the name {name}: denoise them into folders of their own")
                written.add(name)
                replace_file(folder / f"{name}.wav", content)
    else:
        parts = dict(made())
        (name, *_) = parts
        for each, content in parts.items():
            if str(out) == PIPE:
                sys.stdout.buffer.write(content)
            else:
                replace_file(out.with_stem(out.stem + each.removeprefix(name)), content)
    say(out, len(files), "recordings", as_json)
    if not as_json and str(out) != PIPE:
        ms = 1000 * told.latency / spec.rate_hz
        sys.stdout.write(f"as a stream it answers {told.latency:,} samples ({ms:.0f} ms) later\n")


def _files(inputs: list[Path]) -> list[Path]:
    """The inputs, where a folder stands for the recordings in it."""
    from vae_pipeline.kinds.listing import list_recordings

    return [
        file
        for path in inputs
        for file in ([path / name for name in list_recordings(path).names] if path.is_dir() else [path])
    ]


def _read(path: Path, spec: "AudioSpec") -> _Heard:
    from vae_pipeline.kinds.audio.decoding import read_recording
    from vae_pipeline.system.errors import DataError

    pipe = str(path) == PIPE
    try:
        content = sys.stdin.buffer.read() if pipe else path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    found = read_recording(content, "standard input" if pipe else str(path), spec.rate_hz, mono=False)
    if spec.channels not in (1, len(found.x)):
        raise DataError(f"{path} has {len(found.x)} channels, and this model takes {spec.channels}: mix it first")
    if found.header.rate_hz != spec.rate_hz:
        sys.stderr.write(f"vae-pipeline: {path} is brought from {found.header.rate_hz:,} Hz to {spec.rate_hz:,} Hz\n")
    return _Heard("recording" if pipe else path.stem, found.x)
