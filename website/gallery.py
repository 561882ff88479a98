"""The gallery: what exported bundles draw, write and say, by their graphs alone; docs/gallery.md and its pictures."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from vae_pipeline.evaluation import plots
from vae_pipeline.kinds.image.sheets import save_grid, save_pairs
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.spec import AudioSpec, TableSpec, TextSpec
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.words import words_of
from vae_pipeline.metrics.features import heard
from vae_pipeline.recipe.figures import in_percent
from vae_pipeline.runtime.bundle import Bundle

COLUMNS, SAMPLES, ROWS, SENTENCES, MOST_COLUMNS, SOUNDS = 10, 30, 5, 6, 6, 6
PICTURES = Path("images", "gallery")
Array = npt.NDArray[Any]
HEAD = """# Gallery

Written by `make gallery` from exported bundles, with seed 0 and nothing picked. Samples are drawn by the sampler that
was fitted after training; a path leads from one real test example to the next through the latent space. What each
figure means, and what it doesn't, is on the page about [evaluation](evaluation.md).
"""


def _table(frame: pd.DataFrame) -> str:
    rows = [frame.columns, ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    cells = [[f"{each:.4g}" if isinstance(each, float) else str(each) for each in row] for row in rows]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in row) + " |" for row in cells)


def _images(bundle: Bundle, spec: ImageSpec, name: str, docs: Path) -> Iterator[str]:
    pictures = docs / PICTURES
    if bundle.manifest.denoising is not None:
        x = bundle.golden("denoise")["x"]
        save_pairs(pictures / f"{name}_denoised.png", x, bundle.denoise(x).clean, spec)
        yield _shown(name, "denoised", "Three test images behind noise, and below each what the model makes of it")
        return
    x, labels = _examples(bundle)
    save_pairs(pictures / f"{name}_pairs.png", x, bundle.reconstruct(x, labels), spec)
    save_grid(pictures / f"{name}_samples.png", _samples(bundle, SAMPLES), spec, COLUMNS)
    label = None if labels is None else int(labels[0])
    path = [bundle.interpolate(a, b, COLUMNS, label=label, even=True) for a, b in pairwise(x)]
    save_grid(pictures / f"{name}_path.png", np.concatenate(path), spec, COLUMNS)
    for picture, told in (
        ("pairs", "Three test images, and below each its reconstruction"),
        ("samples", f"{SAMPLES} new images"),
        ("path", "Paths from the first test image to the second, and on to the third"),
    ):
        yield _shown(name, picture, told)


def _examples(bundle: Bundle) -> tuple[Array, Array | None]:
    kept = bundle.golden("reconstruct")
    return kept["x"], kept.get("label")


def _samples(bundle: Bundle, count: int) -> Array:
    labels = np.arange(count) % len(bundle.classes) if bundle.classes else None
    return bundle.sample(count, 0, labels)


def _shown(name: str, picture: str, told: str) -> str:
    return f"{told}:\n\n![{told}, by {name}]({PICTURES.as_posix()}/{name}_{picture}.png)"


def _sounds(bundle: Bundle, spec: AudioSpec, name: str, docs: Path) -> Iterator[str]:
    def shown(picture: str, told: str, columns: int, *x: Array) -> str:
        waves = np.concatenate(x).clip(-1, 1)
        seen = heard(spec)(torch.from_numpy(waves)).mean(1).numpy()
        plots.sounds(docs / PICTURES / f"{name}_{picture}.png", waves.mean(1), seen, spec.seconds, columns)
        return _shown(name, picture, told)

    if bundle.manifest.denoising is not None:
        x = bundle.golden("denoise")["x"]
        told = "Three test recordings behind noise, and below each what the model makes of it"
        yield shown("denoised", told, len(x), x, bundle.denoise(x).clean)
        return
    x, labels = _examples(bundle)
    told = "Three test recordings as waveforms and as spectrograms, and below each its reconstruction"
    yield shown("pairs", told, len(x), x, bundle.reconstruct(x, labels))
    yield shown("samples", f"{SOUNDS} new recordings", SOUNDS, _samples(bundle, SOUNDS))
    path = bundle.interpolate(x[0], x[1], SOUNDS, label=None if labels is None else int(labels[0]))
    yield shown("path", "A path from the first test recording to the second", SOUNDS, path)


def _rows(bundle: Bundle, spec: TableSpec) -> Iterator[str]:
    drawn = decode(bundle.sample(ROWS, seed=0), spec.columns)
    yield f"{ROWS} new rows, by their first {min(MOST_COLUMNS, drawn.shape[1])} of {drawn.shape[1]} columns:"
    yield _table(drawn.iloc[:, :MOST_COLUMNS])
    if bundle.detects:
        x = bundle.golden("detect")["x"]
        found = bundle.detect(x)
        names = np.array([column.name for column in spec.columns])
        most = [", ".join(names[np.argsort(-each)[:3]]) for each in found.contributions]
        columns = {"score, nats": found.score.astype(float), "p-value": found.p_value.astype(float)}
        yield "Three test rows: their scores, their p-values among normal rows, and the columns that add most:"
        yield _table(pd.DataFrame({**columns, "columns": most}))


def _sentences(bundle: Bundle) -> Iterator[str]:
    writer = bundle.sentences
    yield "New sentences:\n\n" + "\n".join(f"- {line}" for line in writer.sample(SENTENCES, seed=0))
    first, second, *_ = writer.reconstruct(list(writer.sample(2, seed=1)))
    yield "A path from one sentence to another:\n\n" + "\n".join(
        f"1. {line}" for line in writer.interpolate(first, second, SENTENCES)
    )


def _of_a_model(metrics: Mapping[str, Any]) -> str:
    bound, error = metrics["importance_bound"], metrics["importance_bound_standard_error"]
    return (
        f"ELBO {metrics['elbo']:,.2f} nats ({str(metrics['measure']).replace('_', '-')}), beside "
        f"{metrics['baseline_elbo']:,.2f} of independent values; importance bound {bound:,.2f} ± {error:.2f} "
        f"(K = {metrics['importance_samples']:,})."
    )


def _of_a_denoiser(metrics: Mapping[str, Any]) -> str:
    if "si_sdr_gain" in metrics:
        gained = f"SI-SDR of the test part is {metrics['si_sdr_gain']:.2f} dB better than of its inputs"
    else:
        gained = (
            f"PSNR of the test part {metrics['psnr_of_denoised']:.2f} dB, of its inputs {metrics['psnr_of_input']:.2f}"
        )
    return f"{gained}; intervals of 90 % hold {in_percent(metrics['interval_coverage'])}."


def _entry(folder: Path, docs: Path) -> Iterator[str]:
    bundle = Bundle.load(folder)
    manifest, spec = bundle.manifest, bundle.spec
    name, metrics = manifest.recipe, manifest.metrics
    yield f"## {name}"
    figures = _of_a_denoiser(metrics) if manifest.denoising is not None else _of_a_model(metrics)
    yield (
        f"The recipe [{name}](../pipeline/{name}.yaml), {manifest.latents:,} latents, of {words_of(spec).short}. "
        f"{figures} Weights {manifest.weights_sha256[:12]}."
    )
    match spec:
        case ImageSpec():
            yield from _images(bundle, spec, name, docs)
        case AudioSpec():
            yield from _sounds(bundle, spec, name, docs)
        case TableSpec():
            yield from _rows(bundle, spec)
        case TextSpec():
            yield from _sentences(bundle)
        case _:
            assert_never(spec)


def write(folders: Sequence[Path], docs: Path) -> None:
    """Write the entries of these bundles into docs/gallery.md, and their pictures beside it; other entries stay.

    An entry takes the place of its recipe's earlier one; new ones come last, in their order.
    """
    (docs / PICTURES).mkdir(parents=True, exist_ok=True)
    page = docs / "gallery.md"
    standing = page.read_text(encoding="utf-8").split("\n## ")[1:] if page.exists() else []
    entries = {each.partition("\n")[0]: f"## {each}".rstrip() for each in standing}
    for folder in folders:
        heading, *rest = _entry(folder, docs)
        entries[heading.removeprefix("## ")] = "\n\n".join([heading, *rest])
    page.write_text("\n\n".join([HEAD.rstrip(), *entries.values()]) + "\n", encoding="utf-8")
