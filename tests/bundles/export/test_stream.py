"""A denoiser of sound in graphs: in chunks what it is as a whole, in onnxruntime and in ONNX's own reference."""

from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from tests.models.sound.test_denoiser import SPEC, model_of

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.denoising import Denoising
from vae_pipeline.bundles.export.graphs import graphs_of
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.denoising import fit_denoiser
from vae_pipeline.metrics.parts import read
from vae_pipeline.metrics.sound_denoising import sound_denoising
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
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
    tones = [np.sin(draw.uniform(0.1, 2, (n, 1, 1)) * time) * draw.uniform(0.1, 0.9, (n, 1, 1)) for n in (4, 60, 60)]
    parts = [Split(each.astype(np.float32), None) for each in tones]
    prepared = Prepared(Path(), SPEC, *parts, digests={}).corrupted(SECTION, 0)
    denoiser = fit_denoiser(model, SECTION, prepared, 0, CPU)
    origin, denoising = Provenance("tiny", "", "", "", "prior", "none"), Denoising(denoiser, SECTION, 60)
    asked = [graph for graph in graphs_of(model, None, denoiser) if graph.name in ASKED]
    made = mock.patch("vae_pipeline.bundles.export.bundle.graphs_of", lambda *_: asked)
    with made, mock.patch("vae_pipeline.runtime.manifest.OPTIONAL", frozenset(GraphName)):
        rows, _ = write_bundle(model, SPEC, None, [], prepared.test, {"failed_gates": []}, origin, 0, folder, denoising)
        write_json(folder / "parity.json", {})
        yield folder, denoiser, prepared, rows


def test_the_graphs_are_the_denoiser_and_its_intervals_hold_their_share(exported):
    folder, denoiser, prepared, rows = exported
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
