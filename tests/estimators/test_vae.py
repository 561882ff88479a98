"""The VAE of notebooks: the pipeline's weights and answers, scikit-learn's ways, and a process left as it was."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.lanes import ROOT
from tests.tables import mixed_frame

from vae_pipeline import VAE, Bundle, Recipe, load
from vae_pipeline.estimators.surroundings import undisturbed
from vae_pipeline.kinds.text.drawn_sentences import draw_sentences
from vae_pipeline.recipe.data import DrawnSentencesData
from vae_pipeline.system.errors import DataError, WeightsError
from vae_pipeline.training.trained import read_history

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMOKE = ROOT / "pipeline" / "smoke.yaml"


def rows(count=120, seed=1):
    """Points near a plane in five dimensions."""
    draw = np.random.default_rng(seed)
    plane = np.random.default_rng(0).normal(size=(2, 5))
    return draw.normal(size=(count, 2)) @ plane + 0.1 * draw.normal(size=(count, 5))


def pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own)


def bars(prepared):
    """The images that the recipe smoke draws, in their order, and their labels."""
    from vae_pipeline.kinds.image.synthetic import open_bars

    source = open_bars(Recipe.load(SMOKE).data, 0)
    return source.train.rows, np.array(source.classes)[source.train.labels]


@pytest.fixture(scope="module")
def images():
    return VAE(SMOKE).fit()


@pytest.fixture(scope="module")
def table():
    return VAE(steps=60, latents=3).fit(mixed_frame().drop(columns="fraud"))


@pytest.fixture(scope="module")
def sentences():
    section = DrawnSentencesData.model_validate({
        "kind": "drawn_sentences", "examples": 300, "tokenizer": {"kind": "bytes"}, "limit": 20, "long": "fail",
        "valid": 0.1, "test": 0.1,
    })  # fmt: skip
    lines = list(draw_sentences(section, 0).train)
    return lines, VAE(steps=20).fit(lines)


def test_a_recipe_gives_the_weights_of_the_pipeline(images, lane):
    trained = images.trained_
    assert f'"{trained.weights_sha256}"' in (lane.model / "digests.json").read_text()
    assert trained.history == read_history(lane.model / "history.csv")
    assert images.history_.valid_elbo.max() == max(row["valid_elbo"] for row in trained.history)


def test_the_same_images_in_memory_give_the_same_weights(images, prepared):
    x, _ = bars(prepared)
    for laid in (x[:, 0], x.transpose(0, 2, 3, 1).astype(np.int64)):
        again = VAE(SMOKE).fit(laid)
        assert again.trained_.weights_sha256 == images.trained_.weights_sha256
        assert again.sample(2).shape == (2, *laid.shape[1:])
        np.testing.assert_array_equal(again.transform(laid[:5]), images.transform(x[:5]))


def test_its_answers_are_those_of_the_bundle(images, lane, prepared):
    bundle, x = Bundle.load(lane.bundle), prepared.test.x[:20]
    np.testing.assert_allclose(images.transform(x), bundle.encode(x).mean, atol=2e-5)
    np.testing.assert_allclose(images.reconstruct(x), bundle.reconstruct(x), atol=1e-2)
    np.testing.assert_allclose(images.sample(8, random_state=3), bundle.sample(8, seed=3), atol=1e-2)
    assert set(np.unique(images.sample(8, random_state=3, draw=True))) == {bundle.spec.low, bundle.spec.high}
    np.testing.assert_allclose(images.score_samples(x), -bundle.score(x).negative_elbo, rtol=1e-5, atol=1e-3)
    path = images.interpolate(x[0], x[1], 5)
    np.testing.assert_allclose(path, bundle.interpolate(x[0], x[1], 5), atol=1e-2)


def test_the_importance_bound_rises_with_its_samples(images, prepared):
    x = prepared.test.x[:50]
    one, ten, many = (images.score_samples(x, samples=count).mean() for count in (1, 10, 200))
    assert images.score(x) < many
    assert one < ten < many


def test_a_table_goes_there_and_back(table):
    frame = mixed_frame().drop(columns="fraud")
    assert [column.name for column in table.trained_.spec.columns] == ["amount", "balance", "country", "new", "when"]
    assert table.transform(frame).shape == (400, 3)
    assert list(table.get_feature_names_out()) == ["z0", "z1", "z2"]
    rebuilt = table.reconstruct(frame)
    assert set(rebuilt.country) <= {"NO", "SE", "DK"}
    assert rebuilt.new.dtype == bool
    known = frame.balance.notna()
    assert np.corrcoef(rebuilt.balance[known], frame.balance[known])[0, 1] > 0.9
    sampled = table.sample(50, random_state=0)
    assert list(sampled) == ["amount", "balance", "country", "new", "when"]
    assert sampled.when.dt.year.isin([2025, 2026]).all()
    pd.testing.assert_frame_equal(table.interpolate(frame.iloc[0], frame.iloc[[1]], 3).iloc[[0]], rebuilt.iloc[[0]])
    strange = frame.assign(amount=frame.amount * 10)
    assert table.score(strange) < table.score(frame)
    named = clone(table).set_params(steps=2).set_output(transform="pandas").fit_transform(frame)
    assert list(named) == ["z0", "z1", "z2"]


def test_conditions_choose_among_the_rows_of_a_seed(table, images):
    every = table.sample(2000, random_state=4)
    norwegian = every[every.country == "NO"]
    found = table.sample(100, random_state=4, where="country=NO", checks="amount > balance")
    pd.testing.assert_frame_equal(found, norwegian[:100].reset_index(drop=True), check_categorical=False)
    assert (table.draws_["rows"], table.draws_["drawn"]) == (100, norwegian.index[99] + 1)
    assert table.draws_["broken"] == {"amount > balance": (found.amount <= found.balance).sum()}
    assert table.sample(9, balance="country").country.value_counts().to_dict() == {"NO": 3, "SE": 3, "DK": 3}
    with pytest.raises(ValueError, match="there is no column 'land'"):
        table.sample(3, where="land=NO")
    for of, words in ((images, {}), (table, {"draw": False})):
        with pytest.raises(ValueError, match="which are of a table's drawn rows: leave them out"):
            of.sample(3, where="country=NO", **words)


def test_sentences_go_there_and_back(sentences):
    lines, vae = sentences
    assert vae.transform(lines[:7]).shape == (7, 8)
    written = [*vae.reconstruct(lines[:3]), *vae.sample(3), *vae.interpolate(lines[0], lines[1], 4)]
    assert len(written) == 10
    assert all(isinstance(line, str) for line in written)
    assert vae.score(lines[:50]) > vae.score([" ".join(line.split()[::-1]) for line in lines[:50]])
    assert vae.sample(3, random_state=1) == vae.sample(3, random_state=1) != vae.sample(3, random_state=2)
    np.testing.assert_array_equal(vae.transform(pd.Series(lines[:3], index=[5, 6, 7])), vae.transform(lines[:3]))


def test_labels_of_a_conditional_model():
    draw = np.random.default_rng(0)
    x, y = draw.random((200, 8, 8)), np.array(["dark", "light"] * 100)
    x[y == "dark"] *= 0.1
    vae = VAE(SMOKE, steps=60, conditional=True).fit(x, y)
    assert list(vae.classes_) == ["dark", "light"]
    assert vae.sample(5, "dark").mean() < vae.sample(5, "light").mean()
    assert vae.sample(2, ["dark", "light"]).shape == (2, 8, 8)
    assert vae.transform(x, y).shape == (200, 2)
    assert vae.score(x, y) > vae.score(x, y[::-1])
    for asked in (lambda: vae.transform(x), lambda: vae.sample(2, "red"), lambda: vae.sample(3, ["dark"])):
        with pytest.raises(ValueError, match="dark, light"):
            asked()


def test_labels_of_a_file_are_those_of_its_order(tmp_path):
    y = np.arange(60) % 12
    np.savez(tmp_path / "twelve.npz", images=np.random.default_rng(0).random((60, 8, 8)), labels=y)
    vae = VAE(conditional=True, steps=1, latents=2).fit(tmp_path / "twelve.npz")
    assert list(vae.classes_) == [str(number) for number in range(12)]
    assert vae._labels(vae.classes_, 12).tolist() == list(range(12))
    assert vae._labels("10", 1).tolist() == [10]


def test_columns_named_by_whole_numbers_come_back_as_they_were(tmp_path):
    frame = pd.DataFrame({3: ["a", "b", "c", "b"] * 15, 1: np.random.default_rng(0).normal(size=60)})
    vae = VAE(steps=2, latents=2).fit(frame)
    rebuilt = vae.reconstruct(frame)
    assert list(rebuilt) == [3, 1]
    assert set(rebuilt[3]) <= {"a", "b", "c", ""}
    vae.save(tmp_path / "vae")
    pd.testing.assert_frame_equal(load(tmp_path / "vae").reconstruct(frame), rebuilt)
    numbers = clone(vae).fit(frame[[1]].assign(**{"2": 0}).set_axis([7, 5], axis=1))
    assert list(numbers.sample(2)) == [7, 5]
    codes = np.column_stack([rows(60), np.arange(60) % 3 * 10])
    told = VAE(steps=2, latents=2, columns={"x5": "category"}).fit(codes)
    assert set(told.sample(5).x5) <= {"0", "10", "20", ""}


def test_what_is_saved_and_copied_is_the_same_model(table, images, tmp_path):
    frame = mixed_frame().drop(columns="fraud")
    table.save(tmp_path / "table")
    assert (tmp_path / "table" / "weights.safetensors").is_file()
    assert not list((tmp_path / "table").glob("*.p*kl*"))
    read = load(tmp_path / "table")
    for other in (read, VAE.load(str(tmp_path / "table")), copy.deepcopy(table), pickled(table)):
        np.testing.assert_array_equal(other.transform(frame), table.transform(frame))
        pd.testing.assert_frame_equal(other.sample(3, random_state=5), table.sample(3, random_state=5))
        assert other.score(frame) == table.score(frame)
        assert (other.recipe_, other.get_params()) == (table.recipe_, table.get_params())
        with pytest.raises(ValueError, match="has no data to be measured on"):
            other.export(tmp_path / "bundle")
    with pytest.raises(ValueError, match="these data aren't those of the fit"):
        read.export(tmp_path / "bundle", frame[::-1])
    table.save(tmp_path / "table")  # over itself
    weights = tmp_path / "table" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises((DataError, WeightsError), match=r"weights\.safetensors"):
        load(tmp_path / "table")
    images.save(tmp_path / "images")
    again = load(tmp_path / "images")
    assert again.recipe == Recipe.load(SMOKE)
    for part in ("data/digests.json", "model/weights.safetensors"):  # the recipe names its data
        assert (again._with_data(None, None) / part).read_bytes() == (images._folder.path / part).read_bytes()


def test_a_folder_that_holds_no_saved_model(tmp_path, lane, images):
    with pytest.raises(DataError, match=r"take Bundle\.load"):
        load(lane.bundle)
    with pytest.raises(DataError, match=r"isn't there: name a folder that an estimator's `save` filled"):
        load(tmp_path)
    images.save(tmp_path / "images")
    told = tmp_path / "images" / "estimator.json"
    told.write_text(told.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(DataError, match=r"has format 9, written by version .*: update"):
        load(tmp_path / "images")


def state():
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": pickle.dumps(np.random.get_state()),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "kernels": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "precision": torch.get_float32_matmul_precision(),
        "denormal": torch.tensor(1e-40).mul(1.0).item(),
        "gradients": torch.is_grad_enabled(),
        "signals": signal.getsignal(signal.SIGINT),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_process_is_left_as_it_was(dtype, monkeypatch):
    monkeypatch.setenv("VAE_THREADS", "1")
    torch.set_default_dtype(dtype)
    torch.set_flush_denormal(dtype == torch.float64)
    try:
        before = state()
        vae = VAE(steps=2, latents=2, random_state=None).fit(rows(40))
        vae.score(rows(5)), vae.sample(2), vae.reconstruct(rows(2))
        assert state() == before
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_flush_denormal(False)


def test_kernels_that_only_warn_are_told_from_those_that_fail(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *given, **named: asked.append((*given, named)))
    torch.set_deterministic_debug_mode("error")
    try:
        with undisturbed():
            torch.set_deterministic_debug_mode("warn")
    finally:
        torch.set_deterministic_debug_mode("default")
    assert asked == [(True, {"warn_only": False})]


def test_one_folder_is_kept_and_none_of_a_fit_that_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    vae = VAE(steps=1, latents=np.int64(2))
    for _ in range(2):
        vae.fit(rows(40))
        assert list(tmp_path.glob("vae-*")) == [vae._folder.path]
    kept = vae._folder.path
    with pytest.raises(ValueError, match="latents=0"):
        vae.set_params(latents=0).fit(rows(40))
    copied = copy.copy(vae.set_params(latents=2))
    with pytest.raises(ValueError, match="these data aren't those of the fit"):
        copied.export(tmp_path / "bundle", rows(41))
    assert list(tmp_path.glob("vae-*")) == [kept]
    assert kept.is_dir()
    del vae
    gc.collect()
    assert not kept.exists()


def test_a_seed_decides_the_fit_in_any_thread():
    x = rows(60)
    once = VAE(steps=3, latents=2, random_state=7).fit(x)
    found = []
    thread = threading.Thread(target=lambda: found.append(clone(once).fit(x)))
    thread.start()
    thread.join()
    other = VAE(steps=3, latents=2, random_state=np.random.RandomState(1)).fit(x)
    again = VAE(steps=3, latents=2, random_state=other.seed_).fit(x)
    assert found[0].trained_.weights_sha256 == once.trained_.weights_sha256
    assert again.trained_.weights_sha256 == other.trained_.weights_sha256 != once.trained_.weights_sha256


def test_an_interrupted_fit_leaves_the_one_before():
    x = rows(60)
    vae = VAE(steps=3, latents=2).fit(x)
    before = dict(vars(vae))
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT))
    vae.set_params(steps=10**6)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        vae.fit(rows(400))
    assert {**vars(vae), "steps": 3} == before
    fresh = VAE(steps=3, recipe="no.yaml")
    with pytest.raises(ValueError, match=r"no\.yaml isn't there"):
        fresh.fit(x)
    assert vars(fresh) == vars(VAE(steps=3, recipe="no.yaml"))


def test_grids_and_pipelines():
    x = rows(80)
    search = GridSearchCV(VAE(steps=np.int64(2)), {"latents": np.arange(1, 3)}, cv=2).fit(x)
    assert set(search.cv_results_["param_latents"]) == {1, 2}
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    pipeline = make_pipeline(StandardScaler(), VAE(steps=2, latents=2)).fit(x)
    assert pipeline.transform(x).shape == (80, 2)
    assert pipeline.inverse_transform(pipeline.transform(x)).shape == x.shape


FIT = """
import sys
import numpy as np
from vae_pipeline import VAE
VAE(steps=2, latents=2).fit(np.random.default_rng(0).normal(size=(60, 3)))
print(sorted({"mlflow", "dvc", "onnx", "matplotlib"} & set(sys.modules)))
"""


def test_a_recipe_for_other_data_is_taken_as_far_as_it_goes():
    tumours = Recipe.load(ROOT / "pipeline" / "tumours.yaml")
    vae = VAE(ROOT / "pipeline" / "tumours.yaml", steps=2).fit(rows(60))
    assert vae.recipe_.model == tumours.model
    assert (vae.recipe_.data.scaling, vae.recipe_.data.valid) == (tumours.data.scaling, tumours.data.valid)
    assert "auroc" in tumours.evaluate.gates
    assert "auroc" not in vae.recipe_.evaluate.gates  # nothing tells anomalies


@pytest.mark.slow
def test_a_fit_loads_no_tracker_and_writes_nothing_but_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**{name: value for name, value in os.environ.items() if name[:4] != "VAE_"}, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_fitted_model_shows_what_it_learned(images, table):
    assert "grey images of 12 × 12 pixels" in images._repr_html_()
    shown = table._repr_mimebundle_()
    assert "rows of 5 columns" in shown["text/html"]
    assert f"{table.history_.valid_elbo.max():.2f} nats" in shown["text/html"]
    assert shown["text/plain"] == "VAE(latents=3, steps=60)"
    assert "nats" not in VAE()._repr_html_()


def test_pictures_show_themselves(images):
    sample = images.sample(5, random_state=0)
    assert sample._repr_png_().startswith(b"\x89PNG")
    assert sample[0]._repr_png_().startswith(b"\x89PNG")
    again = pickled(sample)
    assert again._repr_png_() == sample._repr_png_()
    assert sample.mean(axis=(1, 2, 3))._repr_png_() is None
    assert (sample > 3)._repr_png_() is not None


@pytest.mark.parametrize(
    ("parameters", "x", "message"),
    [
        ({}, None, r"fit\(\) was given neither data nor a recipe"),
        ({"latents": 0}, rows(40), "latents=0 was given; wanted a whole number from 1"),
        ({"steps": 2.5}, rows(40), "steps=2.5 was given"),
        ({"conditional": 1}, rows(40), "conditional=1 was given"),
        ({"conditional": True}, rows(40), "a conditional model needs images"),
        ({"random_state": -1}, rows(40), "random_state=-1 was given"),
        ({"random_state": "a"}, rows(40), "random_state='a' was given"),
        ({"device": "tpu"}, rows(40), "device='tpu' was given; wanted auto, cpu"),
        ({"recipe": 3}, rows(40), "recipe=3 was given; wanted a Recipe"),
        ({"recipe": SMOKE}, rows(40), "table"),
        ({"columns": {"x0": "text"}}, rows(40), "columns={'x0': 'text'} was given; wanted a name and one of number"),
        ({"columns": {"x9": "category"}}, rows(40), "columns names x9, but X has x0, x1"),
        ({}, np.zeros((40, 3, 9, 4)), "whose channels may be the second axis or the last"),
        ({}, np.zeros((40, 1, 8, 8, 8)), "X has 5 axes; rows of a table have 2, and images 3 or 4"),
        ({}, np.zeros((40, 8, 8)), "X holds values from 0 to 0: finite ones that differ"),
        ({}, np.full((40, 8, 8), "a"), "images of real numbers are wanted"),
        ({}, np.column_stack([rows(40), np.full(40, np.nan)]), "column x5 holds no value in the training part"),
        ({}, pd.DataFrame({"id": [f"row {index}" for index in range(40)]}), "no column left to learn from: id"),
        ({}, [], "array"),
        ({}, ROOT / "nothing", "isn't there"),
    ],
)  # fmt: skip
def test_what_it_refuses(parameters, x, message):
    with pytest.raises(ValueError, match=message):
        VAE(**parameters).fit(x)


def test_what_it_refuses_once_it_is_fitted(images, table, sentences):
    for asked, message in (
        (lambda: images.transform(rows(3)), r"this model takes images, \[n, \*\[1, 12, 12\]\]"),
        (lambda: images.transform(np.zeros((3, 9, 9))), r"X has the shape \[3, 9, 9\]; this model takes"),
        (lambda: images.transform(np.full((3, 12, 12), 300)), r"raw values in \[0, 255\]"),
        (lambda: images.inverse_transform(np.zeros((3, 3))), r"wanted \[n, 2\] of finite numbers"),
        (lambda: images.inverse_transform([[np.nan, 0]]), "finite"),
        (lambda: images.sample(0), "n=0 was given"),
        (lambda: images.interpolate(np.zeros((12, 12)), np.zeros((12, 12)), 1), "at least 2"),
        (lambda: images.score_samples(np.zeros((1, 12, 12)), samples=0), "samples=0 was given"),
        (lambda: table.transform(mixed_frame().drop(columns=["fraud", "amount"])), "feature names should match"),
        (lambda: table.transform(mixed_frame().drop(columns="fraud").assign(new="maybe")), "isn't a boolean"),
        (lambda: sentences[1].transform(rows(3)), "this model takes a list of sentences"),
        (lambda: sentences[1].transform(["the cat " * 50]), "this model takes sentences of 1 to"),
    ):
        with pytest.raises(ValueError, match=message):
            asked()


def test_a_path_is_taken_as_init_takes_it(tmp_path):
    frame = mixed_frame().drop(columns="fraud")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    vae = VAE(steps=3, latents=2, columns={"new": "category"}).fit(tmp_path / "rows.csv")
    assert vae.recipe_.data.columns["new"] == "category"
    np.testing.assert_allclose(vae.transform(str(tmp_path / "rows.csv")), vae.transform(frame), atol=1e-5)
    assert list(vae.sample(2)) == ["amount", "balance", "country", "new", "when"]
    again = VAE(vae.recipe_, latents=2).fit(frame.drop(columns="id").assign(new=frame.new.astype(str)))
    assert again.trained_.spec.columns[3].kind == "category"  # as the recipe says


def test_rows_that_a_label_keeps_from_training_are_told(tmp_path):
    np.savez(tmp_path / "rows.npz", X=rows(100), y=np.arange(100) % 3 == 0)
    with pytest.warns(UserWarning, match="34 rows aren't trained on") as told:
        vae = VAE(steps=1, latents=2).fit(tmp_path / "rows.npz")
    assert told[0].filename == __file__
    assert vae.recipe_.data.one_class


@pytest.mark.slow
@parametrize_with_checks([VAE(steps=2, latents=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_its_bundle_is_that_of_the_pipeline(images, lane, tmp_path):
    images.export(tmp_path / "bundle")
    for path in sorted(lane.bundle.iterdir()):
        assert (tmp_path / "bundle" / path.name).read_bytes() == path.read_bytes(), path.name
