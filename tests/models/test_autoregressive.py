"""The distribution of a sentence: it is one, and neither padding nor company changes what it says."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.kinds.text.tokens import padded
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods import autoregressive
from vae_pipeline.models.nets.recurrent import Recurrence
from vae_pipeline.models.vocabulary import FIRST
from vae_pipeline.numerics.randomness import Share, drawing_for, seeded
from vae_pipeline.recipe.model import Model
from vae_pipeline.system.errors import RecipeError

VOCABULARY, LIMIT, LATENTS = 9, 6, 3
OUTPUTS = {
    "full": {"kind": "full", "tied": False},
    "tied": {"kind": "full", "tied": True},
    "adaptive": {"kind": "adaptive", "cutoffs": [4, 6]},
}


def spec(vocabulary=VOCABULARY, limit=LIMIT):
    return TextSpec(limit, vocabulary, {})


def make(cell="lstm", output="full", vocabulary=VOCABULARY, limit=LIMIT, bidirectional=True, **decoder):
    net = {"kind": "recurrent", "cell": cell, "embedding": 5, "width": 5}
    model = {
        "encoder": {**net, "width": 4, "bidirectional": bidirectional},
        "posterior": {"kind": "gaussian", "latents": LATENTS},
        "prior": {"kind": "standard_normal"},
        "decoder": {**net, "dropout": 0.0, "word_dropout": 0.0, "latents": "used", **decoder},
        "likelihood": {"kind": "autoregressive", "output": OUTPUTS[output]},
        "conditional": False,
    }
    with seeded(0):
        return build(Model.model_validate(model), spec(vocabulary, limit)).eval()


def rows(sentences, limit=LIMIT):
    return torch.from_numpy(padded(sentences, limit))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_probabilities_of_all_sentences_of_a_tiny_language_sum_to_one(cell, output):
    vocabulary, limit = 7, 4
    words = range(3, vocabulary)  # unknown is a word
    all_of_them = [text for length in range(limit) for text in itertools.product(words, repeat=length)]
    model = make(cell, output, vocabulary, limit)
    z = torch.randn(2, 1, LATENTS, generator=torch.Generator().manual_seed(1)).expand(-1, len(all_of_them), -1)
    with torch.no_grad():
        log_prob = model.decode(z).log_prob(rows(all_of_them, limit).float())
    torch.testing.assert_close(log_prob.double().logsumexp(1), torch.zeros(2).double(), atol=1e-5, rtol=0)


SENTENCES = some.lists(some.lists(some.integers(3, VOCABULARY - 1), max_size=LIMIT - 1), min_size=1, max_size=7)
MODELS = {(cell, output): make(cell, output) for cell in ("lstm", "gru") for output in ("full", "adaptive")}


@settings(deadline=None, max_examples=15)
@given(SENTENCES, some.sampled_from(sorted(MODELS)), some.randoms(use_true_random=False))
def test_neither_padding_nor_order_nor_company_changes_what_is_said(sentences, which, random):
    model = MODELS[which]
    z = torch.linspace(-1, 1, LATENTS).expand(2, len(sentences), -1)
    order = random.sample(range(len(sentences)), len(sentences))
    with torch.no_grad():
        whole, means = model.decode(z).log_prob(rows(sentences)), model.encode(rows(sentences)).mean
        shuffled = [sentences[index] for index in order]
        torch.testing.assert_close(model.decode(z).log_prob(rows(shuffled)), whole[:, order], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.encode(rows(shuffled)).mean, means[order], atol=1e-5, rtol=1e-5)
        for index, sentence in enumerate(sentences):  # alone it is trimmed to its own length
            alone = model.decode(z[:, :1]).log_prob(rows([sentence]))
            torch.testing.assert_close(alone[:, 0], whole[:, index], atol=1e-5, rtol=1e-5)
    with torch.enable_grad():  # as in training: all rows at once
        together = model.decode(z).log_prob(rows(sentences))
    torch.testing.assert_close(together.detach(), whole, atol=1e-5, rtol=1e-5)


def test_a_longer_limit_changes_only_what_came_to_the_shorter_one():
    short, long = make(), make(limit=LIMIT + 5)
    z, sentences = torch.zeros(1, 2, LATENTS), [[3, 4, 5], [5, 5, 5, 4, 3]]
    with torch.no_grad():
        one, other = (model.decode(z).log_prob(rows(sentences, model.likelihood.limit)) for model in (short, long))
    assert one[0, 0].item() == pytest.approx(other[0, 0].item(), abs=1e-6)
    assert one[0, 1] > other[0, 1]  # at the limit the end is sure


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_is_written_out_is_what_the_kernels_compute(cell, output):
    model = make(cell, output)
    sentence = rows([[4, 8, 3, 7]])
    z = torch.full((1, 1, LATENTS), 0.3)
    with torch.no_grad():
        observed = model.decode(z)
        by_element, deviance = (
            observed.log_prob_by_element(sentence)[0, 0],
            observed.deviance_by_element(sentence)[0, 0],
        )
        errors = observed.squared_error_by_element(sentence)[0, 0]
        token, state, found, likeliest = torch.tensor([1]), model.decoder(z[0]), [], []
        for wanted in sentence[0, :5].tolist():
            log_probability, state = model.likelihood.step(token, state)
            found.append(log_probability[0, wanted - FIRST])
            likeliest.append(log_probability[0].max())
            token = torch.tensor([wanted])
    torch.testing.assert_close(torch.stack(found), by_element[:5], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(torch.stack(likeliest) - by_element[:5], deviance[:5], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close((1 - by_element[:5].exp()).square(), errors[:5])
    assert by_element[5] == deviance[5] == errors[5] == 0


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_encoder_reads_backwards_as_torch_does(cell):
    model = make(cell)
    _, backward = model.encoder.layers
    assert isinstance(backward, Recurrence)
    tokens = torch.tensor([[4, 8, 3, 2]])
    with torch.no_grad():
        read = backward.kernel(model.encoder.embedding(tokens.flip(1)))[0][:, -1]
        features = model.encoder(rows([[4, 8, 3]]).float(), None)
    torch.testing.assert_close(features[:, 4:], read, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients_reach_every_parameter(output):
    model = make(output=output, dropout=0.2, word_dropout=0.3).train()
    inference = model(rows([[3, 4, 5, 6, 8], [7], [8, 7]]), samples=2)
    (inference.distortion() + inference.rate()).mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert ("likelihood.output.layer.weight" in dict(model.named_parameters())) == (output == "full")


def test_words_are_dropped_in_training_alone_and_by_the_seed():
    model = make(word_dropout=0.9, dropout=0.5)
    x, z = rows([[4, 5, 6, 7], [8, 8]]), torch.zeros(1, 2, LATENTS)

    def said(seed):
        with seeded(seed):
            return model.decode(z).log_prob(x).detach()

    assert torch.equal(said(0), said(1))
    model.train()
    assert torch.equal(said(0), said(0)) and not torch.equal(said(0), said(1))


def test_processes_drop_what_one_would():
    model = make(word_dropout=0.5, dropout=0.5).train()
    x = rows([[4, 5, 6, 7], [8, 8], [3], [7, 7, 7]])
    z = torch.zeros(2, 4, LATENTS)
    with seeded(0):
        whole = model.decode(z).log_prob(x).detach()
    for rank in (0, 1):
        share = Share(rank, 2, 4)
        with seeded(0), drawing_for(share):
            part = model.decode(z[:, share.rows]).log_prob(x[share.rows]).detach()
        torch.testing.assert_close(part, whole[:, share.rows], atol=1e-6, rtol=1e-5)


def test_without_its_latents_it_is_a_language_model():
    model = make(latents="cut")
    x = rows([[4, 5], [6, 7, 8]])
    with torch.no_grad():
        inference = model(x, samples=3)
        assert torch.equal(inference.rate(), torch.zeros(3, 2))
        assert torch.equal(inference.distortion()[0], inference.distortion()[1])
    split = Split(x.numpy(), None)
    bound = importance_bound(model, split, 7, 0, torch.device("cpu"))
    np.testing.assert_allclose(bound.bound, -inference.distortion()[0].numpy(), atol=1e-5)


def test_the_importance_bound_does_not_depend_on_how_much_is_decoded_at_a_time(monkeypatch):
    model, split = make(output="adaptive"), Split(rows([[4, 5], [6, 7, 8], [3], [8, 8, 8, 8, 8]]).numpy(), None)
    whole = importance_bound(model, split, 50, 0, torch.device("cpu")).bound
    monkeypatch.setattr(autoregressive, "CELLS", 64)
    np.testing.assert_allclose(importance_bound(model, split, 50, 0, torch.device("cpu")).bound, whole, atol=1e-5)


def test_samples_are_sentences_as_likely_as_they_are_said_to_be():
    model = make(vocabulary=6, limit=3)
    z = torch.zeros(1, LATENTS)
    with seeded(0):
        drawn = model.decode(z).sample([20_000])[:, 0]
    found, counts = drawn.unique(dim=0, return_counts=True)
    with torch.no_grad():
        p = model.decode(z.expand(len(found), -1)).log_prob(found).exp()
    assert len(found) == 1 + 3 + 9
    torch.testing.assert_close(counts / 20_000, p, atol=0.015, rtol=0)
    likeliest = model.decode(z).mean[0]
    assert likeliest.tolist() in found.tolist()


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_layer_gives_one_class_what_it_gives_all(output):
    layer = make(output=output).likelihood.output
    features = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(40) % (VOCABULARY - FIRST)
    with torch.no_grad():
        every = layer(features)
        torch.testing.assert_close(layer.of(features, classes), every.gather(1, classes[:, None])[:, 0])
    torch.testing.assert_close(every.logsumexp(1), torch.zeros(40), atol=1e-5, rtol=0)
    assert every.shape == (40, VOCABULARY - FIRST) and math.isfinite(every.min())


def test_what_does_not_fit_the_vocabulary_is_refused():
    with pytest.raises(RecipeError, match=r"cutoffs are \[4, 6\], but ids go from 2 to 5"):
        make(output="adaptive", vocabulary=6)
    with pytest.raises(ValidationError, match="width is 7 and its embedding 5: make them equal"):
        make(output="tied", width=7)


class TestTies:
    """Two computations of one model, each rounding its own way, may part where tokens are equally likely."""

    def sentence(self, apart):
        """A bundle of a model to which the ids 3 and 4 are the likeliest everywhere, 4 by so many nats."""
        model = make(output="full")
        layer = model.likelihood.output.layer
        torch.nn.init.zeros_(layer.weight)
        layer.bias.data = torch.tensor([0.0, 5.0, 5.0 + apart, 0.0, 0.0, 0.0, 0.0])
        return model.decode(torch.zeros(2, LATENTS))

    def test_either_is_taken_and_what_follows_is_judged_anew(self):
        sentence = self.sentence(1e-6)
        assert sentence.mean[0].tolist() == [4, 4, 4, 4, 4, 2]
        other = torch.tensor([[4, 3, 4, 3, 3, 2], [4, 4, 4, 4, 4, 2]])
        assert sentence.mean_beside(other).tolist() == other.tolist()

    def test_what_is_less_likely_is_not(self):
        sentence = self.sentence(1e-3)
        wrong = [[4, 3, 4, 4, 4, 2], [4, 4, 2, 0, 0, 0], [4, 4, 5, 4, 4, 2], [4, 4, 4, 4, 4, 4], [4, 0, 4, 4, 4, 2]]
        for other in wrong:
            assert sentence.mean_beside(torch.tensor([other] * 2))[0].tolist() == [4, 4, 4, 4, 4, 2]
