import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lanes import ROOT

from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.recipe.data import ArraysData, File
from vae_pipeline.recipe.model import Ladder
from vae_pipeline.recipe.remedies import to_carry_more, to_fit_better
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.reading import parse, read_yaml

PATH = Path("mine.yaml")
DIGEST = "sha256:" + "0" * 64
ARRAYS = {
    "kind": "arrays",
    "shape": [1, 4, 4],
    "range": [0, 255],
    "train": {"images": {"path": "train.npy"}, "labels": None},
    "valid": 0.1,
    "test": {"images": {"path": "test.npy"}, "labels": None},
}
FOLDER = {
    "kind": "folder",
    "shape": [3, 8, 8],
    "resize": "none",
    "labels": "none",
    "corrupt": "fail",
    "train": "pictures",
    "valid": 0.1,
    "test": 0.1,
}
SYNTHETIC = {"kind": "synthetic", "examples": 64, "side": 8, "valid": 0.1, "test": 0.2}
RECIPE: dict[str, Any] = {
    "about": "A recipe for the tests.",
    "data": SYNTHETIC,
    "model": {
        "encoder": {"kind": "dense", "layers": [8], "activation": "relu"},
        "posterior": {"kind": "gaussian", "latents": 2},
        "prior": {"kind": "standard_normal"},
        "decoder": {"kind": "dense", "layers": [8], "activation": "relu"},
        "likelihood": {"kind": "bernoulli"},
        "conditional": False,
    },
    "objective": {"kind": "elbo"},
    "rate_control": {"kind": "warm_up", "beta": 1.0, "share": 0.0},
    "sampler": "prior",
    "detection": {"score": "negative_elbo", "draws": 1, "collected": None},
    "train": {
        "epochs": 1,
        "batch": 8,
        "learning_rate": 0.001,
        "schedule": "constant",
        "warm_up": 0.0,
        "weight_decay": 0.0,
        "max_minutes": None,
        "accumulate": 1,
        "precision": "float32",
        "ema": None,
        "clip": None,
        "keep": "best",
        "patience": None,
        "stop_on_alarm": False,
    },
    "evaluate": {"samples": 5, "examples": None, "gates": {}},
    "export": {"tolerance": 0.0001, "licence": "MIT", "intended_use": "Tests."},
}


def changed(key: str, value: Any, data: dict[str, Any] = SYNTHETIC) -> dict[str, Any]:
    recipe = copy.deepcopy(RECIPE | {"data": data})
    section = recipe
    *around, last = key.split(".")
    for part in around:
        section = section[part]
    section[last] = value
    return recipe


def without(key: str) -> dict[str, Any]:
    recipe = copy.deepcopy(RECIPE)
    section = recipe
    *around, last = key.split(".")
    for part in around:
        section = section[part]
    del section[last]
    return recipe


def refusal(recipe: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        parse(Recipe, recipe, PATH)
    return str(caught.value)


@pytest.mark.parametrize("data", [SYNTHETIC, ARRAYS, FOLDER, {"kind": "digits", "valid": 0.1, "test": 0.2}])
def test_recipe_round_trips(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(RECIPE | {"data": data}))
    recipe = Recipe.load(path)
    assert recipe.data.kind == data["kind"]
    assert parse(Recipe, recipe.model_dump(mode="json"), path) == recipe


def test_number_without_point_in_exponent_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"  # YAML 1.1 reads 1e-3 as text
    path.write_text(yaml.safe_dump(RECIPE).replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert Recipe.load(path).train.learning_rate == 0.001


def test_recipe_is_frozen() -> None:
    recipe = parse(Recipe, RECIPE, PATH)
    with pytest.raises(ValueError, match="frozen"):
        recipe.about = "another"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("colour", ["about", "data", "model"]),
        ("my-key", ["about", "data", "model"]),
        ("train.optimiser", ["epochs", "batch", "learning_rate"]),
        ("train.learning-rate", ["did you mean learning_rate?", "epochs"]),
        ("train.float", ["epochs", "batch"]),
        ("data.sides", ["did you mean side?", "examples", "side", "valid", "test"]),
        ("model.encoder.channels", ["kind", "layers", "activation"]),
        ("model.encoder.dense", ["kind", "layers", "activation"]),
    ],
)
def test_unknown_key_names_file_key_and_valid_ones(key: str, valid: list[str]) -> None:
    text = refusal(changed(key, 1))
    assert text.startswith(f"mine.yaml: {key}: unknown key; ")
    assert all(name in text for name in valid)


