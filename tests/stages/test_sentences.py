"""Sentences through all stages by the command line, and what the bundle does with them."""

import dataclasses
import io
import json
import re
import subprocess
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from scipy.stats import chi2
from tokenizers import Tokenizer
from typer.testing import CliRunner

from vae_pipeline.bundles.conformance.conform import conform
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.kinds.text import tokens as text_tokens
from vae_pipeline.kinds.text.tokens import lengths
from vae_pipeline.metrics.sentences import sentence_figures
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.choosing import GREEDY, SAMPLE, Choice, chosen
from vae_pipeline.runtime.signatures import STEPWISE
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, DataError, OutputError
from vae_pipeline.training.trained import Trained

OTHERS = (Runtime.REFERENCE, Runtime.OPENVINO, Runtime.OPENCV, Runtime.TRACT, Runtime.MNN)
BEAMS = Choice("beam", beams=5)
LINES = ["the old dog sees the cat .", "the small teacher likes the zebra in the garden !"]


@pytest.fixture(scope="module")
def bundle(text_lane):
    return Bundle.load(text_lane.bundle)


@pytest.fixture(scope="module")
def test_rows(text_lane):
    return Prepared.open(text_lane.data).test.x[:40]


@pytest.fixture
def file(tmp_path):
    (tmp_path / "in.txt").write_text("\n\n".join(LINES) + "\n")
    return tmp_path / "in.txt"


def invoke(*arguments, given=None):
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, words, input=given, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


class TestReport:
    def test_its_figures_are_of_sentences(self, text_lane):
        metrics = json.loads((text_lane.report / "metrics.json").read_text())
        assert metrics["measure"] == "mass" and "bits_per_dimension" not in metrics and "auroc" not in metrics
        assert metrics["elbo"] > metrics["baseline_elbo"]
        nats = -metrics["importance_bound"] * metrics["test_examples"]
        assert metrics["perplexity"] == pytest.approx(np.exp(nats / metrics["perplexity_tokens"]))
        assert metrics["active_units"] == 8 and not metrics["alarms"]
        for name in ("token_accuracy", "exact_match", "bleu", "distinct_1", "distinct_2", "self_bleu", "copied"):
            assert 0 <= metrics[name] <= 1
        assert len(metrics["shown_samples"]) == 10 and [len(path) for path in metrics["shown_paths"]] == [5, 5, 5]

    def test_the_page_speaks_of_sentences(self, text_lane):
        page = (text_lane.report / "index.html").read_text(encoding="utf-8")
        words = re.sub("<[^>]*>", " ", page[page.index("<main>") : page.index("The recipe, as it was run")])
        assert "Perplexity" in words and "a sentence" in words and "What it writes" in words
        assert " image" not in words and "pixel" not in words and "an sentence" not in words


def test_one_sentence_has_no_path_to_another(text_lane):
    trained, prepared = Trained.load(text_lane.model), Prepared.open(text_lane.data)
    one = dataclasses.replace(prepared, test=Split(prepared.test.x[:1], None))
    found = sentence_figures(trained.model, one, one.spec, {"importance_bound": -20.0}, 0, torch.device("cpu"))
    assert "varied_paths" not in found and found["shown_paths"] == [] and len(found["shown_samples"]) == 10
    tokens = lengths(one.test.x[:])[0]
    assert found["perplexity"] == pytest.approx(np.exp(20 / tokens)) and found["perplexity_tokens"] == tokens


