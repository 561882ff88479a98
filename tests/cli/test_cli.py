import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.lanes import ROOT, alter
from typer.testing import CliRunner

from vae_pipeline.cli import main as cli
from vae_pipeline.cli.main import app
from vae_pipeline.cli.options import TIMEOUT_S
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle, sessions
from vae_pipeline.runtime.patches import inspect
from vae_pipeline.runtime.signatures import SIGNATURES
from vae_pipeline.system.errors import SettingsError, VaeError


def invoke(*arguments):
    """The command's output; what it raises is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def x(lane):
    return np.array(Prepared.open(lane.data).test.x)


@pytest.fixture
def inputs(x, tmp_path):
    np.save(tmp_path / "x.npy", x[:7])
    return tmp_path / "x.npy"


class TestTasks:
    def test_sample(self, lane, tmp_path):
        invoke("sample", lane.bundle, "-o", tmp_path / "s.npy", "--count", 5, "--seed", 3)
        np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), Bundle.load(lane.bundle).sample(5, 3))
        invoke("sample", lane.bundle, "-o", tmp_path / "s.png", "--count", 9)
        with Image.open(tmp_path / "s.png") as picture:
            assert picture.size == (3 * (12 * 5 + 2) + 2,) * 2

    def test_reconstruct(self, lane, inputs, x, tmp_path):
        invoke("reconstruct", lane.bundle, inputs, "-o", tmp_path / "r.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "r.npy"), Bundle.load(lane.bundle).reconstruct(x[:7]))
        invoke("reconstruct", lane.bundle, lane.data / "test.npy", "-o", tmp_path / "r.png")
        assert (tmp_path / "r.png").stat().st_size > 1000

    def test_encode(self, lane, inputs, x, tmp_path):
        invoke("encode", lane.bundle, inputs, "-o", tmp_path / "z.npy")
        invoke("encode", lane.bundle, inputs, "-o", tmp_path / "z.npz")
        wanted = Bundle.load(lane.bundle).encode(x[:7])
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), wanted.mean)
        with np.load(tmp_path / "z.npz") as found:
            np.testing.assert_array_equal(found["log_variance"], wanted.log_variance)

    def test_score(self, lane, inputs, x, tmp_path):
        printed = invoke("score", lane.bundle, inputs)
        invoke("score", lane.bundle, inputs, "-o", tmp_path / "s.csv")
        assert (tmp_path / "s.csv").read_text() == printed
        rows = list(csv.DictReader(printed.splitlines()))
        scores = Bundle.load(lane.bundle).score(x[:7], samples=4)
        np.testing.assert_allclose([float(row["negative_elbo"]) for row in rows], scores.negative_elbo, rtol=1e-5)

    def test_heat_maps(self, lane, inputs, tmp_path):
        invoke("score", lane.bundle, inputs, "-o", tmp_path / "s.csv", "--heat-maps", tmp_path / "maps.png")
        with Image.open(tmp_path / "maps.png") as picture:
            assert picture.size[0] == 7 * (12 * 5 + 2) + 2
            assert np.ptp(np.asarray(picture)) == 255

    def test_pictures_are_taken_as_input(self, lane, x, tmp_path):
        (tmp_path / "pictures").mkdir()
        for index in range(3):
            Image.fromarray(x[index, 0]).save(tmp_path / "pictures" / f"{index}.png")
        np.save(tmp_path / "x.npy", x[:3])
        same = invoke("score", lane.bundle, tmp_path / "x.npy").splitlines()
        files = sorted((tmp_path / "pictures").iterdir())
        for inputs in ([tmp_path / "pictures"], files):
            rows = [line.split(",") for line in invoke("score", lane.bundle, *inputs).splitlines()]
            assert [",".join(row[:1] + row[2:]) for row in rows] == same
            assert [row[1] for row in rows] == ["file", *map(str, files)]

    def test_interpolate(self, lane, inputs, tmp_path):
        invoke("interpolate", lane.bundle, inputs, "-o", tmp_path / "m.npy", "--steps", 4)
        assert np.load(tmp_path / "m.npy").shape == (1 + 6 * 3, 1, 12, 12)
        invoke("interpolate", lane.bundle, inputs, "-o", tmp_path / "m.gif", "--steps", 4, "--path", "linear")
        with Image.open(tmp_path / "m.gif") as film:
            assert film.n_frames == 2 * 19 - 2
        invoke("interpolate", lane.bundle, inputs, "-o", tmp_path / "m.png")
        assert (tmp_path / "m.png").stat().st_size > 1000

    def test_morph(self, lane, x, tmp_path):
        for index in range(3):
            Image.fromarray(x[index, 0]).save(tmp_path / f"{index}.png")
        pictures = [tmp_path / f"{index}.png" for index in range(3)]
        printed = invoke("morph", lane.bundle, *pictures, "-o", tmp_path / "m.npy", "--frames", 16, "--even")
        wanted = Bundle.load(lane.bundle).morph(x[:3], 16, even=True)
        np.testing.assert_array_equal(np.load(tmp_path / "m.npy"), wanted.frames)
        assert [line.split()[-4:-3] for line in printed.splitlines()[1:4]] == [["2"], ["3"], ["whole"]]
        assert f"{wanted.whole.step_variation:.3f}" in printed.splitlines()[3]
        assert wanted.whole.step_variation <= 0.1
        looped = ["--loop", "--hold", 2, "--frames", 13, "--fps", 10]
        invoke("morph", lane.bundle, *pictures[:2], "-o", tmp_path / "m.gif", *looped)
        with Image.open(tmp_path / "m.gif") as film:
            times = []
            for at in range(film.n_frames):
                film.seek(at)
                times.append(film.info["duration"])
            assert sum(times) == 100 * (12 + 2 * 2) and film.info["loop"] == 0
        invoke("morph", lane.bundle, *pictures[:2], "-o", tmp_path / "m.png", "--path", "geodesic", "--frames", 5)
        with Image.open(tmp_path / "m.png") as picture:
            assert picture.size == (5 * (12 * 5 + 2) + 2, 12 * 5 + 4)

    def test_edit(self, lane, inputs, x, tmp_path):
        towards = ["--towards", "lying:1.5", "--towards", "upright:-0.5"]
        invoke("edit", lane.bundle, inputs, *towards, "-o", tmp_path / "e.npy")
        bundle = Bundle.load(lane.bundle)
        wanted = bundle.edit(x[:7], {"lying": 1.5, "upright": -0.5})
        np.testing.assert_allclose(np.load(tmp_path / "e.npy"), wanted, atol=1e-3)
        invoke("edit", lane.bundle, inputs, *towards, "-o", tmp_path / "e.npy", "--steps", 3)
        strip = np.load(tmp_path / "e.npy").reshape(7, 3, 1, 12, 12)
        np.testing.assert_allclose(strip[:, 2], wanted, atol=1e-3)
        np.testing.assert_allclose(strip[:, 0], bundle.reconstruct(x[:7]), atol=1e-2)
        shutil.copytree(lane.bundle, tmp_path / "bundle")
        for auroc, wanted_line in ((0.55, "no better than chance, AUROC 0.55 ± 0.04;"), (0.75, "")):
            told = {"auroc": auroc, "auroc_standard_error": 0.04}
            alter(tmp_path / "bundle", lambda manifest, told=told: manifest["directions"]["found"][1].update(told))
            printed = invoke("edit", tmp_path / "bundle", inputs, *towards[:2], "-o", tmp_path / "e.png")
            assert wanted_line in printed and ("warning" in printed) == bool(wanted_line)

    def test_a_film_in_mp4_shows_the_frames(self, lane, inputs, x, tmp_path):
        import av

        invoke("morph", lane.bundle, inputs, "-o", tmp_path / "m.mp4", "--frames", 9, "--fps", 12.5)
        frames = Bundle.load(lane.bundle).morph(x[:7], 9).frames
        with av.open(tmp_path / "m.mp4") as film:
            seen = [frame.to_ndarray(format="gray8") for frame in film.decode(video=0)]
            assert film.streams.video[0].average_rate == 12.5
        assert len(seen) == 9 and seen[0].shape == (228, 228)  # 19 times as large
        error = np.stack(seen) - frames[:, 0].repeat(19, 1).repeat(19, 2)
        assert 10 * np.log10(255**2 / np.square(error).mean()) > 30  # dB

    def test_a_film_in_mp4_says_what_it_needs(self, lane, inputs, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(VaeError, match=r"needs the package av, .* pip install 'vae-pipeline\[video\]', or write"):
            invoke("morph", lane.bundle, inputs, "-o", tmp_path / "m.mp4")
        assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]

    def test_a_picture_has_as_many_columns_as_asked(self, lane, tmp_path):
        invoke("sample", lane.bundle, "-o", tmp_path / "s.png", "--count", 6, "--grid", 6)
        with Image.open(tmp_path / "s.png") as picture:
            assert picture.size == (6 * (12 * 5 + 2) + 2, 12 * 5 + 4)

    def test_arrays_come_and_go_by_pipes(self, lane, inputs, x):
        def piped(command, given):
            return CliRunner().invoke(app, [*map(str, command)], input=given).stdout_bytes

        drawn = piped(["sample", lane.bundle, "-o", "-", "--count", 5], None)
        np.testing.assert_array_equal(np.load(io.BytesIO(drawn)), Bundle.load(lane.bundle).sample(5))
        encoded = piped(["encode", lane.bundle, "-", "-o", "-"], inputs.read_bytes())
        np.testing.assert_array_equal(np.load(io.BytesIO(encoded)), Bundle.load(lane.bundle).encode(x[:7]).mean)
        assert piped(["score", lane.bundle, "-", "-o", "-"], inputs.read_bytes()) == piped(
            ["score", lane.bundle, inputs], None
        )
        with pytest.raises(VaeError, match=r"- isn't a whole \.npy or \.npz"):
            raise CliRunner().invoke(app, ["score", str(lane.bundle), "-"], input=b"").exception

    def test_json(self, lane, inputs, x):
        scores = Bundle.load(lane.bundle).score(x[:7], samples=4)
        rows = json.loads(invoke("score", lane.bundle, inputs, "--json"))["found"]
        assert [row["example"] for row in rows] == list(range(7))
        np.testing.assert_allclose([row["rate"] for row in rows], scores.rate, rtol=1e-5)
        graphs = json.loads(invoke("verify", lane.bundle, "--json"))["found"]
        assert {row["graph"] for row in graphs} == {*SIGNATURES}

    def test_even_steps_change_what_is_seen_by_equal_amounts(self, lane, inputs, tmp_path):
        apart = {}
        for name, options in {"even": ["--even"], "plain": []}.items():
            invoke("interpolate", lane.bundle, inputs, "-o", tmp_path / "m.npy", "--steps", 6, *options)
            first = np.load(tmp_path / "m.npy")[:6].reshape(6, -1)  # from the first example to the second
            steps = np.linalg.norm(np.diff(first, axis=0), axis=1)
            apart[name] = steps.std() / steps.mean()
        assert apart["even"] < 0.5 * apart["plain"]

    def test_a_conditional_bundle_takes_labels(self, conditional_lane, inputs, tmp_path):
        invoke("sample", conditional_lane.bundle, "-o", tmp_path / "s.png", "--label", 1)
        np.save(tmp_path / "labels.npy", np.arange(7) % 2)
        invoke("score", conditional_lane.bundle, inputs, "--labels", tmp_path / "labels.npy")
        invoke("interpolate", conditional_lane.bundle, inputs, "-o", tmp_path / "m.gif", "--label", 0)
        for label in ("lying", "1"):
            invoke("morph", conditional_lane.bundle, inputs, "-o", tmp_path / f"{label}.npy", "--label", label)
        np.testing.assert_array_equal(np.load(tmp_path / "lying.npy"), np.load(tmp_path / "1.npy"))
        np.save(tmp_path / "names.npy", np.array(["upright", "lying"])[np.arange(7) % 2])
        numbers = invoke("score", conditional_lane.bundle, inputs, "--labels", tmp_path / "labels.npy")
        assert invoke("score", conditional_lane.bundle, inputs, "--labels", tmp_path / "names.npy") == numbers
        with pytest.raises(VaeError, match=r"\['flying'\] were given; wanted names or numbers of upright \(0\)"):
            invoke("sample", conditional_lane.bundle, "-o", tmp_path / "s.png", "--label", "flying")
        assert "no alarm" in invoke("watch", conditional_lane.bundle, inputs, "--label", "lying")
        with pytest.raises(VaeError, match="none was given"):
            invoke("watch", conditional_lane.bundle, inputs)
        large = np.tile(np.array(Prepared.open(conditional_lane.data).test.x[:1]), (1, 1, 2, 2))[0]
        bundle = Bundle.load(conditional_lane.bundle)
        found = [inspect(bundle, large, label=label).heat_map for label in (1, "lying", 0)]
        np.testing.assert_array_equal(found[0], found[1])
        assert (found[0] != found[2]).any()
        with pytest.raises(VaeError, match="none was given"):
            invoke("score", conditional_lane.bundle, inputs)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["sample", "{bundle}", "-o", "{tmp}/s.jpg"], r"s\.jpg: the name must end in \.npy or \.png"),
            (["interpolate", "{bundle}", "{tmp}/one.npy", "-o", "{tmp}/m.gif"], "two examples or more; given 1"),
            (["morph", "{bundle}", "{tmp}/one.npy", "-o", "{tmp}/m.gif"], "from one example to others; given 1"),
            (["morph", "{bundle}", "{tmp}/one.npy", "-o", "{tmp}/m.avi"], r"must end in \.mp4 or \.gif or \.png"),
            (["morph", "{bundle}", "{tmp}/two.png", "-o", "{tmp}/m.gif"], "two.png is 20x12 pixels, but 12x12"),
            (["edit", "{bundle}", "{tmp}/one.npy", "--towards", "liing:1", "-o", "{tmp}/e.png"], "but lying, upright"),
            (
                ["edit", "{bundle}", "{tmp}/one.npy", "--towards", "lying", "-o", "{tmp}/e.png"],
                "wanted a name and a",
            ),
            (["encode", "{bundle}", "{tmp}/none.npy", "-o", "{tmp}/z.npy"], r"none\.npy isn't there"),
            (["encode", "{tmp}", "{tmp}/one.npy", "-o", "{tmp}/z.npy"], r"bundle\.json isn't there"),
            (["score", "{bundle}", "{tmp}/one.npy", "-o", "{tmp}/s.txt"], r"must end in \.csv or"),
            (["summary", "{tmp}", "{tmp}"], "holds no report: run `dvc repro` first"),
            (["check", "{tmp}/list.yaml"], "recipes must be a list of names"),
        ],
    )
    def test_a_mistake_is_one_clear_line(self, arguments, message, lane, x, tmp_path):
        np.save(tmp_path / "one.npy", x[:1])
        (tmp_path / "list.yaml").write_text("recipes: digits\n")
        Image.new("L", (20, 12)).save(tmp_path / "two.png")
        with pytest.raises(VaeError, match=message):
            invoke(*[argument.format(bundle=lane.bundle, tmp=tmp_path) for argument in arguments])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["list.yaml", "one.npy", "two.png"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["prepare", "nope.yaml", "--out", "out"], "vae-pipeline: nope.yaml isn't there; in . are: bad.yaml"),
            (["train", "bad.yaml", "--data", "d", "--out", "out"], "vae-pipeline: bad.yaml isn't YAML in line 2"),
            (["prepare", "nope.yaml"], "Missing option '--out'"),
            (["fly"], "No such command 'fly'"),
        ],
    )
    def test_the_process_exits_with_2_and_no_traceback(self, arguments, message, tmp_path):
        (tmp_path / "bad.yaml").write_text("data: [\nmodel: }\n")
        command = [sys.executable, "-m", "vae_pipeline", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        if done.stderr.startswith("vae-pipeline:"):
            assert len(done.stderr.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_any_stage_is_one_line_and_leaves_nothing(number, tmp_path):
    recipe = (ROOT / "pipeline" / "smoke.yaml").read_text().replace("examples: 640", "examples: 300000")
    (tmp_path / "big.yaml").write_text(recipe)
    command = [sys.executable, "-m", "vae_pipeline", "prepare", "big.yaml", "--out", "out/big"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").is_dir() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"vae-pipeline: {number.name}: stopped, and nothing was written\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_signal_within_an_import_that_swallows_it_stops_all_the_same(tmp_path):
    """Compiled modules do that in their initialisation, numpy.random's among them."""
    (tmp_path / "swallows.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
    )
    program = (
        "import time; from vae_pipeline.cli import main as cli\n"
        "def app():\n    import swallows\n    time.sleep(30)\n"
        "cli.app = app\ncli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=25
    )
    assert done.returncode == 130
    assert done.stderr == "vae-pipeline: SIGINT: stopped, and nothing was written\n"


