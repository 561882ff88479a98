"""The page in a real browser, without a network: Debian's chromium, driven by selenium. Run by `make test-browser`.

Screenshots are kept in .pytest_cache/d/explorer.
"""

import base64
import contextlib
import csv
import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane
from tests.tables import mixed_frame, table_recipe

from vae_pipeline.bundles.explorer.browser_runtime import fetch_runtime
from vae_pipeline.bundles.explorer.page import write_file, write_folder
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.observations import read_observations
from vae_pipeline.kinds.raw import checked
from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.paths import path_between

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FRAME_MS = 50


class Page:
    """A page in the browser, and the bundle that it shows."""

    def __init__(self, driver, url, bundle):
        self.driver, self.url, self.bundle = driver, url, bundle
        driver.get(url)
        self.wait("return document.querySelector('#explorer, #denoiser')?.hidden === false")

    def wait(self, script):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60, 0.05).until(lambda driver: driver.execute_script(script))

    def ask(self, body, *arguments):
        """The answer of an async function; it may import the page's own modules."""
        answer = self.driver.execute_async_script(
            f"const [done, ...given] = [[...arguments].pop(), ...arguments];"
            f"(async () => {{ {body} }})().then((value) => done({{value}}), (error) => done({{error: `${{error}}`}}))",
            *arguments,
        )
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def rest(self):
        """Wait for what is under way in frames and graphs, which take turns; the point, as the page has it."""
        self.ask(
            "const {decode, latents} = await import('model.js');"
            "for (let turn = 0; turn < 6; turn++) {"
            "  await new Promise((go) => setTimeout(go, 30)); await decode(new Float32Array(latents), 0);"
            "}"
        )
        return np.array(self.ask("return [...(await import('latents.js')).point.z]"), np.float32)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def pixels(self, selector, channels=None):
        """[channels, height, width] of a canvas, by default as many as the bundle's images have."""
        width, height, data = self.driver.execute_script(
            "const canvas = document.querySelector(arguments[0]); const {width, height} = canvas;"
            "const copy = new OffscreenCanvas(width, height).getContext('2d'); copy.drawImage(canvas, 0, 0);"
            "return [width, height, [...copy.getImageData(0, 0, width, height).data]]",
            selector,
        )
        channels = channels or self.bundle.spec.shape[0]
        return np.array(data, np.uint8).reshape(height, width, 4).transpose(2, 0, 1)[:channels]

    def assert_shows(self, selector, x):
        wanted = to_pixels(x, self.bundle.spec.low, self.bundle.spec.high)
        np.testing.assert_allclose(self.pixels(selector).astype(int), wanted.astype(int), atol=1)

    def drag(self, selector, *places):
        """Press at the first place, [across, down] in [0, 1], move over the others, release."""
        from selenium.webdriver import ActionChains

        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        wide, tall = element.rect["width"], element.rect["height"]
        moves = [(round((across - 0.5) * wide), round((down - 0.5) * tall)) for across, down in places]
        actions = (
            ActionChains(self.driver, duration=20).move_to_element_with_offset(element, *moves[0]).click_and_hold()
        )
        for last, following in pairwise(moves):
            actions.move_by_offset(following[0] - last[0], following[1] - last[1])
        actions.release().perform()

    def press(self, selector, *keys):
        self.find(selector).send_keys(*keys)

    def shot(self, path):
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, **{side: size[side] for side in ("width", "height")}}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        path.write_bytes(base64.b64decode(taken["data"]))


def german_frame(count=400, seed=0):
    """Rows as a spreadsheet of that country writes them; amounts lie far from zero."""
    frame = mixed_frame(count, seed)
    return pd.DataFrame({
        "betrag": frame.amount.round(2) + 1e9,
        "anteil": [f"{value:.2f} %".replace(".", ",") if not np.isnan(value) else "?" for value in frame.balance],
        "land": frame.country.replace("NO", "Österreich; Süd"),
        "neu": frame.new,
        "tag": frame.when.dt.strftime("%d.%m.%Y"),
    })  # fmt: skip


