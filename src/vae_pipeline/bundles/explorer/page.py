"""The explorer's page: written as a folder for any static server, or as one file that needs none.

Both hold the same modules and the same bytes. An import map says where a module is, beside the page or inside
it, so nothing has to be bundled; graphs and WebAssembly are gzipped either way.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any, assert_never

from vae_pipeline.bundles.explorer.browser_runtime import VERSION, WASM, BrowserRuntime
from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.kinds.table.spec import MISSING
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.files import file_of
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import filled_folder, replace_file

HERE = Path(__file__).parent
DENOISER = HERE / "denoiser"
"""The page of a denoiser of sound, and its modules; some are the explorer's too."""
SHARED = ("files.js", "spectrogram.js")
PAGE = "index.html"
# `reconstruct` is left out: it is the decoder at the encoder's mean.
GRAPHS = (GraphName.DECODER, GraphName.ENCODER, GraphName.SCORE, GraphName.SAMPLE, GraphName.DETECT)


def write_folder(bundle: Bundle, runtime: BrowserRuntime, out: Path) -> None:
    """Fill `out` with index.html and what it loads from beside itself.

    Raises:
        BundleError: the bundle lacks its golden inputs.
        OutputError: `out` can't be written.
    """
    scripts = _scripts(bundle, runtime)
    style = '<link rel="stylesheet" href="style.css">'
    page = _page(bundle, style, {name: f"./{name}" for name in scripts})
    with filled_folder(out) as folder:
        for name, content in scripts.items():
            (folder / name).write_bytes(content)
        for name, content in _binaries(bundle, runtime).items():
            (folder / f"{name}.gz").write_bytes(content)
        (folder / "style.css").write_bytes((HERE / "style.css").read_bytes())
        (folder / PAGE).write_text(page, encoding="utf-8")


def write_file(bundle: Bundle, runtime: BrowserRuntime, out: Path) -> None:
    """Write `out`, an .html file that holds everything.

    Raises:
        BundleError: the bundle lacks its golden inputs.
        OutputError: `out` can't be written.
    """
    style = f"<style>\n{(HERE / 'style.css').read_text(encoding='utf-8')}</style>"
    scripts = {name: f"data:text/javascript;base64,{_base64(text)}" for name, text in _scripts(bundle, runtime).items()}
    inside = "\n".join(
        f'<script type="application/gzip" id="{name}">{_base64(content)}</script>'
        for name, content in _binaries(bundle, runtime).items()
    )
    replace_file(out, _page(bundle, style, scripts, inside).encode())


def denoises(bundle: Bundle) -> bool:
    """True if the page is that of a denoiser of sound, which takes it in chunks."""
    return GraphName.DENOISE_STREAM in bundle.manifest.graphs


def _scripts(bundle: Bundle, runtime: BrowserRuntime) -> dict[str, bytes]:
    own = [*DENOISER.glob("*.js"), *(HERE / name for name in SHARED)] if denoises(bundle) else HERE.glob("*.js")
    return {path.name: path.read_bytes() for path in sorted(own)} | {"onnxruntime-web.js": runtime.script}


def _binaries(bundle: Bundle, runtime: BrowserRuntime) -> dict[str, bytes]:
    graphs, wanted = bundle.manifest.graphs, (GraphName.DENOISE_STREAM,) if denoises(bundle) else GRAPHS
    files = {f"{name}.onnx": file_of(bundle.folder, graphs[name].file) for name in wanted if name in graphs}
    content = {name: path.read_bytes() for name, path in files.items()} | {WASM: runtime.wasm}
    return {name: gzip.compress(each, mtime=0) for name, each in content.items()}


def _page(bundle: Bundle, style: str, addresses: Mapping[str, str], inside: str = "") -> str:
    manifest = bundle.manifest
    folder, filled = (DENOISER, _of_denoiser(bundle)) if denoises(bundle) else (HERE, _of_explorer(bundle))
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        name=escape(manifest.recipe),
        style=style,
        imports=_json({"imports": addresses}),
        licence=escape(manifest.licence),
        weights=escape(manifest.weights_sha256),
        notice=Template((HERE / "notice.html").read_text(encoding="utf-8")).substitute(version=VERSION),
        inside=inside,
        **filled,
    )


def _of_explorer(bundle: Bundle) -> dict[str, str]:
    score = bundle.detector.score if bundle.detects else ""
    return {
        "bundle": _json(bundle.manifest.to_dict() | _added(bundle)),
        **_words(bundle.spec),
        "score": escape(score.replace("elbo", "ELBO").replace("_", " ")),
        "latents": f"{bundle.latents:,} number{'s' if bundle.latents > 1 else ''}",
        "elbo": _elbo(bundle.manifest.metrics),
    }


