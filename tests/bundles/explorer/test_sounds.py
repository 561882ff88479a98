"""The page of a model of sound in a real browser: what it shows, plays and reads. Run by `make test-browser`."""

import base64
import io

import numpy as np
import pytest
import soundfile
from scipy.signal import get_window
from tests.bundles.explorer.test_browser import Page, browser, driver, resize, served  # noqa: F401
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane

from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime.bundle import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.browser]
REST_S = 0.4


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Drawn tones in three latents."""
    folder = tmp_path_factory.mktemp("tones")
    recipe = edited(
        Recipe.load(ROOT / "pipeline" / "tones.yaml"),
        data={"examples": 600},
        model={"posterior": {"kind": "gaussian", "latents": 3}},
        train={"epochs": 12},
        evaluate=WAIVED | {"samples": 20, "examples": 50},
    ).model_copy(update={"sampler": "prior"})
    return Bundle.load(run_lane(make_job("tones", recipe, folder / "home"), folder).bundle)


@pytest.fixture(scope="module")
def site(tones, tmp_path_factory):
    with served({"tones": tones}, tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def page(driver, site, tones):  # noqa: F811
    page = Page(driver, f"{site[1]}/tones/", tones)
    page.ask(
        "globalThis.played = []; const start = AudioBufferSourceNode.prototype.start;"
        "AudioBufferSourceNode.prototype.start = function () {"
        "  played.push([this.buffer.sampleRate, [...this.buffer.getChannelData(0)]]); start.call(this); };"
    )
    return page


def played(page):
    """What has been played, once the page rests, of the bundle's rate; and it is forgotten."""
    page.ask(f"await new Promise((go) => setTimeout(go, {1000 * REST_S}))")
    found = page.ask("return played.splice(0)")
    assert {rate for rate, _ in found} <= {page.bundle.spec.rate_hz}
    return [np.array(x, np.float32) for _, x in found]


def dropped(page, content, name):
    page.ask(
        "const bytes = Uint8Array.from(atob(given[0]), (letter) => letter.charCodeAt(0));"
        "const files = new DataTransfer(); files.items.add(new File([bytes], given[1]));"
        "document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}))",
        base64.b64encode(content).decode(), name,
    )  # fmt: skip


def drop(page, content, name):
    """The point, once what was dropped is encoded."""
    dropped(page, content, name)
    page.ask("await new Promise((go) => setTimeout(go, 300))")
    return page.rest()


def wav(x, rate_hz):
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate_hz, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_the_point_is_heard_once_it_rests(page):
    assert played(page) == []  # nobody has asked yet
    page.drag("#plane", (0.5, 0.5), (0.6, 0.5), (0.75, 0.25))
    z = page.rest()
    assert (np.abs(z - 1.5) < 0.02).sum() == 2
    (sound,) = played(page)
    np.testing.assert_allclose(sound, page.bundle.decode(z[None])[0, 0], atol=1e-3)
    page.press("#sliders input", *"\ue015\ue015")  # arrow down
    assert len(played(page)) == 1


def test_each_recording_has_a_button_that_plays_it(page):
    with np.load(page.bundle.folder / "encoder.npz") as golden:
        x = golden["x"][:1]
    page.rest()
    mean = page.bundle.encode(x).mean
    for name, wanted, least in (("input", x, 0), ("reconstruction", page.bundle.decode(mean), 1e-3)):
        page.find(f"#hear-{name}").click()
        assert np.abs(played(page)[-1] - wanted[0, 0]).max() <= least


def test_a_dropped_recording_is_encoded(page):
    spec = page.bundle.spec
    seconds = np.arange(2 * spec.length) / spec.rate_hz
    x = (0.5 * np.sin(2 * np.pi * 330 * seconds)).astype(np.float32)
    stereo = np.stack([x, np.zeros_like(x)], 1)
    z = drop(page, wav(stereo, spec.rate_hz), "tone.wav")
    mixed = x[None, None, : spec.length] / 2  # as Python mixes and crops it
    np.testing.assert_allclose(z, page.bundle.encode(mixed).mean[0], atol=1e-3)
    twice = np.arange(4 * spec.length) / (2 * spec.rate_hz)
    z = drop(page, wav(0.25 * np.sin(2 * np.pi * 330 * twice), 2 * spec.rate_hz), "fast.wav")
    np.testing.assert_allclose(z, page.bundle.encode(mixed).mean[0], atol=0.1)  # resampled, but not as soxr does
    drop(page, b"no sound", "notes.txt")
    assert page.find("#problem").text.startswith("notes.txt isn't a recording that this browser reads")


def test_a_spectrum_is_that_of_numpy(page):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    found = page.ask(
        "return [...(await import('spectrogram.js')).spectrum(Float32Array.from(given[0]), 500, 8000)]", x.tolist()
    )
    power = np.abs(np.fft.rfft(x[500 - 128 : 500 + 128] * get_window("hann", 256)) / 64) ** 2
    np.testing.assert_allclose(found, (1 + 10 * np.log10(power) / 80).clip(0, 1), atol=1e-4)


def test_the_spectrogram_shows_a_tone_at_its_height(page):
    spec = page.bundle.spec
    seconds = np.arange(spec.length) / spec.rate_hz
    drop(page, wav(0.9 * np.sin(2 * np.pi * 1000 * seconds), spec.rate_hz), "tone.wav")
    shown = page.pixels("#input", 3).sum(0)[36:]  # below the waveform
    height = 1 - (shown[:, 96].argmax() + 0.5) / len(shown)
    assert height == pytest.approx(1000 / (spec.rate_hz / 2), abs=0.03)


def test_a_sample_that_is_chosen_is_heard(page):
    page.find("#samples button:nth-child(2)").click()
    page.rest()
    (sound,) = played(page)
    page.find("#hear-input").click()
    np.testing.assert_array_equal(played(page), [sound])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_is_kept_as_a_picture(width, scheme, page, request):
    resize(page.driver, width, 900, scheme)
    page.rest()
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page.shot(request.config.cache.mkdir("explorer") / f"tones-{width}-{scheme}.png")