class TestGraphs:
    def test_they_are_whole_and_say_what_ids_mean(self, text_lane, bundle):
        assert [row.graph for row in verify(text_lane.bundle)] == list(STEPWISE)
        told = json.loads(bundle.session("step").get_modelmeta().custom_metadata_map["vae.tokens"])
        assert (told["limit"], told["padding"], told["start"], told["end"], told["unknown"]) == (13, 0, 1, 2, 3)

    def test_they_hold_plain_operators_alone(self, text_lane):
        for file in text_lane.bundle.glob("*.onnx"):
            model = onnx.load(file)
            assert [each.domain for each in model.opset_import] == [""]
            kinds = {node.op_type for node in model.graph.node}
            assert not kinds & {"Loop", "Scan", "If", "LSTM", "GRU", "RNN"}
            assert not any(kind.startswith("Random") for kind in kinds)

    def test_scores_of_sentences_of_any_length_are_the_models(self, text_lane, bundle, test_rows):
        model = Trained.load(text_lane.model).model.eval()
        noise = np.random.default_rng(0).standard_normal((len(test_rows), bundle.latents)).astype(np.float32)
        with torch.inference_mode():
            inference = model.infer_by(torch.from_numpy(test_rows), torch.from_numpy(noise))
            wanted = (inference.distortion() + inference.rate())[0].numpy()
        assert len(np.unique((test_rows > 0).sum(1))) > 4
        for rows in (slice(None), slice(0, 1), slice(7, 9)):
            found = bundle.answer("score", {"x": test_rows[rows], "noise": noise[rows]})["negative_elbo"]
            np.testing.assert_allclose(found, wanted[rows], rtol=1e-4)

    def test_greedy_tokens_are_torchs_in_two_runtimes(self, text_lane, bundle, test_rows):
        model = Trained.load(text_lane.model).model.eval()
        means = bundle.encode(test_rows).mean
        with torch.inference_mode():
            wanted = model.decode(torch.from_numpy(means)).mean.numpy()
        state = bundle.answer("initial", {"z": means})["state"]
        assert np.array_equal(bundle.sentences.write(state, GREEDY), wanted)

        for tokens in (
            bundle.answer("greedy", {"z": means})["tokens"],
            ReferenceEvaluator(str(text_lane.bundle / "greedy.onnx")).run(None, {"z": means})[0],
        ):
            assert tokens.dtype == np.int32 and np.array_equal(tokens, wanted)

        step = ReferenceEvaluator(str(text_lane.bundle / "step.onnx"))
        token, rows = np.full(len(state), 1, np.int32), []
        for _ in range(12):
            log_probability, state = step.run(None, {"token": token, "state": state})
            token = (2 + log_probability.argmax(1)).astype(np.int32)
            rows.append(token)
        ids = np.stack(rows, 1)
        before_end = np.cumsum(np.pad(ids == 2, ((0, 0), (1, 0)))[:, :-1], 1) == 0
        assert np.array_equal(np.where(before_end, ids, 0), np.where(wanted[:, :12] == 2, 2, wanted[:, :12]))

    @pytest.mark.runtimes
    @pytest.mark.parametrize("runtime", OTHERS)
    def test_other_runtimes_answer_as_it_does(self, text_lane, tmp_path, runtime):
        rows = list(conform(text_lane.bundle, [runtime], tmp_path))
        assert [row.graph for row in rows] == list(STEPWISE)
        assert {row.outcome for row in rows} == {"works"}

    def test_what_a_graph_does_not_take_is_said(self, bundle, test_rows):
        state = np.zeros((1, *bundle.manifest.graphs["step"].inputs["state"].event))
        with pytest.raises(DataError, match=r"token: \[99.0\] were given; wanted whole numbers from 0 to"):
            bundle.answer("step", {"token": np.array([99]), "state": state})
        with pytest.raises(DataError, match="row 0 isn't a sentence: ids from 3 on are wanted, then one 2"):
            bundle.encode(np.where(test_rows[:1] == 2, 3, test_rows[:1]))
        with pytest.raises(DataError, match="that aren't ids were given"):
            bundle.encode(test_rows + 0.5)
        with pytest.raises(BundleError, match=r"has no graph decoder, but encoder.*take Bundle\.sentences"):
            bundle.sample(3)


