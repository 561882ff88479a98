"""A picture's file to pixels: of the common formats, in any mode, of any depth, whatever its metadata hold."""

import io
import struct
import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_pipeline.kinds.image.spec import LEVELS, ImageSpec
from vae_pipeline.system.errors import CorruptFileError, DataError

Pixels = npt.NDArray[np.uint8]
Levels = tuple[float, float]
Resize = Literal["none", "stretch", "crop", "pad"]
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".pnm",
)  # fmt: skip
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
ORIENTATION, LYING = 0x0112, 5  # a tag of Exif, and the first of its values whose picture lies on its side
PNG = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"IDAT", b"eXIf", b"IEND")


def read_picture(
    content: bytes,
    name: str,
    shape: tuple[int, int, int],
    resize: Resize,
    levels: Levels = LEVELS,
    crop: int | None = None,
) -> Pixels:
    """Decode a picture of any mode and bring it to `shape` [channels, height, width], values 0..255.

    Transparent parts are laid on white; greys of more than 8 bits are spread from `levels` to 0..255; the camera's
    orientation is applied. Of one of another size, a square of side `crop` in its middle is taken first.

    Raises:
        CorruptFileError: the picture is truncated or corrupt.
        DataError: it is of another size, and `resize` is `none`; or it is smaller than `crop`, too large, or holds
            several frames or NaN.
    """
    return _brought(_open(content, name), name, shape, resize, levels, crop)


def read_picture_or_levels(
    content: bytes, name: str, shape: tuple[int, int, int], resize: Resize, crop: int | None
) -> Pixels | Levels:
    """Decode a picture as `read_picture` does; of a grey one of more than 8 bits, give `wide_levels` instead.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    picture = _open(content, name)
    return _levels(picture, name) if _is_wide(picture) else _brought(picture, name, shape, resize, LEVELS, crop)


def _brought(
    picture: Image.Image,
    name: str,
    shape: tuple[int, int, int],
    resize: Resize,
    levels: Levels,
    crop: int | None,
) -> Pixels:
    channels, height, width = shape
    picture = _in_channels(picture, name, channels, levels)
    if picture.size != (width, height) and crop is not None:
        picture = _middle(picture, name, crop)
    return _pixels(fitted(picture, name, (width, height), resize))


def read_whole(content: bytes, name: str, channels: int, levels: Levels = LEVELS) -> Pixels:
    """Decode a picture of any mode and size to [channels, height, width], values 0..255, as `read_picture` does.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    return _pixels(_in_channels(_open(content, name), name, channels, levels))


def in_units(pixels: Pixels, spec: ImageSpec) -> npt.NDArray[Any]:
    """Values 0..255 of any shape, in the type and units of the data."""
    scaled = spec.low + pixels / 255 * (spec.high - spec.low)
    return (np.rint(scaled) if spec.dtype == "uint8" else scaled).astype(spec.dtype)


def _in_channels(picture: Image.Image, name: str, channels: int, levels: Levels) -> Image.Image:
    return _to_mode(picture, name, "L" if channels == 1 else "RGB", levels)