def test_a_warning_is_one_line(tmp_path):
    program = (
        "import warnings; from vae_pipeline.cli import main as cli\n"
        "cli.app = lambda: warnings.warn('two recordings\\n  were resampled')\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "warning: two recordings were resampled\n")


def test_a_reader_that_has_gone_and_a_full_disk(tmp_path):
    schema = [sys.executable, "-m", "vae_pipeline", "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(schema, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "vae-pipeline: no space left on device\n"


def test_summary_shows_every_report(lane, tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "exports").mkdir()
    (tmp_path / "reports" / "smoke").symlink_to(lane.report)
    (tmp_path / "exports" / "smoke").symlink_to(lane.bundle)
    shown = invoke("summary", tmp_path / "reports", tmp_path / "exports")
    assert "smoke" in shown and "importance bound" in shown
    assert str(tmp_path / "exports" / "smoke") in shown and "make ui" in shown


def test_check_accepts_what_is_shipped():
    invoke("check", ROOT / "params.yaml", "--recipes", ROOT / "pipeline")
    for recipe in (ROOT / "pipeline").glob("*.yaml"):
        invoke("check", recipe)


def test_paths_of_any_kind_from_any_folder(lane, x, tmp_path, monkeypatch):
    """Blanks, other alphabets and a leading dash; relative paths; no HOME; files for the owner alone."""
    folder = tmp_path / "a földer, with blanks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("HOME", raising=False)
    bundle = os.path.relpath(lane.bundle)
    np.save("-drei ü.npy", x[:3])
    before = os.umask(0o077)
    try:
        invoke("encode", bundle, "-o", "./-z ö.npy", "--", "-drei ü.npy")
        invoke("score", bundle, "./-drei ü.npy", "-o", "ß.csv")
        invoke("sample", bundle, "-o", "数.png")
        invoke("check", os.path.relpath(ROOT / "params.yaml"), "--recipes", os.path.relpath(ROOT / "pipeline"))
    finally:
        os.umask(before)
    written = {"-z ö.npy", "ß.csv", "数.png"}
    assert {path.name for path in folder.iterdir()} == {"-drei ü.npy", *written}
    assert {(folder / name).stat().st_mode & 0o777 for name in written} == {0o600}


def test_a_folder_of_checkpoints_that_cannot_be_written_is_told_with_its_setting(tmp_path, monkeypatch, capsys):
    def app():
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "home" / "downloads"))

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit):
        cli.main()
    said = (
        f"vae-pipeline: {tmp_path}/home/downloads: permission denied; name a folder that can be written in VAE_HOME\n"
    )
    assert capsys.readouterr().err == said


