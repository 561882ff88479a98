import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tests.lanes import ROOT, edited, make_job
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.evaluation.study.findings import Outcome, findings_of
from vae_pipeline.evaluation.study.page import advice, reasons_of
from vae_pipeline.metrics.paired_gains import gains
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.study import ARMS, Study
from vae_pipeline.stages.augmentation import study as module
from vae_pipeline.stages.augmentation.study import study
from vae_pipeline.system.errors import DataError, Interrupted, OutputError, RecipeError
from vae_pipeline.system.stopping import Stopped

SHORT = {"sizes": (12,), "repeats": 2, "arms": ("mixup", "vae_posterior"), "steps": 3, "batch": 8}
RECIPE = Path("smoke.yaml")


def studied(recipe, **changes):
    return recipe.model_copy(update={"study": Study(**{**SHORT, "generator_steps": 2, **changes})})


@pytest.fixture
def job(smoke, tmp_path):
    return make_job("smoke", studied(smoke), tmp_path / "home")


@pytest.fixture
def unwritten(monkeypatch):
    """Nothing is written of what is found: a picture costs more than these classifiers."""
    monkeypatch.setattr(module._Study, "_write", lambda *_: None)


@pytest.fixture(scope="module")
def whole(smoke, prepared, tmp_path_factory):
    """The folder of a study of all arms, which was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    study(make_job("smoke", studied(smoke, arms=ARMS), folder / "home"), RECIPE, folder / "out", prepared.folder)
    return folder / "out"


def table(folder):
    with (folder / "outcomes.csv").open() as file:
        return {(row.pop("size"), row.pop("repeat"), row.pop("arm")): row for row in csv.DictReader(file)}


class Words(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.first, self.within = None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.within = ("class", "summary") in attrs

    def handle_data(self, data):
        if self.within and self.first is None:
            self.first = data


def test_a_study_tells_every_classifier_and_begins_with_what_to_do(whole):
    rows, told = table(whole), json.loads((whole / "study.json").read_text())
    arms = {"none", *ARMS, "synthetic"}
    assert set(rows) == {(size, repeat, arm) for size in ["12"] for repeat in "01" for arm in arms}
    assert all(0 <= float(value) <= 1 for row in rows.values() for value in row.values())
    assert [each["size"] for each in told["sizes"]] == ["12"]
    (near,) = (each["nearer_to_labelled"] for each in told["sizes"])
    assert len(near) == 2 and all(0 <= share <= 1 for share in near)
    page = (whole / "index.html").read_text()
    assert "New images nearest to a labelled one" in page
    assert Words(page).first == told["advice"]
    assert told["advice"].startswith("Use none: no augmentation proved a gain of balanced accuracy with 12 labels.")
    assert "ResNet-18" in page and "12 labels" in page and all(f'<th scope="row">{arm}</th>' in page for arm in arms)
    with Image.open(whole / "gains.png") as picture:
        assert min(picture.size) > 300


def test_killed_again_and_again_the_same_command_ends_with_the_same_table(job, prepared, whole, tmp_path, monkeypatch):
    trained, fit, out = [], module.fit_classifier, tmp_path / "out"

    def killed(*given):
        if len(trained) in (1, 4, 7):
            raise Stopped("SIGTERM")
        trained.append(given)
        return fit(*given)

    monkeypatch.setattr(module, "fit_classifier", killed)
    for moment in (1, 3, 5):
        with pytest.raises(Interrupted, match=f"SIGTERM; {moment} of 8 classifiers are done, and the same command"):
            study(job, RECIPE, out, prepared.folder)
        assert not out.exists()
        trained.append(None)
    kept = sorted((tmp_path / "home" / "studies").glob("*/*.json"))
    kept[0].write_bytes(kept[0].read_bytes()[:20])  # as another's disk that was full left it
    study(job, RECIPE, out, prepared.folder)
    assert sum(each is not None for each in trained) == 8 + 1
    known = table(whole)  # whose arms are these and more: an arm's figures don't depend on the others
    assert table(out) == {key: known[key] for key in table(out)}


def test_more_repeats_go_on_and_other_steps_begin_anew(job, prepared, unwritten, tmp_path, monkeypatch):
    trained, fit = [], module.fit_classifier
    monkeypatch.setattr(module, "fit_classifier", lambda *given: (trained.append(given[1]), fit(*given))[1])
    few = {"sizes": (12,), "arms": ("mixup",)}

    def run(**changes):
        trained.clear()
        recipe = studied(job.recipe, **few, **changes)
        study(replace(job, recipe=recipe), RECIPE, tmp_path / "out", prepared.folder)
        return len(trained)

    assert [run(), run(), run(repeats=3), run(steps=4)] == [4, 0, 2, 4]


NETS = """
import torch