def test_misspelt_key_is_named_and_not_the_one_it_leaves_missing() -> None:
    recipe = without("train.learning_rate")
    recipe["train"]["lerning_rate"] = 0.001
    text = refusal(recipe)
    assert text.startswith("mine.yaml: train.lerning_rate: unknown key; did you mean learning_rate?")


def test_unknown_key_of_a_gate() -> None:
    text = refusal(changed("evaluate.gates", {"elbo": {"least": 1}}))
    assert text == "mine.yaml: evaluate.gates.elbo.least: unknown key; valid keys: min, max"


@pytest.mark.parametrize("part", ["train", "test"])
def test_unknown_key_inside_files(part: str) -> None:
    files = {"images": {"path": "a.npy", "kye": "x"}, "labels": None}
    text = refusal(changed(f"data.{part}", files, ARRAYS))
    assert text.startswith(f"mine.yaml: data.{part}.images.kye: unknown key; did you mean key?")


@pytest.mark.parametrize(
    ("key", "given", "valid"),
    [
        ("data", "digitz", ["synthetic", "digits", "arrays", "folder"]),
        ("model.encoder", "transformer", ["dense", "convolution"]),
        ("model.likelihood", "poisson", ["bernoulli", "gaussian"]),
    ],
)
def test_unknown_kind_names_the_valid_ones(key: str, given: str, valid: list[str]) -> None:
    text = refusal(changed(f"{key}.kind", given))
    assert text.startswith(f"mine.yaml: {key}: unknown kind '{given}'; valid kinds: ")
    assert all(kind in text for kind in valid)


def test_missing_kind() -> None:
    assert refusal(without("model.encoder.kind")) == "mine.yaml: model.encoder: the key kind is missing"


@pytest.mark.parametrize("key", ["about", "train", "train.batch", "model.decoder.layers", "export.licence"])
def test_missing_key_is_named(key: str) -> None:
    assert refusal(without(key)) == f"mine.yaml: {key}: this key is missing"


@pytest.mark.parametrize("length", [{}, {"epochs": 5, "steps": 100}])
def test_a_run_has_one_length(length: dict[str, int]) -> None:
    recipe = yaml.safe_load((ROOT / "pipeline" / "smoke.yaml").read_text())
    del recipe["train"]["epochs"]
    recipe["train"] |= length
    with pytest.raises(RecipeError, match=r"mine\.yaml: train: .* epochs and steps: give one, and not the other"):
        parse(Recipe, recipe, Path("mine.yaml"))


