"""Films in MP4 (H.264), by PyAV, which has FFmpeg inside: the extra `video`."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.image.pictures import Pixels, to_image
from vae_pipeline.system.errors import MissingError
from vae_pipeline.system.files import replace_file

QUALITY = "16"  # H.264's constant rate factor: 0 loses nothing, from 18 or so on a person sees it


def require_video() -> Any:
    """PyAV, for those who have it.

    Raises:
        MissingError: it isn't installed.
    """
    try:
        import av  # noqa: PLC0415 (it costs only those who write films)
    except ModuleNotFoundError as error:
        raise MissingError(
            "an .mp4 needs the package av, which isn't installed: pip install 'vae-pipeline[video]', or write a .gif"
        ) from error
    return av


def save_video(path: Path, frames: Sequence[Pixels], fps: float) -> None:
    """Write pictures of [channels, height, width], `fps` of them a second.

    H.264 wants even sides: a last row or column is repeated where a side is odd.

    Raises:
        MissingError: PyAV isn't installed.
    """
    av = require_video()
    pictures = [_even_sided(np.asarray(to_image(pixels).convert("RGB"))) for pixels in frames]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("h264", rate=Fraction(fps).limit_denominator(1000), options={"crf": QUALITY})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"  # what every player reads
        stream.thread_count = 1  # several give other bytes from run to run
        for picture in pictures:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())
    replace_file(path, buffer.getvalue())


def _even_sided(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
