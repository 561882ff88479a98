"""The page of what was stored."""

from collections.abc import Iterator
from textwrap import fill

import numpy as np

from benchmarks.markdown import table
from benchmarks.store import Kept
from benchmarks.tables.denoising import images, sound
from benchmarks.tables.denoising.running import OURS, Row

WIDTH = 140
SHOWN = {OURS: "**vae-pipeline**"}


def page(kept: Kept) -> str:
    """The page, a section after the other; a set that isn't stored yet has no table."""
    lines = [
        "# Denoisers beside each other",
        "Written by `make bench TABLE=denoising`, each denoiser in a process of its own, on one thread.",
        *(["## Images", *_images(kept[images.SECTION])] if images.SECTION in kept else []),
        *(["## Speech", *_speech(kept[sound.SECTION])] if sound.SECTION in kept else []),
    ]
    return "\n\n".join(lines) + "\n"


def _images(section: Row) -> Iterator[str]:
    yield _text(f"""
    Measured {section["date"]} on {section["machine"]}. Gaussian noise of a known deviation, on values from 0 to 1,
    neither clipped nor rounded. PSNR and SSIM are means over images, whose answers are clipped to [0, 1]; SSIM has
    a Gaussian window of 11 x 11 and a deviation of 1.5. Of digits and clothes they are of the first 100 test
    images, of Set12 of all and of BSD68 of every fourth.""")
    yield _text("""
    Peers are told the noise's deviation, and tuned by PSNR on 20 training images, or on 4 of Train400, at each
    deviation by itself. BM3D is taken as it is. Ours is one bundle for each kind of image and isn't told the
    deviation: that of digits was trained for 0.5 alone, that of clothes, which is `mnist_denoise` with other data, for
    0.1 to 0.5.""")
    for name in (name for name in images.SETS if name in section["rows"]):
        found = section["rows"][name]
        deviations = [each for each in found if each != "images"]
        told = [each if float(each) in (0.25, 0.5) else f"{float(each) * 255:.0f}/255" for each in deviations]
        methods = [each for each in images.METHODS if any(each in found[level] for level in deviations)]
        rows = [
            [SHOWN.get(method, method), *(_pair(found[level].get(method)) for level in deviations),
             _mean([found[level][method]["cpu_s"] for level in deviations if method in found[level]], ".2g")]
            for method in methods
        ]  # fmt: skip
        head = " | ".join([f"{name}, {found['images']} images", *told, "CPU s a megapixel"])
        yield "\n".join(table(head, rows))


def _pair(row: Row | None) -> str:
    return "" if row is None else f"{row['psnr']:.2f} / {row['ssim']:.3f}"


def _mean(values: list[float], form: str) -> str:
    return format(float(np.mean(values)), form)


def _speech(section: Row) -> Iterator[str]:
    yield _text(f"""
    Measured {section["date"]} on {section["machine"]}. Speech at 8 kHz behind recorded noise that no denoiser was
    tuned or trained on: parts of ESC-10's fold 4 (rain, waves, helicopters, chainsaws, fire, clocks) and a running
    tap, divided from the others by the recording that they were cut from. The SNR is the ratio of mean powers over
    a recording. Digits are FSDD's official test part, alone and ten in a row of one speaker with pauses of 0.2 s;
    words are 270 of Speech Commands, five in a row.""")
    yield _text("""
    Peers are tuned by SI-SDR on validation mixtures of each set, of other recordings and other noises. SI-SDR is
    that of Le Roux et al. (2019); STOI is pystoi's, PESQ the narrow-band one (ITU-T P.862.1) of the package `pesq`.
    *Real time* is CPU seconds a second of sound on one core.""")
    for name in (name for name in sound.SETS if name in section["rows"]):
        found = section["rows"][name]
        methods = [each for each in sound.METHODS if each in found]
        snrs = [*found[methods[0]]["gain"]]
        told = f"{name}, {found['set']['recordings']} of {found['set']['seconds']:.0f} s"
        rows = [
            [SHOWN.get(method, method), *(f"{value:+.2f}" for value in found[method]["gain"].values()),
             *(_mean([*found[method][figure].values()], form) if figure in found[method] else ""
               for figure, form in (("gain", "+.2f"), ("stoi", ".3f"), ("pesq", ".2f"))),
             f"{found[method]['real time']:.2g}"]
            for method in methods
        ]  # fmt: skip
        head = [told, *(f"{snr} dB" for snr in snrs), "SI-SDR gained, dB", "STOI", "PESQ", "real time"]
        yield "\n".join(table(" | ".join(head), rows))
    yield "The SI-SDR that was gained on digits, in dB, by the kind of noise:"
    found = section["rows"]["digits"]
    methods = [each for each in sound.METHODS if each in found and each != "noisy"]
    kinds = sorted(found[methods[0]]["gain by noise"])
    rows = [
        [SHOWN.get(method, method), *(f"{found[method]['gain by noise'][kind]:+.2f}" for kind in kinds)]
        for method in methods
    ]
    yield "\n".join(table(" | ".join(["denoiser", *(kind.replace("_", " ") for kind in kinds)]), rows))


def _text(of: str) -> str:
    """A paragraph, its lines broken anew."""
    return fill(" ".join(of.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