def test_missing_key_inside_files() -> None:
    text = refusal(changed("data.test", {"images": {"path": "a.npy"}}, ARRAYS))
    assert text.startswith("mine.yaml: data.test.labels: this key is missing")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("train.learning_rate", -0.001, "greater than 0"),
        ("train.learning_rate", float("inf"), "finite"),
        ("train.learning_rate", "fast", "number"),
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.batch", 1.5, "integer"),
        ("train.schedule", "linear", "one_cycle"),
        ("train.weight_decay", -1, "greater than or equal to 0"),
        ("rate_control.share", 1.1, "less than or equal to 1"),
        ("rate_control.beta", float("nan"), "finite"),
        ("data.valid", 1, "less than 1"),
        ("data.valid", float("nan"), "less than 1"),
        ("data.test", 0, "greater than 0"),
        ("data.side", 3, "greater than or equal to 4"),
        ("model.encoder.layers", [], "at least 1"),
        ("model.posterior.latents", 0, "greater than or equal to 1"),
        ("evaluate.gates", {"elbo": {"min": float("nan")}}, "finite"),
        ("evaluate.gates", {"elbo": {}}, "min or max"),
        ("evaluate.gates", {"likeness": {"min": 0}}, "importance_bound"),
    ],
)
def test_bad_value_names_key_what_was_wanted_and_given(key: str, value: Any, wanted: str) -> None:
    text = refusal(changed(key, value))
    assert text.startswith(f"mine.yaml: {key}")
    assert wanted in text
    assert "given" in text


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("range", [1, 0], "the lowest value must be under the highest"),
        ("range", [5, 5], "the lowest value must be under the highest"),
        ("range", [0, float("inf")], "finite"),
        ("range", [0], "too few values"),
        ("shape", [28, 28], "too few values"),
        ("shape", [1, 0, 4], "greater than or equal to 1"),
        ("test", 0, "greater than 0"),
        ("train", 0.5, "ArrayPart"),
    ],
)
def test_bad_value_of_arrays(key: str, value: Any, wanted: str) -> None:
    text = refusal(changed(f"data.{key}", value, ARRAYS))
    assert text.startswith(f"mine.yaml: data.{key}: ")
    assert wanted in text


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("shape", [4, 8, 8], "1 channel"),
        ("train", "", "at least 1 character"),
        ("resize", "squash", "stretch"),
    ],
)
def test_bad_value_of_folder(key: str, value: Any, wanted: str) -> None:
    text = refusal(changed(f"data.{key}", value, FOLDER))
    assert text.startswith(f"mine.yaml: data.{key}: ")
    assert wanted in text


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ({"size": "exactly"}, ".size: input should be 'hash' or 'exact'; given 'exactly'"),
        ({"kind": "listed"}, ".file: this key is missing"),
        ({"groups": {"folder": 1, "file": "people.txt"}}, ".groups: give one of column, folder, pattern and file; "),
        ({"groups": {"column": "person"}}, ": groups.column means nothing to this kind of data: take folder or "),
    ],
)
def test_bad_split_of_a_folder(split: dict[str, Any], wanted: str) -> None:
    assert refusal(changed("data.split", split, FOLDER)).startswith(f"mine.yaml: data.split{wanted}")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("overlap", 2, "overlap is of tiles: set resize to tiles, or leave overlap out"),
        ("resize", "tiles", "resize: tiles doesn't go with labels.normal or crop: leave these out"),
    ],
)
def test_tiles_that_cant_be_cut(key: str, value: Any, wanted: str) -> None:
    assert wanted in refusal(changed(f"data.{key}", value, FOLDER | {"crop": 8}))


def test_a_list_says_which_pictures_are_valid_and_test() -> None:
    recipe = changed("data.split", {"kind": "listed", "file": "parts.txt"}, FOLDER)
    assert "split.kind listed says which pictures are valid and test: leave both out" in refusal(recipe)
    del recipe["data"]["valid"], recipe["data"]["test"]
    assert parse(Recipe, recipe, PATH).data.test is None
    del recipe["data"]["split"]
    assert "give valid and test: a path, or a fraction of train; or a split of kind listed" in refusal(recipe)


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ({}, "either path, or url"),
        ({"path": "a", "url": "https://x/a", "digest": DIGEST}, "either path, or url"),
        ({"url": "https://x/a"}, "needs the digest"),
        ({"path": "a", "digest": DIGEST}, "needs the digest"),
        ({"url": "https://x/a", "digest": "sha256:12"}, "pattern"),
        ({"url": "gopher://x/a", "digest": DIGEST}, "pattern"),
        ({"url": "https://joe:12/s3cret@x/a", "digest": DIGEST}, "in a user's name or password"),
    ],
)
def test_file_has_one_origin(file: dict[str, str], wanted: str) -> None:
    text = refusal(changed("data.train", {"images": file, "labels": None}, ARRAYS))
    assert text.startswith("mine.yaml: data.train.images")
    assert wanted in text


