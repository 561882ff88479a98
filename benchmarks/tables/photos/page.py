"""The page of what was stored."""

from collections.abc import Iterator
from textwrap import fill

from benchmarks.markdown import table
from benchmarks.store import Kept

CODES = {"draw": "a draw at the KL", "rounded": "rounded means", "mean": "the mean, at the KL"}
WIDTH = 140


def page(kept: Kept) -> str:
    """The page, a section after the other."""
    model, tiles, rounding = kept["model"], kept["tiles"]["rows"], kept["rounding"]["rows"]
    told = f"""
    The recipe `photos_f4` learns 400 grey photographs in tiles of 64 x 64, with a [map of latents](models/spatial.md)
    of four channels, a place for 4 x 4 pixels. Here its bundle takes whole photographs of other sizes, none of them
    trained on: BSD68 (481 x 321) and Set12 (256 x 256 and 512 x 512). {model["rows"]["told"]}"""
    means = """
    Means over the photographs. JPEG is Pillow's, grey and with `optimize`, its header counted, interpolated between
    the two qualities whose files come nearest. *Better* counts photographs on which the model has the higher PSNR."""
    drawn = """
    *A draw at the KL*: a draw of q(z|x) can be sent in about KL(q || p) bits by relative entropy coding. That is an
    ideal cost: no such code was written here."""
    rounded = f"""
    *Rounded means*: the posterior's mean, rounded to steps and coded by how often each step came in each channel among
    the training tiles. Such a code can be written; its bits are computed, and not of a file. A step is
    {rounding["chosen"]:g} deviations of the posterior, chosen on the validation tiles."""
    mean = """
    *The mean*, which `reconstruct` shows, can't be sent in these bits: its row says what the decoder can come to, and
    is no comparison."""
    shown = "The second photograph of Set12, the model's draw of it, and JPEG at no more bits than the draw's KL."
    tiled = f"""
    A photograph of {tiles["width"]} x {tiles["height"]}, reconstructed in tiles of {tiles["tile"]}, differs from the
    whole one by {tiles["image"]:.1e} at most, on values from 0 to 1, and its map by {tiles["map"]:.1e}."""
    scaled = """
    Draws of q(z|x), scaled by the mean and the deviation of each channel that the bundle carries, which are of the
    training tiles, or by its one scale factor."""
    spread = "of | mean, by channel | deviation, by channel | deviation of all, by the one factor"
    head = "photographs | code | bits a pixel | PSNR, dB | JPEG, dB | better"
    lines = [
        "# Photographs: a map of latents beside JPEG",
        f"Written by `make bench TABLE=photos`: {model['date']}; {model['machine']}.",
        text(told),
        "## At equal bits",
        text(means),
        "\n".join(table(head, codes(kept))),
        "\n".join(f"- {text(each, '  ')}" for each in (drawn, rounded, mean)),
        "![A photograph, the model's draw of it, and JPEG at as many bits](images/photos.png)",
        shown,
        "## Tiles",
        text(tiled),
        "## The scale of the latents",
        text(scaled),
        "\n".join(table(spread, scales(kept))),
    ]
    return "\n\n".join(lines) + "\n"


def text(of: str, indent: str = "") -> str:
    """A paragraph, its lines broken anew."""
    return fill(" ".join(of.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def codes(kept: Kept) -> Iterator[list[str]]:
    """A row for each set of photographs and each code."""
    for photos in ("BSD68", "Set12"):
        for name, shown in CODES.items():
            row = kept[photos]["rows"][name]
            theirs = [f"{row['JPEG']:.2f}", f"{row['better']} of {row['images']}"] if name != "mean" else ["", ""]
            yield [photos, shown, f"{row['bits a pixel']:.3f}", f"{row['PSNR']:.2f}", *theirs]


def scales(kept: Kept) -> Iterator[list[str]]:
    """A row for each origin of latents."""
    for name, row in kept["scale"]["rows"].items():
        mean, deviation = (", ".join(f"{value:.3f}" for value in row[key]) for key in ("mean", "deviation"))
        yield [name, mean, deviation, f"{row['together']:.3f}"]