@pytest.fixture(scope="module")
def bundles(smoke, tmp_path_factory):
    """Bars of 28 x 28 in two latents; in three, colours that aren't square, in [-1, 1], of two classes; and rows."""
    folder = tmp_path_factory.mktemp("bundles")
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 2
    shades = (
        generator.uniform(-1, 1, (400, 3, 1, 1)) * np.linspace(0, 1, 16) * np.where(labels, 1, -1)[:, None, None, None]
    )
    np.save(folder / "x.npy", np.broadcast_to(shades, (400, 3, 12, 16)).astype(np.float32))
    np.save(folder / "labels.npy", labels)
    part = {"images": {"path": str(folder / "x.npy")}, "labels": {"path": str(folder / "labels.npy")}}
    data = {"kind": "arrays", "shape": [3, 12, 16], "range": [-1, 1], "train": part, "valid": 0.1, "test": 0.2}
    model = {
        "posterior": {"kind": "gaussian", "latents": 3},
        "likelihood": {"kind": "gaussian", "scale": "learned", "mean": "linear"},
        "conditional": True,
    }
    mixed_frame().to_csv(folder / "rows.csv", index=False)
    german_frame().to_csv(folder / "german.csv", sep=";", decimal=",", index=False, encoding="cp1252")
    told = {"label": None, "one_class": False, "columns": {}, "missing": ["?"]}
    short = edited(smoke, train={"epochs": 2})
    recipes = {
        "bars": edited(short, data={"side": 28}),
        "colours": Recipe.model_validate({**edited(short, model=model).model_dump(mode="json"), "data": data}),
        "rows": table_recipe(ROOT, folder / "rows.csv"),
        "german": edited(table_recipe(ROOT, folder / "german.csv", **told), train={"epochs": 2}, evaluate=WAIVED),
    }
    lanes = {name: run_lane(make_job(name, recipe, folder / "home"), folder / name) for name, recipe in recipes.items()}
    return {name: Bundle.load(lane.bundle) for name, lane in lanes.items()}


@contextlib.contextmanager
def served(bundles, folder):
    """Folders and single files of all bundles, and a plain server over them."""
    runtime = fetch_runtime(Finder(ROOT / ".vae" / "downloads", os.environ.get("VAE_MIRROR")))
    for name, bundle in bundles.items():
        write_folder(bundle, runtime, folder / name)
        write_file(bundle, runtime, folder / f"{name}.html")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def site(bundles, tmp_path_factory):
    with served(bundles, tmp_path_factory.mktemp("site")) as found:
        yield found


@contextlib.contextmanager
def opened(profile, *flags):
    """Chromium, driven."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def driver(browser):
    """The browser, as on a desk in the light; whatever the test does, it must log nothing."""
    resize(browser, 1280, 900)
    yield browser
    browser.get("about:blank")
    assert browser.get_log("browser") == []


def resize(driver, width, height, scheme="light"):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@pytest.fixture
def page(driver, site, bundles):
    return Page(driver, f"{site[1]}/bars/", bundles["bars"])


@pytest.fixture
def colours(driver, site, bundles):
    return Page(driver, f"{site[1]}/colours/", bundles["colours"])


@pytest.fixture
def rows(driver, site, bundles):
    return Page(driver, f"{site[1]}/rows/", bundles["rows"])


def run(bundle, name, **inputs):
    """onnxruntime's own answer, by name."""
    session = onnxruntime.InferenceSession(bundle.folder / f"{name}.onnx")
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))


def noise(page, count, seed):
    values = page.ask(f"return [...(await import('latents.js')).normals({count}, {seed})]")
    return np.array(values, np.float32)


