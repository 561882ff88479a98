"""A look at recordings: each gives its windows as rows, and what the data card tells of it."""

from importlib.metadata import version
from typing import Any

from vae_pipeline.kinds import blocks
from vae_pipeline.kinds.audio import decoding, windows
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.audio.windows import read_for
from vae_pipeline.kinds.blocks import Look, Looked, code_of


class RecordingLook(Look):
    """Windows [channels, length] of a recording, in [-1, 1]."""

    noun, dtype, at_once = "recordings", "float32", 64
    told = (
        ("rate_hz", "i8"),
        ("channels", "i8"),
        ("samples", "i8"),
        ("cropped", "?"),
        ("clipped", "?"),
        ("silent", "?"),
        ("lost", "f8"),
        ("peak", "f8"),
        ("lopsided", "?"),
    )

    def __init__(self, spec: AudioSpec, dropping: bool) -> None:
        self.spec, self.event, self.dropping = spec, spec.event_shape, dropping

    @property
    def made_of(self) -> list[Any]:
        """The rate, the length and the channels, the libraries and the code."""
        spec = self.spec
        libraries = [version(name) for name in ("soundfile", "soxr")]
        return [spec.rate_hz, spec.length, spec.channels, spec.longer, libraries, *code_of(blocks, decoding, windows)]

    def look(self, content: bytes, name: str, shown: str) -> Looked:  # noqa: ARG002
        """Decode a recording and cut it into windows."""
        found = read_for(content, shown, self.spec)
        header, samples = found.header, found.x.shape[1]
        silent = not found.x.any()
        told = (header.rate_hz, header.channels, samples, found.cropped, found.clipped, silent, found.lost)
        return Looked(windows.windows(found.x, self.spec), (*told, found.peak, found.lopsided))