def _of_denoiser(bundle: Bundle) -> dict[str, str]:
    told, spec = bundle.manifest.denoising, bundle.spec
    assert told is not None and isinstance(spec, AudioSpec)  # a manifest says so of the graph
    return {
        "bundle": _json(bundle.manifest.to_dict()),
        "corruption": escape("; ".join(told.corruption)),
        "highest": f"{spec.rate_hz / 2000:g}",
    }


def require_shown(bundle: Bundle) -> None:
    """Refuse a model whose observations the page can't show.

    Raises:
        BundleError: it is one.
    """
    if bundle.features:
        raise BundleError(
            f"{bundle.folder} is a model of features, and the page shows images that a model makes: `vae-pipeline "
            "score` writes its scores and heat maps"
        )
    _words(bundle.spec)


def _words(spec: DataSpec) -> dict[str, str]:
    """The words for an observation, and for the way it is given."""
    match spec:
        case ImageSpec(shape=(channels, height, width)):
            colour = "black-and-white" if spec.binary else {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
            return {
                "observations": f"{colour} pictures of {width} × {height} pixels",
                "noun": "picture",
                "shown": "",
                "drawn": "Pictures",
                "edit": "Draw on it with mouse or finger.",
                "file": "picture",
                "accept": "image/*",
                "contributions": '<canvas id="contributions" class="picture" role="img" aria-label="Heat"></canvas>',
                "adds": "Where the model finds it unlikely, in red.",
            }
        case TableSpec():
            return {
                "observations": f"rows of {len(spec.columns):,} column{'s' if len(spec.columns) > 1 else ''}",
                "noun": "row",
                "shown": " It is shown as a curve over the columns, around the middle of the training rows.",
                "drawn": "Rows",
                "edit": "Its values can be changed below; beside each, in blue, is the reconstruction's.",
                "file": "CSV file",
                "accept": ".csv,text/csv",
                "contributions": '<ol id="contributions"></ol>',
                "adds": "The columns that make it unlikely, with the nats that each adds to what is usual of it.",
            }
        case AudioSpec(channels=channels):
            sides = {1: "", 2: ", in stereo"}.get(channels, f" on {channels} channels")
            return {
                "observations": f"recordings of {spec.seconds:.3g} s{sides}",
                "noun": "recording",
                "shown": " You hear it when the point rests. It is shown as a waveform and, below, a spectrogram.",
                "drawn": "Sounds",
                "edit": "Of another rate or length it is brought to the model's.",
                "file": "recording",
                "accept": "audio/*",
                "contributions": '<canvas id="contributions" class="picture" role="img" aria-label="Heat"></canvas>',
                "adds": "Where the model finds it unlikely: bright.",
            }
        case TextSpec():
            raise BundleError("the explorer shows images, sound and rows of a table, and this is a model of sentences")
        case _:
            assert_never(spec)


def _elbo(metrics: Mapping[str, Any]) -> str:
    elbo, error = (metrics.get(name) for name in ("elbo", "elbo_standard_error"))
    if not isinstance(elbo, int | float):
        raise BundleError("bundle.json has no metrics.elbo, which the page shows: export again")
    spread = f" ± {error:.2f}" if isinstance(error, int | float) else ""
    return f"{elbo:.2f}{spread}".replace("-", "−")


def _added(bundle: Bundle) -> dict[str, Any]:
    """Parts of a bundle that lie beside its manifest, or follow from it."""
    return {"examples": _examples(bundle), "moves": _moves(bundle), "missing": _missing(bundle.spec)}


def _moves(bundle: Bundle) -> dict[str, Any]:
    """The vectors of the directions, little-endian float32, and which of them are no better than chance."""
    if bundle.manifest.directions is None:
        return {"vectors": "", "chance": []}
    vectors = b"".join(bundle.directions.vectors[name].astype("<f4").tobytes() for name in bundle.directions)
    return {"vectors": _base64(vectors), "chance": [each.is_chance for each in bundle.directions.values()]}


def _examples(bundle: Bundle) -> dict[str, Any]:
    """The golden inputs, which are real test rows: raw values, little-endian, and labels where the model takes them."""
    golden = bundle.golden(GraphName.ENCODER)
    x, labels = golden["x"], golden["label"].tolist() if bundle.classes else []
    return {"x": _base64(x.astype(x.dtype.newbyteorder("<")).tobytes()), "labels": labels}


def _missing(spec: DataSpec) -> list[str]:
    """Texts that stand for a missing value in a file of rows."""
    return sorted(MISSING.union(spec.absent)) if spec.names else []


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # no value can end the script element


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