@pytest.mark.parametrize("name", ["bars", "rows"])
def test_the_detector_says_how_usual_the_input_is(name, driver, site, bundles):
    page = Page(driver, f"{site[1]}/{name}/", bundles[name])
    page.rest()
    with np.load(page.bundle.folder / "encoder.npz") as golden:
        found = page.bundle.detect(golden["x"][:1])
    assert float(page.find("#p_value").text) == pytest.approx(found.p_value[0], rel=0.06)  # two digits
    assert float(page.find("#score").text.replace("−", "-")) == pytest.approx(found.score[0], abs=0.006)
    for alpha, said in ((found.p_value[0] * 1.1, "Alarm"), (found.p_value[0] * 0.9, "No alarm")):
        page.driver.execute_script(
            "const alpha = document.getElementById('alpha'); alpha.value = arguments[0]; alpha.oninput()", float(alpha)
        )
        assert page.find("#alarm").text == said
    if name == "rows":
        worst = found.contributions[0].argsort()[::-1][:5]
        shown = [item.text.split("\n")[0] for item in page.driver.find_elements("css selector", "#contributions li")]
        assert shown == [page.bundle.spec.columns[at].name for at in worst]
        return
    drawn = page.ask(
        "const canvas = document.getElementById('contributions');"
        "return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    red, green = np.array(drawn).reshape(-1, 4)[:, :2].T
    heat = found.contributions[0].sum(0).ravel()
    assert heat[(red - green).argmax()] == pytest.approx(heat.max(), rel=0.01)


@pytest.mark.parametrize("name", ["bars", "colours"])
@pytest.mark.parametrize("single", [False, True])
def test_answers_are_those_of_onnxruntime(name, single, driver, site, bundles):
    bundle = bundles[name]
    page = Page(driver, (site[0] / f"{name}.html").as_uri() if single else f"{site[1]}/{name}/", bundle)
    span = bundle.spec.high - bundle.spec.low
    label = 1 if bundle.classes else 0
    labels = {"label": np.full(5, label)} if bundle.classes else {}
    z = np.random.default_rng(0).standard_normal((5, bundle.latents)).astype(np.float32)
    x = np.random.default_rng(0).uniform(bundle.spec.low, bundle.spec.high, (5, *bundle.spec.shape))
    x = x.astype(bundle.spec.dtype)
    rows = {key: [float(value) for value in array.ravel()] for key, array in (("z", z), ("x", x))}
    found = page.ask(
        "const model = await import('model.js'); const {examples} = model;"
        "const [z, x] = [Float32Array.from(given[0].z), examples[0].constructor.from(given[0].x)];"
        "const {mean, log_variance} = await model.encode(x, 5, given[1]);"
        "const score = await model.score(x.subarray(0, x.length / 5), z, given[1]);"
        "const x_mean = [...await model.decode(z, given[1])];"
        "return {x_mean, mean: [...mean], log_variance: [...log_variance], score}",
        rows, label,
    )  # fmt: skip
    x_mean = run(bundle, "decoder", z=z, **labels)["x_mean"]
    np.testing.assert_allclose(found["x_mean"], x_mean.ravel(), atol=1e-4 * span)
    for key, array in run(bundle, "encoder", x=x, **labels).items():
        np.testing.assert_allclose(found[key], array.ravel(), atol=1e-4)
    scores = run(bundle, "score", x=np.repeat(x[:1], 5, axis=0), noise=z, **labels)
    assert found["score"] == {key: pytest.approx(array.mean(), rel=1e-5, abs=1e-3) for key, array in scores.items()}
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(address.startswith(("data:", site[1])) for address in loaded)


def test_a_frame_takes_at_most_50_ms(page, record_property):
    times = page.ask(
        "const {decode} = await import('model.js'); const {paint} = await import('observations.js'); const times = [];"
        "for (let frame = 0; frame < 300; frame++) {"
        "  const began = performance.now(); const z = Float32Array.of(Math.cos(frame / 20), Math.sin(frame / 20));"
        "  paint(document.getElementById('output'), await decode(z, 0)); times.push(performance.now() - began);"
        "} return times"
    )
    record_property("median_ms", np.median(times))
    print(f"a frame takes {np.median(times):.2f} ms, 95 of 100 at most {np.quantile(times, 0.95):.2f} ms")  # noqa: T201
    assert np.quantile(times, 0.95) <= FRAME_MS


def test_the_mouse_moves_in_the_plane(page):
    page.drag("#plane", (0.5, 0.5), (0.6, 0.5), (0.75, 0.25))
    z = page.rest()
    np.testing.assert_allclose(z, [1.5, 1.5], atol=0.02)
    page.assert_shows("#output", page.bundle.decode(z[None])[0])
    printed = [value.text for value in page.driver.find_elements("css selector", "#sliders output")]
    assert printed == [f"{value:.2f}" for value in z]
    page.drag("#plane", (0.9, 0.9), (0.95, 1.2))
    assert page.rest()[1] == -3


def test_the_plane_shows_what_the_decoder_makes_of_each_place(page):
    shown = page.pixels("#plane canvas")[0].astype(int)
    side = len(shown) // 13
    tile = shown[6 * side : 7 * side, 6 * side : 7 * side]
    gap = (side - 28) // 2
    wanted = to_pixels(page.bundle.decode(np.zeros((1, 2))), 0, 255)[0, 0]
    np.testing.assert_allclose(tile[gap : gap + 28, gap : gap + 28], wanted, atol=1)


def test_touch_moves_in_the_plane(page):
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.driver.execute_script("document.getElementById('plane').scrollIntoView({block: 'center'})")
    box = page.driver.execute_script("return document.getElementById('plane').getBoundingClientRect().toJSON()")
    for kind, across in (("touchStart", 0.5), ("touchMove", 0.4), ("touchMove", 0.25), ("touchEnd", None)):
        at = {"x": box["x"] + (across or 0) * box["width"], "y": box["y"] + 0.5 * box["height"]}
        points = [] if across is None else [at]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    np.testing.assert_allclose(page.rest(), [-1.5, 0], atol=0.03)


def test_keys_move_in_the_plane_and_on_a_slider(page):
    from selenium.webdriver.common.keys import Keys

    page.press("#plane", Keys.HOME)
    np.testing.assert_array_equal(page.rest(), [0, 0])
    page.press("#plane", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    np.testing.assert_allclose(page.rest(), [0.2, -0.1], atol=1e-6)
    page.press("#sliders label:nth-child(2) input", Keys.END)
    z = page.rest()
    np.testing.assert_allclose(z, [0.2, 3], atol=1e-6)
    page.assert_shows("#output", page.bundle.decode(z[None])[0])


def test_a_slider_is_dragged(page):
    page.drag("#sliders input", (0.5, 0.5), (0.75, 0.5))
    assert page.rest()[0] == pytest.approx(1.5, abs=0.15)


def test_a_drawing_is_encoded_reconstructed_and_scored(page):
    page.find("#clear").click()
    page.rest()
    assert page.pixels("#input").max() == 0
    page.drag("#input", (0.2, 0.5), (0.5, 0.5), (0.8, 0.5))
    z = page.rest()
    x = page.pixels("#input")[None]
    assert (x > 128).sum() > 28  # a stroke over 17 of 28 pixels
    assert x[0, 0, :8].max() == x[0, 0, 20:].max() == 0
    encoding = page.bundle.encode(x)
    np.testing.assert_allclose(z, encoding.mean[0], atol=1e-4)
    page.assert_shows("#reconstruction", page.bundle.reconstruct(x)[0])
    page.assert_shows("#output", page.bundle.reconstruct(x)[0])
    draws = noise(page, 16 * 2, 0).reshape(16, 2)
    for name, nats in run(page.bundle, "score", x=np.repeat(x, 16, axis=0), noise=draws).items():
        assert float(page.find(f"#{name}").text.replace("−", "-")) == pytest.approx(nats.mean(), abs=0.006)


def test_a_picture_file_is_taken(page, tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (28, 28)).astype(np.uint8)
    Image.fromarray(x).save(tmp_path / "x.png")
    page.press("#file", str(tmp_path / "x.png"))
    page.rest()
    np.testing.assert_array_equal(page.pixels("#input")[0], x)
    page.find("#invert").click()
    np.testing.assert_array_equal(page.pixels("#input")[0], 255 - x)
    (tmp_path / "notes.txt").write_text("no picture")
    page.press("#file", str(tmp_path / "notes.txt"))
    page.wait("return document.getElementById('problem').textContent.startsWith('notes.txt')")


def test_a_picture_is_dropped(page, colours):
    drop = (
        "const canvas = new OffscreenCanvas(64, 28); const context = canvas.getContext('2d');"
        "context.fillStyle = '#fff'; context.fillRect(0, 0, 64, 28);"
        "context.fillStyle = '#c00'; context.fillRect(18, 0, 14, 28);"
        "const files = new DataTransfer(); files.items.add(new File([await canvas.convertToBlob()], 'x.png'));"
        "document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}))"
    )
    colours.ask(drop)
    colours.rest()
    x = colours.pixels("#input")
    np.testing.assert_array_equal(x[:, 6, 5], [0xCC, 0, 0])
    np.testing.assert_array_equal(x[:, 6, 12], [255, 255, 255])
    page.__init__(page.driver, page.url, page.bundle)
    page.ask(drop)
    page.rest()
    x = page.pixels("#input")[0]
    assert (x[:, :14] == round(0.299 * 0xCC)).all() and (x[:, 14:] == 255).all()  # its middle, in grey


def test_a_colour_is_drawn(colours):
    colours.find("#clear").click()
    colours.driver.execute_script("document.querySelector('#ink input').value = '#3366cc'")
    colours.drag("#input", (0.3, 6.5 / 12), (0.7, 6.5 / 12))
    colours.rest()
    np.testing.assert_allclose(colours.pixels("#input")[:, 6, 8], [0x33, 0x66, 0xCC], atol=1)
    assert colours.find("#ink").is_displayed()


def test_morphing(page):
    from selenium.webdriver.common.keys import Keys

    page.find("#even").click()  # off: even in z
    ends = []
    for place in ((0.25, 0.5), (0.5, 0.1)):
        page.drag("#plane", place)
        ends.append(page.rest())
        page.find("#add").click()
    page.find("#only").click()
    page.rest()
    start, end = ends
    page.press("#place", *[Keys.HOME, *[Keys.ARROW_RIGHT] * 25])  # steps of a hundredth
    z = page.rest()
    np.testing.assert_allclose(z, path_between(start, end, np.linspace(0, 1, 5), "spherical")[1], atol=1e-5)
    page.assert_shows("#between", page.bundle.decode(z[None])[0])
    page.assert_shows("#stops span:nth-child(2) canvas", page.bundle.decode(end[None])[0])
    page.find("#play").click()
    assert page.find("#play").text == "Pause"
    moved = [page.rest() for _ in range(4)]
    assert all(np.abs(later - earlier).max() > 0.01 for earlier, later in pairwise([z, *moved]))
    page.find("#play").click()
    still = page.rest()
    np.testing.assert_array_equal(page.rest(), still)


def test_a_morph_through_several_pictures_has_even_steps(page):
    with np.load(page.bundle.folder / "encoder.npz") as golden:
        stops = page.bundle.encode(golden["x"][:3]).mean
    page.ask(
        "for (const shade of ['#fff', '#000']) {"
        "  const canvas = new OffscreenCanvas(28, 28); const context = canvas.getContext('2d');"
        "  context.fillStyle = shade; context.fillRect(0, 0, 28, 28);"
        "  const files = new DataTransfer(); files.items.add(new File([await canvas.convertToBlob()], 'x.png'));"
        "  const drop = new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true});"
        "  document.getElementById('morph').dispatchEvent(drop);"
        "  await new Promise((go) => setTimeout(go, 300));"
        "}"
    )
    page.wait("return document.querySelectorAll('#stops > span').length === 5")
    page.find("#stops > span:nth-child(5) button:nth-child(2)").click()  # the black one is taken out
    page.rest()
    white = page.bundle.encode(np.full((1, 1, 28, 28), 255, np.uint8)).mean

    def steps(even):
        if page.find("#even").is_selected() != even:
            page.find("#even").click()
        for _ in range(4):  # until the way is measured
            page.rest()
        seen = page.ask(
            "const [place, found] = [document.getElementById('place'), []];"
            "const {point} = await import('latents.js'); const {decode} = await import('model.js');"
            "for (let step = 0; step <= 48; step++) {"
            "  place.value = step / 48; place.oninput(); found.push([[...point.z], [...await decode(point.z, 0)]]);"
            "} return found"
        )
        z, x = (np.array([each[part] for each in seen], np.float64) for part in (0, 1))
        np.testing.assert_allclose(z[[0, -1]], [stops[0], white[0]], atol=1e-3)
        sizes = np.linalg.norm(np.diff(x, axis=0), axis=1)
        return sizes.std() / sizes.mean()

    plain, even = steps(even=False), steps(even=True)
    assert even <= 0.1 < plain


def test_sliders_move_along_directions(page):
    from selenium.webdriver.common.keys import Keys

    start, directions = page.rest(), page.bundle.directions
    names = [name.text.removesuffix(" †") for name in page.driver.find_elements("css selector", "#towards .name")]
    marked = ["†" in name.text for name in page.driver.find_elements("css selector", "#towards .name")]
    assert names == list(directions) and marked == [each.is_chance for each in directions.values()]
    page.press("#towards label:nth-child(2) input", Keys.END)
    z = page.rest()
    np.testing.assert_allclose(z, directions.moved(start[None], {names[1]: 3})[0], atol=1e-4)
    page.assert_shows("#output", page.bundle.decode(z[None])[0])
    assert page.find("#towards label:nth-child(2) output").text == "3.00"
    page.press("#towards label:nth-child(2) input", Keys.HOME)
    np.testing.assert_allclose(page.rest(), directions.moved(start[None], {names[1]: -3})[0], atol=1e-4)
    page.press("#plane", Keys.HOME)
    page.rest()
    assert page.find("#towards label:nth-child(2) output").text == "0.00"


def test_dropped_pictures_are_cut_as_those_of_the_training(colours):
    """A square of 48 in the middle is scaled to 16, of which 12 rows are the model's; the rest isn't looked at."""
    seen = colours.ask(
        "const {middle} = await import('images.js');"
        "const sizes = [[178, 218, 140], [16, 12, 140], [9, 7, 4]];"
        "return sizes.map(([width, height, crop]) => middle({width, height}, crop))"
    )
    assert seen == [[19, 39, 140, 140], [0, 0, 16, 12], [2, 1, 4, 4]]
    with pytest.raises(AssertionError, match="is 100 × 200 pixels, too small for the 140 × 140"):
        colours.ask("return (await import('images.js')).middle({width: 100, height: 200}, 140)")


def test_samples_follow_from_the_seed(page):
    page.find("#more").click()
    page.rest()
    assert page.find("#seed").get_property("value") == "1"
    drawn = run(page.bundle, "sample", noise=noise(page, 12 * 2, 1).reshape(12, 2))["x_mean"]
    page.assert_shows("#samples button:nth-child(12) canvas", drawn[11])
    page.find("#samples button:nth-child(3)").click()
    page.rest()
    page.assert_shows("#input", drawn[2])


def test_noise_is_normal_and_differs_by_seed(page):
    draws = [noise(page, 20_000, seed) for seed in (0, 1)]
    for values in draws:
        assert stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(*draws)[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[0][:-1], draws[0][1:])[0, 1]) < 0.03


def test_axes_are_chosen_and_change_places(colours):
    chosen = "return [...document.querySelectorAll('.axes select')].map((select) => Number(select.value))"
    assert len(set(colours.driver.execute_script(chosen))) == 2
    colours.find("#across option:nth-child(3)").click()
    colours.find("#up option:nth-child(3)").click()
    across, up = colours.driver.execute_script(chosen)
    assert (across != up, up) == (True, 2)
    wanted = colours.rest()
    wanted[[across, up]] = 0, -1.5
    colours.drag("#plane", (0.5, 0.75))
    np.testing.assert_allclose(colours.rest(), wanted, atol=0.02)


def test_a_class_is_chosen(colours):
    bundle = colours.bundle
    x = np.array(colours.ask("return [...(await import('model.js')).examples[0]]"), np.float32).reshape(1, 3, 12, 16)
    z = colours.rest()
    known = colours.ask("return (await import('latents.js')).point.label")
    np.testing.assert_allclose(z, bundle.encode(x, [known]).mean[0], atol=1e-4)
    colours.find(f"#labels label:nth-of-type({2 - known})").click()
    np.testing.assert_array_equal(colours.rest(), z)  # the same point, of another class
    colours.assert_shows("#output", bundle.decode(z[None], [1 - known])[0])
    colours.assert_shows("#reconstruction", bundle.reconstruct(x, [1 - known])[0])


class TestRows:
    """The page of a table."""

    COLUMNS = ("amount", "balance", "country", "new", "when")

    def given(self, rows):
        """The row that is encoded."""
        return np.array(rows.ask(
            "return [...document.querySelectorAll('#fields label')].map(({children: [, field]}) => field.value)"
        ))  # fmt: skip

    def drop(self, rows, text, name="new.csv"):
        rows.ask(
            "const files = new DataTransfer(); files.items.add(new File([given[0]], given[1]));"
            "const event = new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true});"
            "document.body.dispatchEvent(event)",
            text, name,
        )  # fmt: skip
        rows.rest()

    def test_answers_are_those_of_onnxruntime(self, rows):
        x = np.float32([[110, 4, 1, 0, 20480.5], [90, np.nan, 3, 1, 20500], [100, 5, np.nan, 1, 20490]])
        found = rows.ask(
            "const model = await import('model.js'); const x = Float32Array.from(given[0], (value) => value ?? NaN);"
            "const {mean} = await model.encode(x, 3, 0);"
            "return {mean: [...mean], x_mean: [...await model.decode(mean, 0)]}",
            [None if np.isnan(value) else float(value) for value in x.ravel()],
        )
        mean = rows.bundle.encode(x).mean
        np.testing.assert_allclose(found["mean"], mean.ravel(), atol=1e-4)
        np.testing.assert_allclose(
            np.reshape(found["x_mean"], (3, 5)) / rows.bundle.spec.unit,
            rows.bundle.decode(mean) / rows.bundle.spec.unit,
            atol=1e-4,
        )

    def test_a_changed_value_is_encoded(self, rows):
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import Select

        names = [name.text for name in rows.driver.find_elements("css selector", "#fields .name")]
        assert names == list(self.COLUMNS)
        self.drop(rows, "when,new,country,balance,amount\n2026-02-01,true,SE,4.5,104\n")
        Select(rows.find("#fields label:nth-child(3) select")).select_by_visible_text("NO")
        amount = "#fields label:nth-child(1) input"
        rows.press(amount, Keys.CONTROL, "a")
        rows.press(amount, "130\t")
        z = rows.rest()
        row = np.float32([[130, 4.5, rows.bundle.spec.columns[2].values.index("NO"), 1, 20485]])
        np.testing.assert_allclose(z, rows.bundle.encode(row).mean[0], atol=1e-4)
        shown = rows.find("#fields label:nth-child(1) output").text
        assert float(shown) == pytest.approx(rows.bundle.reconstruct(row)[0, 0], rel=1e-4)
        at_the_point = rows.find("#values div:nth-child(2) output").text
        assert float(at_the_point) == pytest.approx(rows.bundle.decode(z[None])[0, 1], rel=1e-4)

    def test_a_file_offers_its_rows(self, rows):
        first, second = '1e2,,"SE",False,2026-01-02,"a, ""b"""', "100,5,Atlantis,1,2026-01-03T12:00:00,"
        self.drop(rows, f"\ufeff{','.join(self.COLUMNS)},note\r\n{first}\r\n{second}\r\n")
        assert self.given(rows).tolist() == ["100", "", "SE", "false", "2026-01-02"]
        thumbs = rows.driver.find_elements("css selector", "#examples button")
        assert len(thumbs) == 2
        thumbs[1].click()
        z = rows.rest()
        assert self.given(rows).tolist() == ["100", "5", "another", "true", "2026-01-03"]
        np.testing.assert_allclose(z, rows.bundle.encode(np.float32([[100, 5, 3, 1, 20456.5]])).mean[0], atol=1e-4)

    def test_a_file_is_read_as_python_reads_it(self, driver, site, bundles, tmp_path):
        page, new = Page(driver, f"{site[1]}/german/", bundles["german"]), german_frame(12, 5)
        spec, path = page.bundle.spec, tmp_path / "new.csv"
        assert spec.columns[0].offset > 1e8 and [column.written for column in spec.columns] == [
            "",
            "%",
            "",
            "",
            "%d.%m.%Y",
        ]
        ways = {
            "as it was": {"sep": ";", "decimal": ",", "encoding": "cp1252"},
            "in Unicode": {"sep": ";", "decimal": ",", "encoding": "utf-8-sig"},
            "with points and tabs": {"sep": "\t", "decimal": ".", "encoding": "utf-16"},
            "with commas": {"sep": ",", "decimal": ".", "quoting": csv.QUOTE_ALL},
        }
        for way, written in ways.items():
            frame = new if written["decimal"] == "," else new.assign(anteil=new.anteil.str.replace(",", "."))
            frame.to_csv(path, index=False, **written)
            found = page.ask(
                "const {read} = await import('tables.js'); "
                "const file = new File([Uint8Array.from(given[0])], 'new.csv');"
                "return (await read(file)).map((row) => [...row].map((value) => (Number.isNaN(value) ? null : value)))",
                list(path.read_bytes()),
            )
            wanted = checked(read_observations([path], spec, None, "none"), spec)
            np.testing.assert_array_equal(np.array(found, np.float32), wanted, err_msg=way)

    def test_a_value_far_from_zero_keeps_its_digits(self, driver, site, bundles, tmp_path):
        page, new = Page(driver, f"{site[1]}/german/", bundles["german"]), german_frame(1, 6)
        new.to_csv(tmp_path / "new.csv", sep=";", decimal=",", index=False)
        self.drop(page, (tmp_path / "new.csv").read_text())
        z = page.rest()
        assert float(self.given(page)[0]) == pytest.approx(new.betrag[0], abs=0.005)
        row = read_observations([tmp_path / "new.csv"], page.bundle.spec, None, "none")
        np.testing.assert_allclose(z, page.bundle.encode(row).mean[0], atol=1e-4)
        shown = float(page.find("#fields label:nth-child(1) output").text)
        assert shown == pytest.approx(page.bundle.reconstruct(row)[0, 0], abs=0.01)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "lacks the columns amount, balance, country, new, when"),
            ("amount,balance,country,new\n1,2,SE,true", "lacks the column when"),
            ("amount,balance,country,new,when\n", "has no row under the names of its columns"),
            (
                "amount,balance,country,new,when\nmany,2,SE,1,2026-01-01",
                "holds “many” in column amount, which is no number",
            ),
            ("amount,balance,country,new,when\n,2,SE,1,2026-01-01", "lacks a value in column amount, which the model"),
            ("amount;balance;country;new;when\n1;2;SE;1", "has 4 fields in row 1, and 5 columns"),
            ("amount,balance,country,new,when\n1,2,SE,1,soon", "holds “soon” in column when, which is no date"),
        ],
    )
    def test_a_file_that_doesnt_fit_says_why(self, text, problem, rows):
        before = self.given(rows).tolist()
        self.drop(rows, text)
        assert rows.find("#problem").text.startswith(f"new.csv {problem}")
        assert self.given(rows).tolist() == before

    def test_a_field_cant_be_emptied_where_no_row_was(self, rows):
        before = self.given(rows).tolist()
        rows.find("#fields label:nth-child(1) input").clear()
        rows.press("#fields label:nth-child(1) input", "\t")
        rows.rest()
        assert rows.find("#problem").text.startswith("The row lacks a value in column amount")
        assert self.given(rows).tolist() == before

    def test_no_tool_of_pictures_is_shown(self, rows):
        for selector in ("#invert", "#clear", "#ink"):
            assert not rows.find(selector).is_displayed()


def test_a_folder_opened_as_a_file_says_what_it_needs(browser, site):
    browser.get((site[0] / "bars" / "index.html").as_uri())
    assert "needs a web server" in browser.find_element("id", "opening").text
    assert browser.get_log("browser") != []  # its modules are refused


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_is_kept_as_a_picture(width, scheme, driver, site, bundles, request):
    resize(driver, width, 900, scheme)
    for name in bundles:
        page = Page(driver, f"{site[1]}/{name}/", bundles[name])
        page.rest()
        assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        page.shot(request.config.cache.mkdir("explorer") / f"{name}-{width}-{scheme}.png")