class Linear(torch.nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(shape[0] * shape[1] * shape[2], classes))

def short(shape, classes):
    return Linear(shape, classes - 1)

def other(shape):
    return None

nothing = 3
"""


def test_a_network_of_ones_own_is_what_is_trained(job, prepared, unwritten, tmp_path, monkeypatch):
    trained, fit = [], module.fit_classifier
    monkeypatch.setattr(module, "fit_classifier", lambda *given: trained.append(fit(*given)) or trained[-1])
    monkeypatch.chdir(tmp_path)
    changes = {"sizes": (12,), "arms": ("mixup",), "classifier": "nets.py:Linear"}
    for text in (NETS, NETS + "\n# another file, another study\n"):
        Path("nets.py").write_text(text)
        study(replace(job, recipe=studied(job.recipe, **changes)), RECIPE, tmp_path / "out", prepared.folder)
    assert len(trained) == 8 and {type(each.net).__name__ for each in trained} == {"Linear"}
    assert not torch.equal(trained[0].net[1].weight, trained[1].net[1].weight)  # none, and mixup


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere.py:Net", "nowhere.py isn't there"),
        ("broken.py:Net", "broken.py can't be run: ZeroDivisionError"),
        ("nets.py:nothing", "nets.py has no function or class nothing"),
        ("nets.py:other", "can't be used on images of"),
        ("nets.py:short", r"gives \[2, 1\] for two images"),
    ],
)
def test_a_network_that_will_not_do_is_refused_before_anything_is_trained(
    named, message, job, prepared, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "fit_classifier", lambda *_: pytest.fail("trained"))
    Path("nets.py").write_text(NETS)
    Path("broken.py").write_text("1 / 0")
    with pytest.raises(RecipeError, match=message):
        study(replace(job, recipe=studied(job.recipe, classifier=named)), RECIPE, tmp_path / "out", prepared.folder)


def test_a_generator_sees_the_labelled_images_and_no_other(job, prepared, unwritten, tmp_path, monkeypatch):
    seen, fit = [], module.fit_generator

    def look(recipe, spec, labelled, device):
        seen.append(labelled)
        return fit(recipe, spec, labelled, device)

    monkeypatch.setattr(module, "fit_generator", look)
    study(job, RECIPE, tmp_path / "out", prepared.folder)
    train = {image.tobytes() for image in prepared.train.x[:]}
    held_out = {image.tobytes() for part in (prepared.valid, prepared.test) for image in part.x[:]} - train
    assert [len(each) for each in seen] == [12, 12]
    for each in seen:
        images = {image.tobytes() for image in each.x}
        assert images <= train and not images & held_out


def test_held_out_images_change_no_classifier(job, prepared, unwritten, tmp_path, monkeypatch):
    weights, fit = [], module.fit_classifier

    def keep(*given):
        net = fit(*given)
        weights.append(net.classes.weight.detach().numpy().copy())
        return net

    monkeypatch.setattr(module, "fit_classifier", keep)
    job = replace(job, recipe=studied(job.recipe, arms=("vae_posterior",)))
    study(job, RECIPE, tmp_path / "one", prepared.folder)
    other = replace(prepared, valid=prepared.test, test=prepared.valid, digests={**prepared.digests, "x": "y"})
    monkeypatch.setattr(module.Prepared, "open", lambda folder: other)
    study(replace(job, settings=job.settings.model_copy(update={"home": tmp_path / "other"})), RECIPE, tmp_path / "two")
    one, two = np.split(np.array(weights), 2)
    np.testing.assert_array_equal(one, two)


@pytest.fixture
def without_valid(prepared):
    return replace(prepared, valid=replace(prepared.valid, x=prepared.valid.x[:0]))


def test_by_folds_an_arm_is_chosen_within_the_training_part_and_no_validation_part_is_wanted(
    job, prepared, without_valid, tmp_path, monkeypatch
):
    drawn, draw = [], module.Repeats.draw
    monkeypatch.setattr(module.Repeats, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    monkeypatch.setattr(module.Prepared, "open", lambda folder: without_valid)
    seen, fit = [], module.fit_generator
    monkeypatch.setattr(module, "fit_generator", lambda *given: seen.append(given[2]) or fit(*given))
    recipe = studied(job.recipe, repeats=3, folds=2)
    job = replace(job, recipe=edited(recipe, data={"valid": 0.0}, train={"keep": "last", "patience": None}))
    (found,) = study(job, RECIPE, tmp_path / "out")
    train = {image.tobytes() for image in prepared.train.x[:]}
    for each in drawn:
        labelled, held = ({image.tobytes() for image in part.x} for part in (each.labelled, each.choosing))
        assert labelled <= train and held <= train and not labelled & held
    assert all(part is each.labelled for part, each in zip(seen, drawn, strict=True))  # and so of no fold
    assert len({each.choosing.x.tobytes() for each in drawn}) == 3  # two folds, and one of another division
    told = json.loads((tmp_path / "out" / "study.json").read_text())
    assert (told["study"]["folds"], told["chosen_on"]) == (2, "held-back")
    assert "on the held-back part" in told["reasons"][0] and "validation" not in told["reasons"][0]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "holds back one of 2 folds" in page and "equal images in one fold" in page and "Nadeau and Bengio" in page
    assert "1/3 + 1/1 times" in page and "Mean accuracy, held-back / test, %" in page
    mixup, none = (np.array(found.figures(arm, "valid", "balanced_accuracy")) for arm in ("mixup", "none"))
    assert found.valid["mixup"].deviation == pytest.approx((mixup - none).std(ddof=1))
    alone = gains(none, {"mixup": mixup}, 0)["mixup"]
    assert found.valid["mixup"].detectable > 2 * alone.detectable  # its root of 1 + 3 is 2, and there are two arms


def test_a_study_by_the_validation_part_says_nothing_of_folds(whole):
    told = json.loads((whole / "study.json").read_text())
    assert "folds" not in told["study"] and told["chosen_on"] == "validation"
    page = (whole / "index.html").read_text()
    assert "held" not in page and "Nadeau" not in page and "groups" not in page


def test_by_groups_the_page_tells_how_many_a_labelled_set_is_of(job, prepared, tmp_path, monkeypatch):
    grouped = {
        name: replace(part, groups=np.arange(len(part)) // 5)
        for name, part in (("train", prepared.train), ("valid", prepared.valid), ("test", prepared.test))
    }
    digests = {**prepared.digests, "train_groups.npy": "one"}
    monkeypatch.setattr(module.Prepared, "open", lambda folder: replace(prepared, **grouped, digests=digests))
    study(job, RECIPE, tmp_path / "out", prepared.folder)
    page, count = (tmp_path / "out" / "index.html").read_text(), -(-len(prepared.train) // 5)
    assert f"{len(prepared.train):,} training images of {count:,} groups, by class" in page
    least, most = map(int, re.search(r"Groups that a set is of: 12 labels (\d+) to (\d+)\.", page).groups())
    assert 3 <= least <= most <= 8
    kept = set((tmp_path / "home" / "studies").iterdir())
    digests["train_groups.npy"] = "another"
    study(job, RECIPE, tmp_path / "out", prepared.folder)
    assert len(set((tmp_path / "home" / "studies").iterdir()) - kept) == 1


def outcomes(gain_valid, gain_test, repeats=10):
    noise = np.random.default_rng(0).normal(0, 0.01, (3, repeats, 2))
    for repeat in range(repeats):
        for row, (arm, valid, test) in enumerate(
            [("none", 0, 0), ("mixup", 0, 0), ("vae_posterior", gain_valid, gain_test)]
        ):
            figures = [0.8 + gain + noise[row, repeat, part] for part, gain in enumerate((valid, test))]
            yield Outcome("50", repeat, arm, *({"accuracy": each} for each in figures), 1.0)


@pytest.mark.parametrize(
    ("valid", "test", "verdict", "said"),
    [
        (0.05, 0.04, "vae_posterior", "Use vae_posterior with 50 labels (+4.5 points, from +"),
        (0.05, 0.0, None, "Use none: no augmentation proved a gain of accuracy with 50 labels."),
        (0.0, 0.05, None, "Use none: "),
        (-0.05, -0.05, None, "Use none: "),
    ],
)
def test_an_arm_must_gain_on_the_validation_part_and_the_test_part_confirm_it(valid, test, verdict, said):
    (found,) = findings_of(outcomes(valid, test), ["50"], "accuracy", 0)
    assert found.verdict == verdict and advice([found], "accuracy").startswith(said)
    (reason,) = reasons_of([found], "accuracy")
    doubted = "the test part" in reason
    assert ("no arm gains on the validation part" in reason) == (max(g.mean for g in found.valid.values()) <= 0)
    assert doubted == (valid > 0) == (found.confirmation is not None)


def test_on_digits_with_all_labels_the_answer_is_none(unwritten, tmp_path):
    recipe = Recipe.load(ROOT / "pipeline" / "digits.yaml")
    recipe = studied(recipe, sizes=("all",), arms=("vae_posterior",), steps=30, batch=32)
    (found,) = study(make_job("digits", recipe, tmp_path / "home"), RECIPE, tmp_path / "out")
    assert found.verdict is None
    none, synthetic = (np.mean(found.figures(arm, "test", "accuracy")) for arm in ("none", "synthetic"))
    assert none > 0.8 > synthetic


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"sizes": (5000,)}, DataError, r"study.sizes has 5,000, and there are \d+ training images to draw from: give"),
        ({"sizes": (1,)}, DataError, "study.sizes has 1, and there are 2 classes, each of which needs an image"),
        ({"geometric": {"shift": 12}}, RecipeError, "study.geometric.shift 12 can move images of 12 x 12 out of sight"),
    ],
)
def test_what_a_study_cant_use_is_said_before_anything_is_trained(
    job, prepared, tmp_path, monkeypatch, changes, error, said
):
    monkeypatch.delattr(module, "fit_classifier")
    with pytest.raises(error, match=said):
        study(replace(job, recipe=studied(job.recipe, **changes)), RECIPE, tmp_path / "out", prepared.folder)


def test_data_without_labels_or_with_one_class_or_no_validation_part_are_refused(job, prepared, tmp_path, monkeypatch):
    def run(said, job=job, **changes):
        monkeypatch.setattr(module.Prepared, "open", lambda folder: replace(prepared, **changes))
        with pytest.raises((DataError, RecipeError), match=said):
            study(job, RECIPE, tmp_path / "out", prepared.folder)

    train = prepared.train
    run(r"the training part has one class \(upright\)", train=replace(train, labels=np.zeros(len(train), np.int64)))
    run("holds no labelled images", train=replace(train, labels=None))
    run("has no validation part, by which a study chooses", valid=replace(prepared.valid, x=prepared.valid.x[:0]))
    tumours = Recipe.load(ROOT / "pipeline" / "tumours.yaml")
    run("a study is of labelled images, and data.kind tumours names none", replace(job, recipe=tumours))
    mnist = Recipe.load(ROOT / "pipeline" / "mnist.yaml")
    run("data.valid is 0, and a study chooses by the validation part", replace(job, recipe=mnist))
    defects = Recipe.load(ROOT / "pipeline" / "mnist_defects.yaml")
    run("data.kind drawn_defects names none", replace(job, recipe=defects))
    vamp = edited(job.recipe, model={"prior": {"kind": "vamp", "components": 3}})
    run("a vamp prior has no labels to condition on", replace(job, recipe=vamp))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("sizes: [50, 50]", "one is named twice"),
        ("sizes: []", "study.sizes"),
        ("arms: [none]", "study.arms"),
        ("repeats: 1", "study.repeats"),
        ("share: 1.0", "study.share"),
        ("geometric: {speed: 1.5}", "geometric is for images"),
        ("classifier: resnet", "classifier"),
        ("folds: 1", "study.folds"),
    ],
)
def test_a_section_that_means_nothing_is_refused(tmp_path, section, said):
    path = tmp_path / "smoke.yaml"
    path.write_text((ROOT / "pipeline" / "smoke.yaml").read_text() + f"study: {{{section}}}\n")
    with pytest.raises(RecipeError, match=said):
        Recipe.load(path)


def test_a_recipe_without_the_section_is_stored_without_it(smoke):
    assert "study" not in smoke.model_dump() and smoke.study == Study()


def test_files_of_others_are_spared(job, prepared, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files than a stage's output"):
        study(job, RECIPE, tmp_path / "out", prepared.folder)
    with pytest.raises(OutputError, match="overlap"):
        study(job, RECIPE, prepared.folder, prepared.folder)


def test_the_command_prints_the_verdict_or_json(smoke, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = studied(smoke, sizes=(12, "all"), arms=("mixup",)).model_dump(mode="json")
    Path("bars.yaml").write_text(yaml.safe_dump(values))
    words = ["study", "bars.yaml", "--data", str(prepared.folder)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Use none: " in result.output and result.output.endswith("bars -> studies/bars/index.html\n")
    found = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)
    assert (found["count"], found["out"], found["found"][0]["verdict"]) == (2, "studies/bars", None)
    assert set(found["found"][0]["valid"]) == {"mixup"}