@pytest.mark.parametrize("digest", [DIGEST, "md5:" + "a" * 32])
def test_file_with_url_and_digest(digest: str) -> None:
    assert parse(File, {"url": "https://x/a.gz", "digest": digest}, PATH).digest == digest


@pytest.mark.parametrize("data", [SYNTHETIC, ARRAYS, FOLDER])
def test_keeping_the_best_needs_a_validation_part(data: dict[str, Any]) -> None:
    recipe = changed("data.valid", 0, data)
    assert "train.keep: best and train.patience need a validation set" in refusal(recipe)
    recipe["train"] |= {"keep": "last", "patience": 3}
    assert "train.patience" in refusal(recipe)
    recipe["train"] |= {"patience": None}
    assert parse(Recipe, recipe, PATH).data.valid == 0


@pytest.mark.parametrize(
    ("name", "kind"), [("tumours", "tumours"), ("sentences", "drawn_sentences"), ("tones", "drawn_tones")]
)
def test_draws_are_of_images(name: str, kind: str) -> None:
    recipe = yaml.safe_load((ROOT / "pipeline" / f"{name}.yaml").read_text())
    recipe["export"]["draws"] = True
    assert f"export.draws is of images, and data.kind is {kind}: leave it out" in refusal(recipe)


def test_fractions_leave_something_to_train_on() -> None:
    assert "leave nothing to train on" in refusal(changed("data.valid", 0.8))
    assert parse(Recipe, changed("data.valid", 0.79), PATH).data.valid == 0.79


def test_parts_may_be_files_or_fractions() -> None:
    data = parse(Recipe, changed("data.valid", 0.5, ARRAYS), PATH).data
    assert isinstance(data, ArraysData)
    assert data.valid == 0.5
    assert not isinstance(data.test, float)
    assert data.test.images.path == "test.npy"


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "text"])
def test_yaml_that_is_no_mapping(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"mine\.yaml isn't a recipe: wanted a mapping with about, data"):
        Recipe.load(path)


def test_what_isnt_yaml_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("about: x\ndata: [1,\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml isn't YAML in line 3, column 1"):
        Recipe.load(path)


@pytest.mark.parametrize("content", [b"about: \x00", b"\t", b"a: b: c", b"a: 'open", b"!!python/object:os.system {}"])
def test_other_broken_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"mine\.yaml isn't YAML"):
        Recipe.load(path)


def test_date_that_isnt_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("about: 2024-13-45")
    with pytest.raises(RecipeError, match="month must be in"):
        Recipe.load(path)


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(RecipeError, match=r"mine\.yaml isn't text in UTF-8"):
        Recipe.load(path)


def test_absent_recipe_lists_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no recipes"):
        read_yaml(tmp_path / "mine.yaml")
    (tmp_path / "b.yaml").touch()
    (tmp_path / "a.yaml").touch()
    with pytest.raises(RecipeError, match=r"mine\.yaml isn't there; in .* are: a\.yaml, b\.yaml"):
        read_yaml(tmp_path / "mine.yaml")


def test_folder_in_the_recipes_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"can't read .*: Is a directory"):
        read_yaml(tmp_path)


def test_trained_recipe_needs_the_seed() -> None:
    values = {key: RECIPE[key] for key in ("about", "model", "objective", "rate_control", "train", "sampler")}
    assert parse(TrainedRecipe, values | {"seed": 3}, PATH).seed == 3
    with pytest.raises(RecipeError, match="seed: this key is missing"):
        parse(TrainedRecipe, values, PATH)


