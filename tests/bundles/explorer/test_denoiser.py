"""The page that takes noise away in a real browser, whose microphone hears a file. Run by `make test-browser`.

Screenshots are kept in .pytest_cache/d/explorer.
"""

import io

import numpy as np
import pytest
import soundfile
from tests.bundles.explorer.test_browser import Page, opened, resize, served
from tests.bundles.explorer.test_sounds import dropped, wav
from tests.bundles.export.test_stream import SPEC, exported  # noqa: F401

from vae_pipeline.runtime.bundle import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def noisy(seconds, seed=0):
    """Tones that come and go, in white noise."""
    draw, time = np.random.default_rng(seed), np.arange(round(seconds * SPEC.rate_hz)) / SPEC.rate_hz
    tones = 0.4 * np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * time) > 0)
    return (tones + 0.05 * draw.standard_normal(len(time))).clip(-1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(exported):  # noqa: F811
    return Bundle.load(exported[0])


@pytest.fixture(scope="module")
def site(bundle, tmp_path_factory):
    with served({"denoiser": bundle}, tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("microphone")
    soundfile.write(folder / "heard.wav", noisy(4), SPEC.rate_hz, subtype="PCM_16")
    flags = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'heard.wav'}",
    )
    with opened(folder / "profile", *flags) as driver:
        yield driver


@pytest.fixture(params=["folder", "file"])
def page(request, browser, site, bundle):
    resize(browser, 1280, 900)
    page = Page(browser, f"{site[1]}/denoiser/" if request.param == "folder" else f"{site[1]}/denoiser.html", bundle)
    page.ask(
        "globalThis.played = []; const start = AudioBufferSourceNode.prototype.start;"
        "AudioBufferSourceNode.prototype.start = function () {"
        "  played.push([...this.buffer.getChannelData(0)]); start.call(this); };"
        "globalThis.saved = []; const made = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { saved.push(blob); return made(blob); };"
    )
    yield page
    browser.get("about:blank")
    assert browser.get_log("browser") == []


def heard(page, name):
    """The sound that a button plays."""
    page.find(f"#hear-{name}").click()
    return np.array(page.ask("return played.pop()"), np.float32)


def done(page):
    page.wait("return !document.getElementById('hear-clean').disabled")


def test_a_recording_is_what_onnxruntime_makes_of_it(page):
    x = noisy(1.3)
    dropped(page, wav(x, SPEC.rate_hz), "noisy.wav")
    done(page)
    wanted = page.bundle.denoise(x[None, None]).clean[0, 0]
    np.testing.assert_array_equal(heard(page, "noisy"), x)
    np.testing.assert_allclose(heard(page, "clean"), wanted, atol=1e-4)
    page.find("#save").click()
    content = page.ask("return [...new Uint8Array(await saved.pop().arrayBuffer())]")
    saved, rate_hz = soundfile.read(io.BytesIO(bytes(content)))
    assert rate_hz == SPEC.rate_hz
    np.testing.assert_allclose(saved, wanted, atol=1.5e-4)
    told = page.bundle.manifest.denoising.stream
    assert page.find("#latency").text == f"{1000 * told.latency / SPEC.rate_hz:.0f} ms"
    assert 0 < float(page.find("#factor").text) < 5
    page.driver.execute_script("const mix = document.getElementById('mix'); mix.value = 0; mix.oninput()")
    np.testing.assert_allclose(heard(page, "clean"), x, atol=1e-6)


def test_the_microphone_is_denoised_while_it_hears(page):
    page.find("#aloud").click()
    page.find("#microphone").click()
    page.wait("return document.getElementById('stream-latency').textContent !== '–'")
    page.ask("await new Promise((go) => setTimeout(go, 2500))")
    assert page.find("#microphone").text == "Stop"
    page.find("#microphone").click()
    done(page)
    given, found = heard(page, "noisy"), heard(page, "clean")
    assert len(given) > SPEC.rate_hz and np.abs(given).max() > 0.1  # it isn't silence
    np.testing.assert_allclose(found, page.bundle.denoise(given[None, None]).clean[0, 0], atol=1e-4)
    told = page.bundle.manifest.denoising.stream
    assert float(page.find("#stream-latency").text.split()[0]) > 1000 * told.latency / SPEC.rate_hz + 31


def test_what_is_no_recording_is_told(page):
    dropped(page, b"no sound", "notes.txt")
    page.wait("return document.getElementById('problem').textContent.startsWith('notes.txt isn')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_is_kept_as_a_picture(width, scheme, page, request):
    resize(page.driver, width, 900, scheme)
    dropped(page, wav(noisy(4), SPEC.rate_hz), "noisy.wav")
    done(page)
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page.shot(request.config.cache.mkdir("explorer") / f"denoiser-{width}-{scheme}.png")
