"""A model that learned nothing is no result: gates that stand without being named, and how a recipe waives them."""

import json
import math
import re
from dataclasses import replace

import pytest
from tests.lanes import edited, make_job

from vae_pipeline.evaluation.gates import gates, implied, miss
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.system.errors import GateError
from vae_pipeline.training.length import too_short
from vae_pipeline.training.schedules import learning_rate_at
from vae_pipeline.training.trained import Trained

FINE = {
    "elbo": 30.0, "importance_bound": 31.0, "baseline_elbo": -5.0, "active_units": 2, "latents": 2,
    "decoder_gain": 50.0, "decoder_gain_standard_error": 2.0, "decoder_gain_share": 0.99,
    "psnr": 20.0, "baseline_psnr": 18.0,
    "rate": 10.0, "distortion": -40.0, "mse_of_sample": 0.01,
}  # fmt: skip
GREY = ImageSpec((1, 8, 8), "uint8", 0, 255, False, ())


def broken(recipe, spec=GREY, **figures):
    return dict(implied({**FINE, **figures}, recipe, spec))


class TestImplied:
    @pytest.mark.parametrize(
        ("figures", "name", "said"),
        [
            ({}, None, ""),
            (
                {"elbo": -5.1, "importance_bound": -5.05},
                "below_baseline",
                r"the ELBO is -5\.1, the importance bound -5\.05, under the -5 of independent .*: try more steps",
            ),
            (
                {"active_units": 0, "baseline_psnr": None},
                "no_active_units",
                "none of 2 latent dimensions is active: try a",
            ),
            ({"decoder_gain_share": 0.6}, "ignored_latents", r"its own is better for 60 % .*decoder gain 50 ± 2 nats"),
            ({"psnr": 17.9}, "below_pca", "17.9 dB, under the 18 dB of 2 principal components: try more steps"),
            (
                {"psnr": 17.9, "active_units": 1},
                "below_pca",
                "components; 1 of as many dimensions are idle: try a lower",
            ),
            ({"psnr": 17.9, "baseline_psnr": None}, None, ""),
            ({"elbo": -5.1}, None, ""),  # of a low beta: the importance bound knows better
            ({"elbo": math.nan}, "below_baseline", "nan"),
        ],
    )
    def test_each_says_what_is_wrong_and_what_to_change(self, smoke, figures, name, said):
        found = broken(smoke, **figures)
        assert list(found) == ([] if name is None else [name])
        assert name is None or re.search(said, found[name])

    def test_a_denoiser_is_asked_whether_it_denoises(self, root):
        recipe = Recipe.load(root / "pipeline" / "photos_denoise.yaml")
        worse, better = ({"psnr_of_denoised": 20.0 + by, "psnr_of_input": 20.0} for by in (-0.5, 0.5))
        assert broken(recipe, **better, elbo=-100.0, importance_bound=-99.0) == {}  # an ELBO of a low beta
        (said,) = broken(recipe, **worse).values()
        assert said.startswith("denoising gains -0.5 dB: ")
        assert list(broken(recipe, si_sdr_gain=math.nan)) == ["not_denoised"]
        alone = Recipe.load(root / "pipeline" / "mnist_denoise_noisy.yaml")
        assert list(broken(alone, **worse, elbo=-100.0, importance_bound=-99.0)) == ["not_denoised", "below_baseline"]

    def test_of_binary_images_and_where_the_recipe_names_the_fidelity_pca_is_no_measure(self, smoke):
        assert broken(smoke, replace(GREY, binary=True), psnr=10.0) == {}
        steered = {"kind": "target_rate", "nats": 10.0}
        recipe = Recipe.model_validate(
            {**edited(smoke, train={"keep": "last"}).model_dump(mode="json"), "rate_control": steered}
        )
        assert broken(recipe, psnr=10.0) == {}

    @pytest.mark.parametrize(
        ("control", "figures", "missed"),
        [
            ({"kind": "constant", "beta": 1.0}, {"rate": 0.0}, None),
            ({"kind": "target_rate", "nats": 10.0}, {"rate": 9.1}, None),
            ({"kind": "target_rate", "nats": 10.0}, {"rate": 8.9}, "rate is 8.9 nats, where"),
            ({"kind": "capacity", "nats": 10.0, "weight": 1.0, "share": 0.1}, {"rate": 11.1}, "asks for 10"),
            ({"kind": "target_distortion", "nats": -40.0, "psnr": None}, {"distortion": -36.5}, None),
            ({"kind": "target_distortion", "nats": -40.0, "psnr": None}, {"distortion": -35.0}, "distortion is -35"),
            ({"kind": "target_distortion", "nats": 0.0, "psnr": None}, {"distortion": 0.05}, None),
            ({"kind": "target_distortion", "nats": None, "psnr": 20.0}, {"mse_of_sample": 10**-1.81}, None),
            ({"kind": "target_distortion", "nats": None, "psnr": 20.0}, {"mse_of_sample": 10**-3.0}, None),
            ({"kind": "target_distortion", "nats": -40.0, "psnr": None}, {"distortion": -60.0}, None),
            (
                {"kind": "target_distortion", "nats": None, "psnr": 24.0}, {"mse_of_sample": 10**-1.63},
                "the PSNR is 16.3 dB, where rate_control.psnr asks for 24",
            ),
        ],
    )  # fmt: skip
    def test_a_target_is_missed_by_more_than_a_tenth(self, smoke, control, figures, missed):
        values = {**edited(smoke, train={"keep": "last"}).model_dump(mode="json"), "rate_control": control}
        said = miss({**FINE, **figures}, Recipe.model_validate(values).rate_control)
        assert said is None if missed is None else missed in said