def test_conditional_without_labels() -> None:
    recipe = yaml.safe_load((ROOT / "pipeline" / "mnist_static.yaml").read_text())
    recipe["model"]["conditional"] = True
    with pytest.raises(RecipeError, match=r"model\.conditional is true, but the data section names no labels"):
        parse(Recipe, recipe, Path("mine.yaml"))


def test_a_key_given_twice(tmp_path: Path) -> None:
    text = (ROOT / "pipeline" / "smoke.yaml").read_text()
    (tmp_path / "twice.yaml").write_text(text.replace("  epochs: 5\n", "  epochs: 5\n  epochs: 7\n"))
    with pytest.raises(
        RecipeError, match=r"twice\.yaml isn't YAML in line \d+, column 3: the key epochs is given twice"
    ):
        Recipe.load(tmp_path / "twice.yaml")


def test_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("[" * 100_000)
    with pytest.raises(RecipeError, match=r"deep\.yaml isn't a recipe \(it is nested over 50 levels deep\)"):
        read_yaml(tmp_path / "deep.yaml")


@pytest.mark.parametrize("value", [True, 10**30, 2.0])
def test_counts_are_whole_numbers_of_a_sensible_size(value: object) -> None:
    recipe = yaml.safe_load((ROOT / "pipeline" / "smoke.yaml").read_text())
    recipe["train"]["epochs"] = value
    with pytest.raises(RecipeError, match=r"train\.epochs"):
        parse(Recipe, recipe, Path("mine.yaml"))


LADDER: dict[str, Any] = {
    "kind": "ladder",
    "levels": [{"stride": 12, "channels": 16, "latents": 4, "blocks": 1}],
    "activation": "silu",
    "likelihood": {"kind": "bernoulli"},
    "conditional": False,
}


def test_a_ladder_takes_the_models_place() -> None:
    recipe = parse(Recipe, {**RECIPE, "model": LADDER}, PATH)
    assert isinstance(recipe.model, Ladder)
    assert parse(Recipe, recipe.model_dump(mode="json"), PATH) == recipe
    assert Recipe.model_validate(recipe) == recipe


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"levles": []}, "mine.yaml: model.levles: unknown key; did you mean levels? "),
        ({"levels": []}, "mine.yaml: model.levels: tuple should have at least 1 item"),
        ({"levels": [{**LADDER["levels"][0], "stride": 0}]}, "mine.yaml: model.levels.stride: input should be greater"),
        ({"kind": "laddr"}, "mine.yaml: model.kind: input should be 'ladder'; given 'laddr'"),
    ],
)
def test_what_is_wrong_with_a_ladder(changes: dict[str, Any], text: str) -> None:
    assert refusal({**RECIPE, "model": {**LADDER, **changes}}).startswith(text)


def test_an_objective_that_a_ladder_does_not_fit() -> None:
    objective = {"kind": "total_correlation", "weight": 2.0}
    text = refusal({**RECIPE, "model": LADDER, "objective": objective})
    assert text.endswith("needs a posterior of kind gaussian or normalised_gaussian; model.kind is ladder")


WAVES = {"kind": "residual_1d", "channels": [4, 8], "stride": 4, "blocks": 1, "activation": "silu"}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("model.view", {"kind": "waveform"}, "model.view.kind waveform is of sound, and the data are of the kind"),
        ("model.encoder", WAVES, "nets of kind residual_1d are of sound, and the data are of the kind image"),
        ("model.decoder", {"kind": "recurrent_frames", "cell": "gru", "width": 8}, "recurrent_frames are of sound"),
        ("model.view", {"kind": "spectrogram", "frame": 96, "hop": 40}, "set frame to 160, or another"),
        ("model.view", {"kind": "spectrogram", "frame": 64, "hop": 64}, "twice as long at least"),
        ("model.view", {"kind": "spectrogram", "frame": 64, "hop": 16, "floor_db": 0}, "less than or equal to -20"),
    ],
)
def test_what_is_of_sound_alone(key: str, value: Any, wanted: str) -> None:
    assert wanted in refusal(changed(key, value))