def _pixels(picture: Image.Image) -> Pixels:
    pixels: Pixels = np.asarray(picture, np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def read_mask(content: bytes, name: str, size: tuple[int, int], resize: Resize) -> Pixels:
    """Decode a mask and bring it to `size` [height, width]: 1 in each pixel that a marked one falls into, else 0.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    height, width = size
    mask = Image.fromarray(_marked(_open(content, name)).astype(np.uint8) * 255)
    if mask.size != (width, height):
        mask = _to_size(mask, name, (width, height), resize, Image.Resampling.BOX)
    return (np.asarray(mask) > 0).astype(np.uint8)


def wide_levels(content: bytes, name: str) -> Levels | None:
    """The levels that a grey picture of more than 8 bits fills, the last one's end; None of any other.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    if not _is_wide(_open(content, name, load=False)):
        return None
    return _levels(_open(content, name), name)


def _levels(picture: Image.Image, name: str) -> Levels:
    values = _wide(picture, name)
    low, high = float(values.min()), float(values.max())
    return low, high if values.dtype.kind == "f" and low < high else high + 1


def size_of(content: bytes, name: str) -> tuple[int, int]:
    """Height and width of a picture, upright; its pixels aren't decoded.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    picture = _open(content, name, load=False)
    try:
        lies = picture.getexif().get(ORIENTATION, 1) >= LYING
    except Exception:  # as in `_upright`
        lies = False
    return (picture.width, picture.height) if lies else (picture.height, picture.width)


def is_grey(content: bytes, name: str) -> bool:
    """True if no pixel of a picture has a colour, whatever its mode; transparent ones are white.

    Raises:
        CorruptFileError, DataError: as `read_picture`.
    """
    picture = _open(content, name)
    if _is_wide(picture) or picture.mode in ("1", "L", "LA"):
        return True
    colours = np.asarray(_to_mode(picture, name, "RGB", LEVELS))
    return bool((colours == colours[..., :1]).all())


def _marked(picture: Image.Image) -> npt.NDArray[np.bool_]:
    """Pixels [height, width] of a mask that are neither black nor transparent.

    Where that leaves none, those of a palette that aren't its first colour, or what is painted on transparent ground.
    """
    if _is_wide(picture) or picture.mode in ("1", "L"):
        return np.asarray(np.asarray(picture) > 0)
    colours = np.asarray(picture.convert("RGBA"))
    opaque = colours[..., 3] > 0
    marked: npt.NDArray[np.bool_] = opaque & (colours[..., :3] > 0).any(axis=-1)
    if marked.any():
        return marked
    return np.asarray(picture) > 0 if picture.mode == "P" else opaque & ~opaque.all()


def _open(content: bytes, name: str, load: bool = True) -> Image.Image:
    """The picture, upright; without `load` its pixels aren't decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of metadata and of sizes that it still reads
            opened: Image.Image = Image.open(io.BytesIO(_without_metadata(content)), formats=FORMATS)
            frames = 1 if opened.format in ("JPEG", "MPO") else getattr(opened, "n_frames", 1)
            if frames == 1 and load:
                opened.load()
                opened = _upright(opened)
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise DataError(f"{name} has over {most} million pixels: shrink it, or cut it into tiles") from error
    except UnidentifiedImageError as error:
        raise CorruptFileError(
            f"{name} is a truncated or corrupt picture, or none of {', '.join(FORMATS)}: leave it out"
        ) from error
    except Exception as error:  # a decoder of damaged bytes raises whatever it does
        raise CorruptFileError(f"{name} is a truncated or corrupt picture ({error}): leave it out") from error
    if frames > 1:
        raise DataError(f"{name} holds {frames} frames, where one is wanted: save each as a picture of its own")
    return opened


def _without_metadata(content: bytes) -> bytes:
    """The chunks of a PNG that its pixels depend on: others may be of any size, and damaged; all of another format."""
    if not content.startswith(PNG):
        return content
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        if kind in PIXEL_CHUNKS:
            kept.append(content[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged metadata raise nearly anything, and the pixels are whole
        return picture


def _is_wide(picture: Image.Image) -> bool:
    return picture.mode.startswith(("I", "F"))


def _wide(picture: Image.Image, name: str) -> npt.NDArray[Any]:
    """Values [height, width] of a picture of more than 8 bits."""
    values = np.asarray(picture)
    if not np.isfinite(values).all():
        raise DataError(f"{name} holds NaN or infinity: clean it first")
    return values


def _to_mode(picture: Image.Image, name: str, mode: str, levels: Levels) -> Image.Image:
    if _is_wide(picture):
        low, high = levels
        values = (_wide(picture, name).astype(np.float64) - low) / (high - low) * 256
        return Image.fromarray(np.floor(values).clip(0, 255).astype(np.uint8)).convert(mode)
    if "A" in picture.mode or "transparency" in picture.info:
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture.convert("RGBA")).convert(mode)
    return picture.convert(mode)


def _middle(picture: Image.Image, name: str, side: int) -> Image.Image:
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if min(left, top) < 0:
        raise DataError(
            f"{name} is {picture.width}x{picture.height} pixels, too small for the {side}x{side} that are cut out of "
            "its middle: leave it out, or set a smaller crop"
        )
    return picture.crop((left, top, left + side, top + side))


def fitted(picture: Image.Image, name: str, size: tuple[int, int], resize: Resize) -> Image.Image:
    """A decoded picture brought to a size (width, height).

    Raises:
        DataError: it is of another size, and `resize` is `none`.
    """
    return picture if picture.size == size else _to_size(picture, name, size, resize, Image.Resampling.LANCZOS)


def _to_size(
    picture: Image.Image, name: str, size: tuple[int, int], resize: Resize, method: Image.Resampling
) -> Image.Image:
    match resize:
        case "none":
            raise DataError(
                f"{name} is {picture.width}x{picture.height} pixels, but {size[0]}x{size[1]} (width x height) "
                "are wanted: set resize to stretch, crop or pad, or give pictures of that size"
            )
        case "stretch":
            return picture.resize(size, method)
        case "crop":
            return ImageOps.fit(picture, size, method)
        case "pad":
            return ImageOps.pad(picture, size, method)
