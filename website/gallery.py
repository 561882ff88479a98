"""The gallery: what exported bundles draw, write and say, by their graphs alone; docs/gallery.md and its pictures."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import assert_never

import numpy as np
import pandas as pd

from vae_pipeline.kinds.image.sheets import save_grid, save_pairs
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.spec import TableSpec, TextSpec
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.words import words_of
from vae_pipeline.runtime.bundle import Bundle

COLUMNS, SAMPLES, ROWS, SENTENCES, MOST_COLUMNS = 10, 30, 5, 6, 6
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
    pictures = docs / "images" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    x = bundle.golden("reconstruct")["x"]
    save_pairs(pictures / f"{name}_pairs.png", x, bundle.reconstruct(x), spec)
    save_grid(pictures / f"{name}_samples.png", bundle.sample(SAMPLES, seed=0), spec, COLUMNS)
    path = [bundle.interpolate(a, b, COLUMNS, even=True) for a, b in pairwise(x)]
    save_grid(pictures / f"{name}_path.png", np.concatenate(path), spec, COLUMNS)
    for picture, told in (
        ("pairs", "Three test images, and below each its reconstruction"),
        ("samples", f"{SAMPLES} new images"),
        ("path", "Paths from the first test image to the second, and on to the third"),
    ):
        yield f"{told}:\n\n![{told}, by {name}](images/gallery/{name}_{picture}.png)"


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


def _entry(folder: Path, docs: Path) -> Iterator[str]:
    bundle = Bundle.load(folder)
    manifest, spec = bundle.manifest, bundle.spec
    name, metrics = manifest.recipe, manifest.metrics
    yield f"## {name}"
    bound, error = metrics["importance_bound"], metrics["importance_bound_standard_error"]
    yield (
        f"The recipe [{name}](../pipeline/{name}.yaml), {manifest.latents} latents, of {words_of(spec).short}. "
        f"ELBO {metrics['elbo']:.2f} nats ({str(metrics['measure']).replace('_', '-')}), beside "
        f"{metrics['baseline_elbo']:.2f} of independent values; importance bound {bound:.2f} ± {error:.2f} "
        f"(K = {metrics['importance_samples']:,}). Weights {manifest.weights_sha256[:12]}."
    )
    match spec:
        case ImageSpec():
            yield from _images(bundle, spec, name, docs)
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
    page = docs / "gallery.md"
    standing = page.read_text(encoding="utf-8").split("\n## ")[1:] if page.exists() else []
    entries = {each.partition("\n")[0]: f"## {each}".rstrip() for each in standing}
    for folder in folders:
        heading, *rest = _entry(folder, docs)
        entries[heading.removeprefix("## ")] = "\n\n".join([heading, *rest])
    page.write_text("\n\n".join([HEAD.rstrip(), *entries.values()]) + "\n", encoding="utf-8")
