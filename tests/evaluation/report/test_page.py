"""The page as a browser and a reader get it: well-formed, self-contained, true to the metrics."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from vae_pipeline.evaluation.report.markup import typeset
from vae_pipeline.evaluation.report.page import page
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.training.trained import Trained, read_history

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Fails where a tag isn't closed; keeps text, attributes and numbers."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def words(self):
        return " ".join("".join(self.text).split())

    def numbers(self):
        return {float(value) for tag, name, value in self.attributes if (tag, name) == ("data", "value")}


OPTIONAL = {
    "importance_bounds": {"1": 31.7, "10": 34.6},
    "effective_sample_size": 112.4,
    "pareto_k_over_0.7": 0.031,
    "mutual_information": 5.82,
    "mutual_information_cap": 5.863,
    "total_correlation": 1.9,
    "dimensionwise_kl": 0.31,
    "aggregate_kl": 10.74,
    "aggregate_kl_lower_bound": 2.17,
    "mmd2": 0.00042,
    "mmd2_p_value": 0.13,
    "two_sample_auc": 0.58,
    "mse_of_sample": 0.0141,
    "psnr_of_sample": 19.1,
    "sharpness": 0.83,
    "baseline_elbo": -11.2,
    "baseline_psnr": 17.93,
    "sampler": "mixture",
    "sampler_candidates": {"prior": 4.1, "mixture": 2.2},
    "frechet_samples": 2.31,
    "frechet_prior": 4.05,
    "frechet_reconstructions": 1.2,
    "frechet_floor": 0.71,
    "precision": 0.91,
    "recall": 0.62,
    "density": 0.97,
    "coverage": 0.81,
    "samples_sharpness": 0.72,
    "nearest_neighbour_ratio": 0.98,
    "nearer_than_any_test": 0.004,
    "nearer_than_chance": 0.0028,
    "nearer_than_most_test": 0.085,
    "half_as_far": 0.0005,
    "sampler_components": 40,
    "feature_accuracy": 0.972,
    "a_figure_of_tomorrow": 7.25,
}


def with_metrics(findings, **metrics):
    return dataclasses.replace(findings, metrics={**findings.metrics, **metrics})


IN_PIXELS, IN_FEATURES = bytes(range(1, 40)), bytes(range(2, 41))


def with_audit(findings):
    recipe = {**findings.recipe, "evaluate": {"gates": {}, "privacy": True}}
    pictures = {**findings.pictures, "closest_in_pixels.png": IN_PIXELS, "closest.png": IN_FEATURES}
    audited = {"membership_auc_by_loss": 0.625, "membership_auc_by_loss_low": 0.375}
    return with_metrics(dataclasses.replace(findings, recipe=recipe, pictures=pictures), **audited)


def with_gates(findings, gates, **breaches):
    recipe = {**findings.recipe, "evaluate": {"gates": gates}}
    return dataclasses.replace(findings, recipe=recipe, breaches=breaches)


def flat(metrics):
    for value in metrics.values():
        if isinstance(value, dict):
            yield from flat(value)
        elif not isinstance(value, str | list):
            yield value


@pytest.mark.parametrize(
    ("name", "noun", "wanted"),
    [
        ("lane", "image", "an image"),
        ("conditional_lane", "image", "an image"),
        pytest.param("ladder_lane", "image", "an image", marks=pytest.mark.slow),
        ("table_lane", "row", "a row"),
        ("text_lane", "sentence", "a sentence"),
    ],
)
def test_a_noun_has_its_own_article_in_reports_and_cards(name, noun, wanted, request):
    folders = request.getfixturevalue(name)
    html = (folders.bundle / "report.html").read_text(encoding="utf-8")
    told = html[html.index("</style>") :] + (folders.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"nats {wanted}" in told
    assert re.findall(r"\b(?:an (?:row|sentence|value|token|column)|a image)s?\b", told, re.IGNORECASE) == []
    others = {"image", "row", "sentence"} - {noun}
    assert re.findall(rf"\b(?:test|training|normal|nats an?) (?:{'|'.join(others)})s?\b", told) == []


@pytest.mark.slow
def test_each_level_of_a_ladder_is_told(ladder_lane):
    metrics = json.loads((ladder_lane.report / "metrics.json").read_text())
    assert sum(metrics["rate_per_level"].values()) == pytest.approx(metrics["rate"])
    last = read_history(ladder_lane.model / "history.csv")[-1]
    assert last["rate_of_level_1"] + last["rate_of_level_2"] == pytest.approx(last["valid_rate"])
    html = (ladder_lane.bundle / "report.html").read_text(encoding="utf-8")
    levels = html[html.index("The levels, topmost first") :]
    assert levels[: levels.index("</table>")].count("<tr>") == 1 + len(metrics["latents_per_level"])


class TestTheLane:
    """The pages of real runs."""

    @pytest.fixture(params=["lane", "conditional_lane"])
    def folders(self, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture
    def html(self, folders):
        return (folders.report / "index.html").read_text(encoding="utf-8")

    def test_every_tag_is_closed_and_nothing_is_fetched(self, html):
        reader = Reader(html)
        loaded = [value for _, name, value in reader.attributes if name in ("src", "srcset", "data", "action")]
        assert loaded and all(value.startswith("data:image/png;base64,") for value in loaded)
        linked = [value.removeprefix("#") for _, name, value in reader.attributes if name == "href"]
        assert linked == [value for _, name, value in reader.attributes if name == "id"]  # sections of this page
        assert not {"script", "link", "iframe", "object"} & set(reader.tags)
        style = html[html.index("<style>") : html.index("</style>")]
        assert "url(" not in style and "@import" not in style

    def test_its_numbers_are_those_of_metrics_json(self, html, folders):
        metrics = json.loads((folders.report / "metrics.json").read_text())
        del metrics["rate_per_dimension"], metrics["test_examples"]  # the chart's, and in the text
        assert Reader(html).numbers() == set(flat(metrics))

    def test_the_pictures_are_those_beside_it(self, html, folders):
        shown = {base64.b64decode(found) for found in re.findall(r'src="data:image/png;base64,([^"]+)"', html)}
        drawn = {path.name: path.read_bytes() for path in (folders.report / "plots").iterdir()}
        assert shown == {drawn[name] for name in drawn.keys() - {"curves.png", "rate_per_dimension.png"}}
        for tag, name, value in Reader(html).attributes:
            assert (tag, name) != ("img", "alt") or len(value) > 20

    def test_provenance(self, html, folders):
        words, trained = Reader(html).words(), Trained.load(folders.model)
        assert trained.weights_sha256 in words and Prepared.open(folders.data).digest() in words
        recipe = yaml.safe_load(html[html.index("<pre>") + 5 : html.index("</pre>")])
        assert recipe.pop("evaluate")["samples"] == 50
        assert recipe == trained.recipe.model_dump(mode="json")
        assert str(folders.report.parent) not in html

    def test_a_cross_entropy_is_called_no_likelihood(self, lane):
        words = Reader((lane.report / "index.html").read_text()).words()
        assert "Distortion (here a cross-entropy) and rate" in words and "entropy floor" in words
        for found in re.finditer("log-likelihood|log-density|log-probability", words):
            raise AssertionError(words[found.start() - 60 : found.end()])


def test_the_summary(findings):
    words = Reader(page(findings)).words()
    assert "Trained on 1,294 grey images of 6 × 8 pixels for 3 epochs; epoch 2 was kept." in words
    by_steps = dataclasses.replace(findings, recipe={**findings.recipe, "train": {"epochs": None, "steps": 4000}})
    assert "for at most 4,000 steps, validated as 3 epochs; epoch 2 was kept." in Reader(page(by_steps)).words()
    assert "a log-density of at least 35.90 ± 0.98 nats (importance bound, K = 500)" in words
    assert "16.56 nats in 2 active dimensions of 3" in words
    assert "reconstructions come to 20.29 dB PSNR." in words
    more = Reader(page(with_metrics(findings, **OPTIONAL))).words()
    assert "20.29 dB PSNR, where as many principal components reach 17.93 dB" in more
    assert "Fréchet distance of 2.310 from test images; training images lie at 0.7100." in more
    mass = Reader(page(with_metrics(findings, measure="mass", importance_bound=-86.8))).words()
    assert "describes a test image in at most 86.80 ± 0.98 nats" in mass


def test_what_is_not_there_is_left_out_and_all_that_is_there_is_shown(findings):
    bare, full = Reader(page(findings)), Reader(page(with_metrics(findings, **OPTIONAL)))
    for name in ("Fréchet", "Mutual", "MMD", "PCA", "Alarms", "alarm", "ignores z −"):
        assert name not in bare.words()
    assert not bare.numbers() & set(flat(OPTIONAL))
    assert set(flat(OPTIONAL)) <= full.numbers()
    assert "a figure of tomorrow" in full.words()
    assert "the sampler “mixture”" in full.words()
    for html in (bare, full):
        assert html.tags.count("caption") == html.tags.count("table")


def test_what_was_left_out_is_named_with_its_reason(findings):
    reason = "26 test images are too few"
    words = Reader(page(with_metrics(findings, left_out={"aggregate_kl": reason, "precision": reason}))).words()
    for name in ("Aggregate KL", "Precision"):
        assert re.search(f"{name} ?left out.*? Left out: {reason}[.]", words)


def test_equal_findings_give_an_equal_page(findings):
    assert page(findings) == page(dataclasses.replace(findings))


def test_names_are_shown_as_they_are_written(findings):
    evil = "<script>alert('x')</script> & co"
    recipe = {**findings.recipe, "about": evil}
    spec = dataclasses.replace(findings.spec, classes=(evil, "one"))
    card = {**findings.card, "origins": {evil: evil}, "dropped": {evil: 3}}
    alarms = [{"name": evil, "about": evil, "epoch": 3}]
    metrics = {**findings.metrics, "alarms": alarms, "sampler": evil, "sampler_candidates": {evil: 1.0}, evil: 2.0}
    whole = dataclasses.replace(findings, name=evil, recipe=recipe, spec=spec, card=card, metrics=metrics)
    html = page(whole)
    assert "<script" not in html
    reader = Reader(html)
    assert "script" not in reader.tags
    assert reader.words().count(evil) >= 10


def test_an_audit_has_a_section_with_both_rows_of_pairs(findings):
    html = page(with_audit(findings))
    section = html.partition('<section id="what-it-gives-away">')[2].partition("</section>")[0]
    places = [section.index(base64.b64encode(png).decode()) for png in (IN_PIXELS, IN_FEATURES)]
    assert places == sorted(places) and html.count(base64.b64encode(IN_FEATURES).decode()) == 1
    assert "Membership told by the loss" in section and ">0.6250<" in section and "95 % from" in section
    assert "gives away" not in page(findings)


class TestAttention:
    def test_alarms_are_first(self, findings):
        alarms = [
            {"name": "collapse", "about": "rate under 0.1", "epoch": 3},
            {"name": "blur", "about": "so", "epoch": None},
        ]
        words = Reader(page(with_metrics(findings, alarms=alarms))).words()
        assert words.index("collapse, since epoch 3: rate under 0.1") < words.index("blur: so")
        assert words.index("blur: so") < words.index("Trained on")

    def test_an_alarm_that_is_over_is_history(self, findings):
        alarms = [{"name": "collapse", "about": "rate under 0.1", "epoch": 2, "cleared": 12}]
        html = page(with_metrics(findings, alarms=alarms))
        words = Reader(html).words()
        assert "Needs attention" not in words and "rate under 0.1" not in words
        assert words.index("collapse, from epoch 2 to 12") > words.index("What the latents carry")
        assert '<div class="past">' in html
        assert "no alarm stands." in words

    def test_a_kept_gate_is_no_reason_for_attention(self, findings):
        gates = {"psnr": {"min": 20.0, "max": None}, "elbo": {"min": 99.0, "max": None}}
        words = Reader(page(with_gates(findings, gates, elbo="elbo is 31.6, under its min of 99"))).words()
        attention = words[words.index("Needs attention") : words.index("Trained on")]
        assert "min of 99" in attention and "psnr" not in attention

    def test_waived_gates_are_told(self, findings):
        words = Reader(page(dataclasses.replace(findings, waived={"too_few_steps": "35 steps"}))).words()
        assert "All gates are kept, 1 waived" in words
        assert words.index("too_few_steps: 35 steps") > words.index("What the latents carry")

    def test_when_all_is_well_it_says_so_at_the_end(self, findings):
        kept = with_gates(with_metrics(findings, alarms=[]), {"psnr": {"min": 20.0, "max": None}})
        words = Reader(page(kept)).words()
        assert "Needs attention" not in words
        assert "All gates are kept and no alarm was raised." in words
        assert words.index("min 20: kept") > words.index("What the latents carry")

    def test_a_gate_on_what_is_not_measured(self, findings):
        gates = {"bits_per_dimension": {"min": None, "max": 1.0}}
        words = Reader(page(with_gates(findings, gates, bits_per_dimension="isn't measured here"))).words()
        assert "not measured" in words and "max 1: not kept" in words
        assert words.index("isn't measured here") < words.index("Trained on") < words.index("max 1: not kept")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (31.60343711, 1.0935, "31.6"),
        (35.90328, 0.98097, "35.90"),
        (-48.16515, None, "−48.17"),
        (0.01078106, None, "0.01078"),
        (12345.678, None, "12,346"),
        (12345.678, 321.0, "12,346"),
        (0.00042, None, "4.20 × 10<sup>−4</sup>"),
        (0.0, None, "0"),
        (1797, None, "1,797"),
    ],
)
def test_numbers_have_as_many_digits_as_they_deserve(value, error, text):
    assert typeset(value, error) == text


def test_a_page_plays_sound_that_lies_inside_it(findings):
    names = [f"{part}_{number:02}.wav" for part in ("reconstructions", "samples", "path") for number in (1, 2)]
    heard = dataclasses.replace(findings, sounds={name: name.encode() for name in names})
    reader = Reader(page(heard))
    sources = [value for tag, name, value in reader.attributes if tag == "audio" and name == "src"]
    assert [base64.b64decode(value.removeprefix("data:audio/wav;base64,")).decode() for value in sources] == names
    assert "media-src data:" in page(heard)