def test_sync_without_anything_waiting():
    assert "0 sent, 0 waiting" in invoke("sync")


HIDING = """
import sys
from importlib.abc import MetaPathFinder
class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden or name == "vae_pipeline.stages":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
hidden, images, x, table, rows, out = set(sys.argv[1].split(",")), *sys.argv[2:7]
sys.meta_path.insert(0, Hide())
from vae_pipeline.cli.main import app
for name, bundle, *words in (
    ["verify", images], ["sample", images, "-o", f"{out}/s.png"], ["score", images, x, "-o", f"{out}/s.parquet"],
    ["drift", images, x], ["watch", images, x, "--state", f"{out}/w.json"],
    ["reconstruct", images, x, "-o", f"{out}/r.png"],
    ["score", table, rows, "-o", f"{out}/s.csv"],
    ["repository", images, "--layout", "triton", "--out", f"{out}/served"],
):
    app([name, bundle, *words], standalone_mode=False)
"""
IMPORTED = {"scikit-learn": "sklearn"}


def test_the_extra_of_the_runtime_is_enough_for_commands_on_a_bundle(lane, table_lane, root, tmp_path):
    """All else that pip would install, and the stages, are hidden."""
    whole, runtime = (
        tomllib.loads((root / each / "pyproject.toml").read_text())["project"] for each in ("", "packaging/runtime")
    )
    wanted = whole["dependencies"], [*runtime["dependencies"], *runtime["optional-dependencies"]["cli"]]
    every, kept = ({re.split("[><=]", each)[0] for each in names} for names in wanted)
    assert kept < every
    hidden = ",".join(IMPORTED.get(name, name) for name in every - kept)
    inputs = lane.bundle, lane.data / "test.npy", table_lane.bundle, tmp_path / "rows.csv"
    rows = (table_lane.data.parent / "rows.csv").read_text().splitlines(keepends=True)
    inputs[-1].write_text("".join(rows[:20]))
    command = [sys.executable, "-c", HIDING, hidden, *inputs, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "served" / "bundle.json").is_file()