class TestTasks:
    def test_samples_do_not_depend_on_their_company(self, bundle):
        write = bundle.sentences.sample
        assert write(6, seed=3)[:2] == write(2, seed=3) != write(2, seed=4)
        assert len(set(write(30))) > 20

    def test_how_tokens_arechosen(self):
        log_p = np.log(np.array([[0.5, 0.3, 0.15, 0.05]]))

        def at(drawn, **choice):
            return chosen(log_p, Choice("sample", **choice), np.array([drawn]))[0]

        assert [at(drawn) for drawn in (0.0, 0.49, 0.51, 0.79, 0.81, 0.949, 0.951, 0.999)] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert at(0.999, top_k=2) == 1 and at(0.61, top_k=2) == 0
        assert at(0.999, top_p=0.5) == 0 and at(0.999, top_p=0.81) == 2
        assert at(0.999, temperature=1e-40) == 0 and at(0.999, temperature=1e-4) == 0
        assert at(0.95, temperature=0.1) == 0 and at(0.3, temperature=100.0) == 1
        assert chosen(log_p, GREEDY, np.zeros(1))[0] == 0

    def test_a_search_of_one_beam_is_greedy_and_a_wider_one_finds_likelier_tokens(self, bundle):
        z = np.random.default_rng(1).standard_normal((4, bundle.latents)).astype(np.float32)
        writer, state = bundle.sentences, bundle.answer("initial", {"z": z})["state"]
        greedy, one, five = (writer.write(state, each) for each in (GREEDY, Choice("beam", beams=1), BEAMS))
        assert np.array_equal(one, greedy)
        averages = [[self._average(bundle, *pair) for pair in zip(rows, state, strict=True)] for rows in (greedy, five)]
        assert np.mean(averages[1]) >= np.mean(averages[0])

    @staticmethod
    def _average(bundle, row, state):
        token, total, length, state = np.array([1], np.int32), 0.0, int((row > 0).sum()), state[None]
        for wanted in row[:length]:
            log_probability, state = bundle.run("step", {"token": token, "state": state})
            total += float(log_probability[0, wanted - 2])
            token = np.array([wanted], np.int32)
        return total / length

    @pytest.mark.parametrize(
        "values", [{"temperature": 0.0}, {"top_k": 0}, {"top_p": 1.5}, {"beams": 0}], ids=lambda each: next(iter(each))
    )
    def test_choices_that_are_none(self, values):
        with pytest.raises(DataError, match="wanted a temperature over 0"):
            Choice("sample", **values)
        with pytest.raises(DataError, match="greedy draws none: take sample"):
            Choice("greedy", top_k=3)

    def test_scores_are_bounds_a_token(self, bundle):
        found = bundle.sentences.score(LINES)
        assert found.tokens.tolist() == [8, 11]
        np.testing.assert_allclose(np.log(found.perplexity) * found.tokens, found.negative_elbo)
        alone = bundle.sentences.score(LINES[1:])
        np.testing.assert_allclose(alone.negative_elbo, found.negative_elbo[1:], rtol=1e-5)

    def test_a_path_begins_and_ends_with_the_reconstructions(self, bundle):
        path = bundle.sentences.interpolate(*LINES, steps=5)
        assert [path[0], path[-1]] == bundle.sentences.reconstruct(LINES) and len(path) == 5
        with pytest.raises(DataError, match="at least 2 steps; given 1"):
            bundle.sentences.interpolate(*LINES, steps=1)
        with pytest.raises(DataError, match="at least 1 sample is wanted; given 0"):
            bundle.sentences.sample(0, choice=SAMPLE)

    def test_tokens_of_many_are_drawn_by_their_probabilities(self):
        """More classes than are summed up at a time; against the exact probabilities, by a chi-squared test."""
        random = np.random.default_rng(0)
        p = random.dirichlet(np.full(300, 0.5))
        found = chosen(np.log(np.tile(p, (20_000, 1))), SAMPLE, random.random(20_000))
        common = p > 5 / 20_000
        seen = np.bincount(found, minlength=300)[common]
        wanted = 20_000 * p[common]
        assert common.sum() > 150 and chi2.sf(((seen - wanted) ** 2 / wanted).sum(), common.sum()) > 0.001

    def test_what_is_no_choice_and_no_path(self, bundle):
        with pytest.raises(DataError, match="can't be chosen by 'best': wanted greedy, sample or beam"):
            Choice("best")
        with pytest.raises(DataError, match="no path 'cubic': wanted linear or spherical"):
            bundle.sentences.interpolate(*LINES, steps=3, kind="cubic")
        with pytest.raises(DataError, match="a list of texts is wanted"):
            bundle.sentences.reconstruct(LINES[0])


