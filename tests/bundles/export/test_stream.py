"""A denoiser of sound in graphs and on the command line: in chunks what it is as a whole, and what is refused."""

import io
import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import soundfile
import torch
from onnx.reference import ReferenceEvaluator
from tests.bundles.export.test_export import unread
from tests.kinds.audio.test_decoding import recorded, wav
from tests.models.sound.test_denoiser import SPEC, model_of
from typer.testing import CliRunner

from vae_pipeline.bundles.explorer.browser_runtime import WASM, BrowserRuntime
from vae_pipeline.bundles.explorer.page import write_folder
from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.denoising import Denoising
from vae_pipeline.bundles.export.graphs import graphs_of
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.denoising import fit_denoiser
from vae_pipeline.metrics.parts import read
from vae_pipeline.metrics.sound_denoising import sound_denoising
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError, VaeError
from vae_pipeline.system.files import write_json

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
DRAW = np.random.default_rng(0)
ASKED = frozenset({GraphName.SCORE, GraphName.DENOISE, GraphName.DENOISE_STREAM})
SECTION = Denoise.model_validate(
    {"mode": "supervised", "corruption": [{"kind": "white", "snr_db": [-5, 10]}], "draws": 0}
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    model = model_of(causal=False)
    draw = np.random.default_rng(0)
    time = np.arange(SPEC.length)
    tones = [np.sin(draw.uniform(0.1, 2, (n, 1, 1)) * time) * draw.uniform(0.1, 0.9, (n, 1, 1)) for n in (4, 200, 60)]
    parts = [Split(each.astype(np.float32), None) for each in tones]
    prepared = Prepared(Path(), SPEC, *parts, digests={}).corrupted(SECTION, 0)
    denoiser = fit_denoiser(model, SECTION, prepared, 0, CPU)
    origin, denoising = Provenance("tiny", "", "", "", "prior", "none"), Denoising(denoiser, SECTION, 60)
    asked = [graph for graph in graphs_of(model, None, denoiser) if graph.name in ASKED]
    made = mock.patch("vae_pipeline.bundles.export.bundle.graphs_of", lambda *_: asked)
    with made, mock.patch("vae_pipeline.runtime.signatures.OPTIONAL", frozenset(GraphName)):
        rows, _ = write_bundle(model, SPEC, None, [], prepared.test, {"failed_gates": []}, origin, 0, folder, denoising)
        write_json(folder / "parity.json", {})
        yield folder, denoiser, prepared, rows


def test_the_graphs_are_the_denoiser_and_its_intervals_hold_their_share(exported):
    folder, denoiser, prepared, rows = exported
    assert set().union(*(unread(onnx.load(file)) for file in folder.glob("*.onnx"))) == set()
    parity.require(rows, 1e-4)
    assert {row.output for row in rows if row.graph == GraphName.DENOISE_STREAM} == {
        "clean", "low", "high", "next_state",
    }  # fmt: skip
    figures = sound_denoising(denoiser, SECTION, prepared.test, SPEC, 0, CPU)
    assert figures["interval_coverage"] == pytest.approx(0.9, abs=0.05)
    assert list(figures["si_sdr_gain_by_level"]) == ["-5", "0", "5", "10"]
    assert figures["si_sdr_of_input"] == pytest.approx(2.5, abs=1)
    told = Bundle.load(folder).manifest.denoising.stream
    assert (told.hop, told.latency, told.context) == (16, denoiser.latency, denoiser.context)


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_a_recording_in_chunks_is_what_it_is_as_a_whole(exported, runtime):
    folder, _, prepared, _ = exported
    bundle, x = Bundle.load(folder), read(prepared.test, slice(0, 2), CPU).x.numpy()
    if runtime == "reference":
        evaluators = {
            name: ReferenceEvaluator(onnx.load(folder / f"{name}.onnx"))
            for name in (GraphName.DENOISE, GraphName.DENOISE_STREAM)
        }
        patch = mock.patch.object(Bundle, "run", lambda _, name, given: evaluators[name].run(None, given))
    else:
        patch = nullcontext()
    with patch:
        whole = bundle.run(GraphName.DENOISE, {"x": x})
        for hops in (1, 3, 100):
            stream, pieces = bundle.denoise_stream(2), []
            padded = np.pad(x, ((0, 0), (0, 0), (0, -x.shape[-1] % 16 + stream.latency + -stream.latency % 16)))
            for start in range(0, padded.shape[-1], 16 * hops):
                pieces.append(stream.push(padded[..., start : start + 16 * hops]))
            for parts, wanted in zip(zip(*pieces, strict=True), whole, strict=True):
                streamed = np.concatenate(parts, -1)[..., stream.latency :][..., : x.shape[-1]]
                np.testing.assert_allclose(streamed, wanted, atol=1e-4)


def test_recordings_of_any_length_are_denoised_in_chunks(exported):
    folder, denoiser, prepared, _ = exported
    bundle = Bundle.load(folder)
    x = read(prepared.test, slice(0, 12), CPU).x.numpy().reshape(1, 1, -1)
    for length in (1, 777, 12_000):
        with mock.patch("vae_pipeline.runtime.streams.CHUNK_S", 0.1):
            found = bundle.denoise(x[..., :length])
        wanted = denoiser(torch.from_numpy(x[..., :length]))
        for mine, theirs in zip((found.clean, found.low, found.high), wanted, strict=True):
            np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=1e-4)
    half = bundle.denoise(x[..., :777], mix=0.5).clean
    np.testing.assert_allclose(half, (x[..., :777] + bundle.denoise(x[..., :777]).clean) / 2, atol=1e-6)
    assert not bundle.denoise(np.zeros((1, 1, 50), np.float32)).clean.any()