TONES = {"kind": "drawn_tones", "examples": 64, "rate_hz": 800, "seconds": 0.1, "valid": 0.1, "test": 0.2}
SPECTROGRAM = {"kind": "spectrogram", "frame": 32, "hop": 16}
LAPLACE = {"kind": "laplace", "scale": "learned", "mean": "linear"}
OF_FRAMES = {"kind": "recurrent_frames", "cell": "gru", "width": 4}
OF_SOUND = {**RECIPE["model"], "view": SPECTROGRAM, "likelihood": LAPLACE}


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (OF_SOUND | {"view": None}, "sound needs model.view: {kind: waveform}, or {kind: spectrogram"),
        (OF_SOUND | {"encoder": WAVES}, "model.view.kind spectrogram goes with nets of kind dense, convolution"),
        (
            OF_SOUND
            | {"view": {"kind": "waveform"}, "decoder": {"kind": "recurrent_frames", "cell": "gru", "width": 4}},
            "model.view.kind waveform goes with nets of kind dense and residual_1d; given recurrent_frames",
        ),
        (OF_SOUND | {"likelihood": {"kind": "categorical"}}, "categorical is of whole numbers, of a few values"),
        (OF_SOUND | {"likelihood": {"kind": "bernoulli"}}, "for sound take gaussian, laplace or student_t"),
    ],
)
def test_what_goes_with_a_view(model: dict[str, Any], wanted: str) -> None:
    recipe = {**RECIPE, "data": TONES, "detection": None}
    assert parse(Recipe, {**recipe, "model": OF_SOUND}, PATH).model.view is not None
    assert wanted in refusal({**recipe, "model": model})


FLOW = {"kind": "coupling_flow", "latents": 3, "layers": 2, "width": 8}
IMPORTANCE = {"kind": "importance_weighted", "samples": 5, "doubly_reparameterised": True}