class TestTooFewSteps:
    @pytest.mark.parametrize(
        ("schedule", "warm_up"), [("constant", 0.0), ("cosine", 0.0), ("one_cycle", 0.0), ("constant", 0.4)]
    )
    def test_the_steps_that_it_names_are_enough(self, smoke, schedule, warm_up):
        train = edited(smoke, train={"learning_rate": 0.002, "schedule": schedule, "warm_up": warm_up}).train
        said = too_short(train, 200)
        assert said is not None and said.startswith("200 steps are too few")
        enough = int(said.rpartition(" ")[2])
        assert too_short(train, enough) is None
        assert sum(learning_rate_at(train, step, enough) for step in range(enough)) == pytest.approx(1, rel=0.01)

    def test_the_steps_of_kmnist_that_ended_in_black_pictures_are_too_few(self, root):
        train = Recipe.load(root / "pipeline" / "digits.yaml").train  # 0.002, one_cycle, as they had
        assert too_short(train, 216) is not None


def test_a_stage_that_waives_nothing_writes_its_report_and_fails(smoke, lane, tmp_path):
    recipe = edited(smoke, evaluate={"waive": ["too_few_steps"]})
    with pytest.raises(GateError, match="independent values without latents"):
        evaluate(make_job("smoke", recipe, tmp_path), lane.data, lane.model, tmp_path / "report")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert {"below_baseline", "ignored_latents"} <= set(metrics["failed_gates"])
    assert metrics["waived_gates"] == ["too_few_steps"]
    assert metrics["gates_said"].keys() == {*metrics["failed_gates"], "too_few_steps"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.index("below_baseline") < page.index("Headline figures") < page.rindex("too_few_steps")


def test_a_run_that_time_ended_is_judged_by_the_steps_it_made(smoke, lane):
    prepared, trained = Prepared.open(lane.data), Trained.load(lane.model)
    metrics = json.loads((lane.report / "metrics.json").read_text())
    for minutes, judged in ((None, False), (1.0, True)):
        train = trained.recipe.train.model_copy(update={"epochs": 1000, "max_minutes": minutes})
        run = replace(trained, recipe=trained.recipe.model_copy(update={"train": train}))
        assert ("too_few_steps" in gates(metrics, smoke.evaluate, run, prepared).waived) is judged