def test_what_a_stream_cannot_take_is_refused_in_a_line(exported):
    stream = Bundle.load(exported[0]).denoise_stream()
    for chunk, said in [
        (np.zeros((1, 1, 17), np.float32), "a chunk of 17 samples was given; wanted a multiple of 16"),
        (np.zeros((1, 1, 0), np.float32), "a chunk of 0 samples"),
        (np.zeros((1, 2, 16), np.float32), r"wanted \[1, 1, samples\]"),
        (np.full((1, 1, 16), np.nan, np.float32), "NaN or infinity"),
        (np.full((1, 1, 16), 2.0**14, np.float32), "divide whole numbers of 16 bits by 32768"),
    ]:
        with pytest.raises(DataError, match=said) as refused:
            stream.push(chunk)
        assert "\n" not in str(refused.value)


@pytest.fixture
def denoise(exported):
    def run(*words, given=b""):
        with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given))):
            return CliRunner().invoke(app, ["denoise", str(exported[0]), *map(str, words)], input=given)

    return run


def sound(samples=3000, channels=1, rate_hz=8000, **more):
    return recorded(DRAW.uniform(-0.3, 0.3, (samples, channels)), rate_hz, **more)


def test_a_file_of_any_length_is_what_the_bundle_gives_and_a_mix_leaves_a_part(exported, denoise, tmp_path):
    (tmp_path / "noisy.wav").write_bytes(sound())
    found = denoise(tmp_path / "noisy.wav", "-o", tmp_path / "clean.wav", "--intervals", "--mix", 0.8)
    assert found.exit_code == 0 and "samples (22 ms) later" in found.stdout
    x, _ = soundfile.read(tmp_path / "noisy.wav", dtype="float32")
    wanted = Bundle.load(exported[0]).denoise(x[None, None], mix=0.8)
    for name, each in {"clean": wanted.clean, "clean_low": wanted.low, "clean_high": wanted.high}.items():
        np.testing.assert_allclose(soundfile.read(tmp_path / f"{name}.wav")[0], each[0, 0], atol=1e-4)


def test_a_folder_of_other_rates_and_channels_keeps_its_names_and_channels(denoise, tmp_path):
    (tmp_path / "in").mkdir()
    for name, content in {
        "stereo.wav": sound(channels=2), "fast.flac": sound(rate_hz=16_000, form="FLAC"), "one.wav": sound(1),
        "float.wav": sound(subtype="FLOAT"), "mulaw.wav": sound(subtype="ULAW"), "silent.wav": recorded(np.zeros(90)),
    }.items():  # fmt: skip
        (tmp_path / "in" / name).write_bytes(content)
    found = denoise(tmp_path / "in", "-o", tmp_path / "out")
    assert found.exit_code == 0 and "fast.flac is brought from 16,000 Hz to 8,000 Hz" in found.stderr
    shapes = {path.stem: soundfile.read(path, always_2d=True)[0].shape for path in (tmp_path / "out").iterdir()}
    assert shapes == {"stereo": (3000, 2), "fast": (1500, 1), "one": (1, 1), "float": (3000, 1), "mulaw": (3000, 1),
                      "silent": (90, 1)}  # fmt: skip
    assert not soundfile.read(tmp_path / "out" / "silent.wav")[0].any()


def test_a_pipe_gives_a_recording_to_a_pipe(denoise):
    found = denoise("-", "-o", "-", given=sound(500))
    assert found.exit_code == 0 and soundfile.read(io.BytesIO(found.stdout_bytes))[0].shape == (500,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (recorded(np.zeros((0, 1))), "holds no samples"),
        (recorded(np.full(9, np.nan), subtype="FLOAT"), "holds NaN or infinity"),
        (b"RIFF but no recording", "is a broken recording"),
        (b"plain text", "is a broken recording"),
        (wav(channels=1000), "channels"),
        (wav(rate_hz=0), "broken recording|samples a second"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused_in_a_line_and_nothing_is_written(denoise, tmp_path, content, said):
    (tmp_path / "bad.wav").write_bytes(content)
    found = denoise(tmp_path / "bad.wav", "-o", tmp_path / "out")
    assert isinstance(found.exception, VaeError | SystemExit) and found.exit_code != 0
    assert not (tmp_path / "out").exists()
    told = found.stderr or str(found.exception)
    assert re.search(said, told), told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "clean.png"], "sound goes to a file that ends in .wav"),
        (["-o", "-", "--intervals"], "no place for --intervals"),
        (["-o", "clean.wav", "--tile", "4"], "is a model of sound: leave out"),
        (["-o", "clean.wav", "--mix", "2"], "mix 2 was given"),
    ],
)
def test_options_that_do_not_go_with_sound_are_refused(denoise, tmp_path, words, said):
    (tmp_path / "noisy.wav").write_bytes(sound(64))
    found = denoise(tmp_path / "noisy.wav", *words)
    assert found.exit_code != 0 and said in (found.stderr or str(found.exception))


def test_its_page_takes_noise_away_and_has_all_that_it_asks_for(exported, tmp_path):
    write_folder(Bundle.load(exported[0]), BrowserRuntime(b"export {};", b"wasm"), tmp_path / "page")
    html = (tmp_path / "page" / "index.html").read_text()
    beside = {path.name for path in (tmp_path / "page").iterdir()}
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', html)[1])["imports"]
    assert beside == {"index.html", "style.css", "denoise_stream.onnx.gz", f"{WASM}.gz", *imports}
    scripts = [(tmp_path / "page" / name).read_text() for name in imports]
    asked = {name for script in scripts for name in re.findall(r'from "([^"]+)"|resolve\("([^"]+)"\)', script)}
    assert {name for pair in asked for name in pair if name} < set(imports)
    assert "It was trained on white noise at -5 to 10 dB." in html and "up to 4 kHz" in html
