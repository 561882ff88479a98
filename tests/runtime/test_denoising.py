"""Images denoised by a bundle that wasn't trained to, by the command and from Python."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tests.lanes import alter
from tests.runtime.test_maps import bundle, made, pictures  # noqa: F401 (fixtures)
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.denoising import DRAWS
from vae_pipeline.runtime.denoising_entry import noise_of
from vae_pipeline.system.errors import BundleError, DataError


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def x(lane):
    return np.load(lane.data / "test.npy")[:3]


def test_a_model_that_was_not_trained_to_denoise_gives_the_mean_of_its_draws(lane, x):
    loaded = Bundle.load(lane.bundle)
    q = loaded.encode(x)
    drawn = [
        loaded.decode((q.mean + np.exp(q.log_variance / 2) * noise_of(draw, (loaded.latents,))).astype(np.float32))
        for draw in range(DRAWS)
    ]
    found = loaded.denoise(x)
    assert found.low is None and found.high is None and found.clean.dtype == np.float32
    np.testing.assert_allclose(found.clean, np.mean(drawn, 0), atol=1e-5)
    np.testing.assert_allclose(loaded.denoise(x, mix=0.25).clean, 0.75 * x + 0.25 * found.clean, atol=1e-5)
    with pytest.raises(DataError, match=r"mix 1.5 was given; wanted a number from 0"):
        loaded.denoise(x, mix=1.5)


def test_a_table_is_not_denoised(table_lane):
    with pytest.raises(DataError, match="is a model of a kind table: images and sound can be denoised"):
        Bundle.load(table_lane.bundle).denoise(np.zeros((1, 1)))


@pytest.mark.parametrize(("height", "width"), [(37, 54), (2, 1)])
def test_tiles_are_denoised_as_the_whole_is(bundle, height, width):  # noqa: F811
    images = pictures(height, width)
    whole = bundle.denoise(images).clean
    assert whole.shape == images.shape and whole.min() >= 0 and whole.max() <= bundle.spec.high
    np.testing.assert_allclose(bundle.denoise(images, tile=8).clean, whole, rtol=0, atol=1e-5)


def test_denoising_and_its_graph_go_together(lane, tmp_path):
    folder = shutil.copytree(lane.bundle, tmp_path / "bundle")
    entry = {
        "mode": "supervised", "corruption": ["Gaussian noise of deviation 0.5"], "draws": 16, "coverage": 0.9,
        "factor": 1.2, "examples": 100,
    }  # fmt: skip
    alter(folder, lambda manifest: manifest.update(denoising=entry))
    with pytest.raises(BundleError, match="denoising and the graph denoise go together"):
        Bundle.load(folder)
    for wrong in ({"draws": -1}, {"examples": 0}, {"coverage": 1.0}, {"factor": -1.0}):
        alter(folder, lambda manifest, wrong=wrong: manifest.update(denoising={**entry, **wrong}))
        with pytest.raises(BundleError, match=r"wanted 0 or more|coverage is a share"):
            Bundle.load(folder)


def test_the_command_writes_arrays_pictures_and_folders(lane, x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    clean = Bundle.load(lane.bundle).denoise(x).clean
    for name in ("o.npy", "o.npz", "o.png"):
        result = invoke("denoise", lane.bundle, tmp_path / "x.npy", "-o", tmp_path / name)
        assert result.exit_code == 0 and "wasn't trained to denoise: its answer is the mean" in result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), clean)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npz")["clean"], clean)
    result = invoke("denoise", lane.bundle, tmp_path / "x.npy", "-o", tmp_path / "folder", "--mix", 0.5, "--json")
    assert json.loads(result.stdout)["count"] == 3
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["x_0.png", "x_1.png", "x_2.png"]
    pixels = np.asarray(Image.open(tmp_path / "folder" / "x_0.png"))
    spec = Bundle.load(lane.bundle).spec
    np.testing.assert_allclose(pixels / 255, (0.5 * x + 0.5 * clean)[0, 0] / spec.high, atol=0.003)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["-o", "o.npy", "--intervals"],
            "o.npy has no place for --intervals: name a folder, or a file that ends in .npz",
        ),
        (["-o", "o.npz", "--intervals"], "its answer is the mean of some draws, and has no intervals; leave out"),
        (["-o", "o.csv"], "the name must end in .npy or .npz or .png"),
        (["-o", "o.npy", "--mix", "2"], "mix 2 was given"),
        (["-o", "o.npy", "--tile", "8"], "--tile is for a model whose latents are a map"),
    ],
)
def test_a_wrong_command_is_one_line_and_writes_nothing(lane, x, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", x)
    result = invoke("denoise", lane.bundle, "x.npy", *arguments)
    assert result.exit_code != 0 and said in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