MAP = {"kind": "spatial_gaussian", "channels": 4}
RESIDUAL = {"kind": "residual", "channels": [8, 8], "blocks": 1, "activation": "silu", "normalisation": "local"}
SPATIAL = {"model.posterior": MAP, "model.encoder": RESIDUAL, "model.decoder": RESIDUAL}
CODES = {"kind": "finite_scalar", "levels": [8, 5]}
CONSTANT = {"kind": "constant", "beta": 1.0}
OF_CODES = {**SPATIAL, "model.posterior": CODES, "model.prior": {"kind": "uniform"}, "rate_control": CONSTANT}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"model.posterior": MAP}, "needs an encoder and a decoder of kind residual; they are dense and dense"),
        ({**SPATIAL, "model.decoder": {**RESIDUAL, "channels": [8]}}, "the encoder's channels are 2, the decoder's 1"),
        ({**SPATIAL, "model.prior": {"kind": "vamp", "components": 5}}, "posteriors of kind gaussian"),
        ({**SPATIAL, "sampler": "mixture"}, "sampler: mixture knows no places"),
        ({**SPATIAL, "detection.score": "mahalanobis"}, "covariance of all latents"),
        ({"detection.score": "neighbour_ensemble"}, "is of the rows of a table, and the data are none: take negative"),
        ({**OF_CODES, "model.prior": {"kind": "standard_normal"}}, "they are finite_scalar and standard_normal"),
        ({"model.prior": {"kind": "uniform"}}, "they are gaussian and uniform"),
        (
            {**OF_CODES, "model.posterior": {**CODES, "levels": [8, 1]}},
            "levels: input should be greater than or equal to 2",
        ),
        (
            {**OF_CODES, "model.posterior": {**CODES, "levels": [4096, 4097]}},
            "levels make 16,781,312 codes; wanted 16,777,216",
        ),
        ({**OF_CODES, "sampler": "mixture"}, "sampler: mixture knows no places"),
        ({**OF_CODES, "objective": {"kind": "mmd", "weight": 1.0}}, "take elbo or trimmed"),
        ({**OF_CODES, "rate_control": {"kind": "warm_up", "beta": 1.0, "share": 0.1}}, "kind warm_up steers the rate"),
        ({**OF_CODES, "detection.score": "rate"}, "detection.score rate is the same for all examples"),
        ({"model.encoder": {**RESIDUAL, "activation": "gated"}}, "model.encoder.activation: input should be 'relu'"),
        ({"model.prior": {"kind": "vamp", "components": 5}, "model.posterior": FLOW}, "posteriors of kind gaussian"),
        ({"objective": IMPORTANCE, "model.posterior": FLOW}, "model.posterior.kind is coupling_flow"),
        ({"objective": {"kind": "total_correlation", "weight": 4.0}, "model.posterior": FLOW}, "normalised_gaussian"),
        (
            {"objective": IMPORTANCE, "rate_control": {"kind": "free_bits", "nats": 0.1, "share": 0.0}},
            "no rate of its own",
        ),
        (
            {"objective": IMPORTANCE, "rate_control.balanced": True},
            "no rate of its own that could be balanced: set rate_control.balanced to false",
        ),
        (
            {"model": {**LADDER, "prior": {"kind": "normal"}}},
            "model.prior: unknown kind 'normal'; valid kinds: 'standard_normal', 'mixture', 'vamp'",
        ),
        (
            {"model": {**LADDER, "prior": {"kind": "vamp", "components": 5}, "conditional": True}},
            "a vamp prior has no labels to condition on",
        ),
        ({"train.clip": 5.0, "train.skip_threshold": 5.0}, "no step would be clipped: set the threshold far over it"),
        ({"rate_control": {"kind": "target_rate", "nats": 5.0}, "train.keep": "best"}, "set train.keep: last"),
        ({"rate_control": {"kind": "target_distortion", "nats": None, "psnr": None}}, "either nats or psnr"),
        ({"sampler": "flow", "model.posterior.latents": 1}, "two latents or more"),
        (
            {"sampler": {"kind": "auto", "among": ["prior", "flow"]}, "model.posterior.latents": 1},
            "two latents or more",
        ),
        ({"sampler": {"kind": "auto", "among": []}}, "sampler.among: tuple should have at least 1 item"),
        (
            {"sampler": {"kind": "flow_matching", "steps": 0}},
            "sampler.steps: input should be greater than or equal to 1",
        ),
        ({"sampler": "gaussian_by_class"}, "gaussian_by_class needs a model that knows classes"),
        ({"sampler": {"kind": "magic"}}, "unknown kind 'magic'; valid kinds: 'mixture', 'flow_matching', 'auto'"),
        ({"sampler": "magic"}, "'flow_matching'"),
    ],
)
def test_sections_that_do_not_fit_each_other(changes: dict[str, Any], wanted: str) -> None:
    recipe = copy.deepcopy(RECIPE)
    for key, value in changes.items():
        section = recipe
        *around, last = key.split(".")
        for part in around:
            section = section[part]
        section[last] = value
    assert wanted in refusal(recipe)