class TestCommands:
    def test_each_writes_text(self, text_lane, bundle, file, tmp_path):
        out, folder = tmp_path / "out.txt", text_lane.bundle
        assert invoke("sample", folder, "-o", out, "--count", 5, "--top-p", 0.9) == f"5 sentences -> {out}\n"
        assert len(out.read_text().splitlines()) == 5
        assert invoke("sample", folder, "-o", "-", "--count", 2, "--choose", "beam").count("\n") == 2
        invoke("reconstruct", folder, file, "-o", out)
        assert out.read_text().splitlines() == bundle.sentences.reconstruct(LINES)
        invoke("interpolate", folder, file, "-o", out, "--steps", 4, "--path", "linear")
        assert out.read_text().splitlines() == bundle.sentences.interpolate(*LINES, steps=4)
        assert invoke("interpolate", folder, file, "-o", "-", "--beams", 2, "--steps", 2).count("\n") == 2
        invoke("encode", folder, file, "-o", tmp_path / "z.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), bundle.sentences.encode(LINES).mean)
        table = pd.read_csv(io.StringIO(invoke("score", folder, file)))
        assert list(table) == ["line", "negative_elbo", "distortion", "rate", "tokens", "unknown", "perplexity"]
        assert table["line"].tolist() == [1, 3] and table["tokens"].tolist() == [8, 11]
        pd.DataFrame({"id": [7, 8], "said": LINES}).to_csv(tmp_path / "said.csv", index=False)
        again = pd.read_csv(io.StringIO(invoke("score", folder, tmp_path / "said.csv", "--column", "said")))
        assert again["line"].tolist() == [1, 2] and again["perplexity"].equals(table["perplexity"])
        assert invoke("reconstruct", folder, "-", "-o", "-", given="\n".join(LINES)).count("\n") == 2
        assert "its 6 graphs give their golden answers" in invoke("verify", folder)

    @pytest.mark.parametrize(
        "words",
        [("reconstruct", "-o", "x.txt"), ("encode", "-o", "z.npy"), ("score",), ("interpolate", "-o", "x.txt")],
        ids=lambda words: words[0],
    )
    def test_each_reads_the_tokenizer_and_the_text_once(self, text_lane, file, tmp_path, monkeypatch, words):
        read = []

        class Counting:
            def __init__(self, tokenizer):
                self.tokenizer = tokenizer

            @classmethod
            def from_str(cls, text):
                read.append("tokenizer")
                return cls(Tokenizer.from_str(text))

            def encode_batch(self, lines, **options):
                read.append(len(lines))
                return self.tokenizer.encode_batch(lines, **options)

            def decode(self, ids, **options):
                return self.tokenizer.decode(ids, **options)

        monkeypatch.setattr(text_tokens, "Tokenizer", Counting)
        monkeypatch.chdir(tmp_path)
        command, *options = words
        invoke(command, text_lane.bundle, file, *options)
        assert read == ["tokenizer", 2]

    def test_text_loads_no_reader_of_tables(self, text_lane, file, tmp_path):
        """pandas, pyarrow and what guesses the form of a .csv cost more than the model."""
        told = (
            "import sys; from vae_pipeline.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
            "print({'pandas', 'pyarrow', 'clevercsv', 'scipy', 'PIL', 'torch'} & set(sys.modules))"
        )
        words = ["reconstruct", text_lane.bundle, file, "-o", tmp_path / "out.txt"]
        done = subprocess.run(
            [sys.executable, "-c", told, *map(str, words)], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("\nset()\n")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["sample", "-o", "x.png"], "must end in .txt"),
            (["sample", "-o", "x.txt", "--choose", "greedy", "--top-k", "3"], "greedy draws none"),
            (["explore", "-o", "x"], "this is a model of sentences"),
            (["shrink", "--to", "fp16", "--data", "DATA", "-o", "x"], "of which no variant is made"),
            (["drift", "IN"], "with detection: null in its recipe"),
            (["sample", "-o", "x.txt", "--label", "1"], "--label means nothing to a model of sentences"),
            (["sample", "-o", "x.txt", "--beams", "3"], "sample keeps no beginnings: take --choose beam"),
            (["interpolate", "IN", "-o", "x.txt", "--even"], "--even means nothing to a model of sentences"),
            (["encode", "IN", "-o", "x.npy", "--key", "z"], "--key means nothing to a model of sentences"),
            (["score", "IN", "--alpha", "0.1"], "--alpha means nothing to a model of sentences"),
            (["score", "LONG"], "line 3 of LONG has 10000 tokens; this model takes sentences of 1 to 12"),
            (["score", "LATIN"], "isn't UTF-8"),
            (["score", "EMPTY"], "holds no sentence"),
            (["interpolate", "ONE", "-o", "x.txt"], "a path needs two sentences or more; given 1"),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_mistakes_are_answered_in_a_line(self, text_lane, tmp_path, monkeypatch, words, message):
        monkeypatch.chdir(tmp_path)
        files = {
            "IN": b"a b\n",
            "LONG": b"\nthe cat\n" + b"the " * 10_000,
            "LATIN": b"\xe4\n",
            "EMPTY": b"\n\n",
            "ONE": b"the cat\n",
        }
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        words = [str(text_lane.data) if word == "DATA" else word for word in words]
        command = [words[0], str(text_lane.bundle), *words[1:]]
        with pytest.raises((BundleError, DataError, OutputError), match=message):
            CliRunner().invoke(app, command, catch_exceptions=False)

    def test_images_have_no_sentences(self, lane):
        bundle = Bundle.load(lane.bundle)
        with pytest.raises(DataError, match="is a model of a kind image: it has no sentences"):
            _ = bundle.sentences