def test_a_package_that_is_not_there_is_named(lane, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr(sys, "argv", ["vae-pipeline", "score", str(lane.bundle), str(lane.data / "test.npy")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "vae-pipeline: the package pandas is needed and isn't installed: pip install pandas; all that commands on a "
        "bundle need: pip install 'vae-pipeline-runtime[cli]'\n"
    )


def test_a_setting_that_is_none_is_named_whichever_the_command(lane, tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_THREADZ", "2")
    with pytest.raises(SettingsError, match=r"VAE_THREADZ is no setting; did you mean VAE_THREADS\?"):
        invoke("sample", lane.bundle, "-o", tmp_path / "x.npy")


def test_a_graph_may_take_as_long_as_the_runtime_says():
    assert TIMEOUT_S == sessions.TIMEOUT_S


def test_a_piped_table_keeps_every_sign_whatever_the_terminal_knows(table_lane, tmp_path):
    header, *rows = (table_lane.data.parent / "rows.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([header, *(row.replace("row ", "Zürich ") for row in rows[:5])]))
    words = ["score", str(table_lane.bundle), str(tmp_path / "rows.csv"), "--keep", "id"]
    given = CliRunner(charset="ascii").invoke(app, words)
    assert given.exit_code == 0, given.output
    assert [row["id"] for row in csv.DictReader(given.stdout_bytes.decode().splitlines())] == [
        f"Zürich {number}" for number in range(5)
    ]