NESTED = "".join(f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 9)}], k{i}: 1}}\n" for i in range(9))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a]: 1", "in line 1, column 1: a list or a mapping can't be a key"),
        ("? {a: 1}\n: 1", "a list or a mapping can't be a key"),
        ("a0: &a0 {x: 1}\n" + NESTED, "its aliases stand for over 100,000 values"),
        ("a: &a [*a]", "its aliases stand for over 100,000 values"),
        ("a: 1\nb: 2\na: 3", "in line 3, column 1: the key a is given twice"),
        ("a: " + "1" * 5000, "Exceeds the limit"),
        ("# " + "x" * 2**20, "it is larger than 1 MiB"),
    ],
    ids=range(7),
)
def test_yaml_is_looked_at_before_anything_is_built(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(RecipeError, match=message):
        read_yaml(tmp_path / "r.yaml")


def test_an_alias_is_what_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("a: &x {b: 1}\nc: {<<: *x, d: *x}")
    assert read_yaml(tmp_path / "r.yaml") == {"a": {"b": 1}, "c": {"b": 1, "d": {"b": 1}}}


@pytest.mark.parametrize("name", ["tumours", "sentences"])
def test_a_psnr_is_no_target_of_tables_and_sentences(name: str) -> None:
    recipe = yaml.safe_load((ROOT / "pipeline" / f"{name}.yaml").read_text())
    recipe["rate_control"] = {"kind": "target_distortion", "nats": None, "psnr": 20.0}
    recipe["train"] |= {"keep": "last", "patience": None}
    with pytest.raises(RecipeError, match=r"psnr is for images, and data\.kind is \w+: give rate_control\.nats"):
        parse(Recipe, recipe, Path("mine.yaml"))


@pytest.mark.parametrize(
    ("changes", "advised", "not_advised"),
    [
        ({}, ["a lower rate_control.beta", "free_bits", "normalised_gaussian", "more steps"], ["a warm_up", "scale"]),
        ({"rate_control": {"kind": "target_rate", "nats": 5.0}}, ["a higher rate_control.nats"], ["beta", "free_bits"]),
        (
            {"rate_control": {"kind": "target_distortion", "nats": None, "psnr": 20.0}},
            ["a higher rate_control.psnr"], ["beta", "free_bits", "warm_up"],
        ),
        ({"rate_control": {"kind": "free_bits", "nats": 0.5, "share": 0.1}}, ["rate_control.nats"], ["free_bits"]),
        ({"rate_control": {"kind": "constant", "beta": 0.0}}, ["a warm_up"], ["beta"]),
        ({"objective": IMPORTANCE}, ["a lower rate_control.beta"], ["free_bits"]),
        (
            {"model.posterior": {"kind": "normalised_gaussian", "latents": 8, "spread": 0.6}},
            ["free_bits"], ["normalised_gaussian"],
        ),
        ({"model.likelihood": {"kind": "gaussian", "scale": 1.0, "mean": "linear"}}, ["a learned"], []),
    ],
)  # fmt: skip
def test_remedies_are_what_the_recipe_does_not_do_already(
    changes: dict[str, Any], advised: list[str], not_advised: list[str]
) -> None:
    values = copy.deepcopy({**RECIPE, "train": {**RECIPE["train"], "keep": "last"}})
    for key, value in changes.items():
        section, _, last = key.rpartition(".")
        (values[section] if section else values)[last] = value
    said = to_carry_more(Recipe.model_validate(values))
    assert all(word in said for word in advised), said
    assert not any(word in said for word in not_advised), said


CONVOLUTION = {"kind": "convolution", "channels": [8], "activation": "silu"}


@pytest.mark.parametrize(
    ("changes", "advised", "not_advised"),
    [
        ({}, [], ["mean: linear", "shortcut"]),
        ({"likelihood": {"kind": "discretised_laplace", "scale": "learned", "mean": "sigmoid"}}, ["mean: linear"], []),
        ({"likelihood": {"kind": "discretised_laplace", "scale": "learned", "mean": "linear"}}, [], ["mean: linear"]),
        ({"encoder": CONVOLUTION}, ["shortcut: true"], []),
        ({"encoder": {**CONVOLUTION, "shortcut": True}}, [], ["shortcut"]),
    ],
)
def test_a_model_that_falls_short_is_told_what_may_hold_it_back(
    changes: dict[str, Any], advised: list[str], not_advised: list[str]
) -> None:
    recipe = {**RECIPE, "model": {**RECIPE["model"], **changes}}
    said = to_fit_better(Recipe.model_validate(recipe))
    assert all(word in said for word in [*advised, "more steps"]), said
    assert not any(word in said for word in not_advised), said
