"""BLEU against values that NLTK's documentation prints."""

import pytest

from vae_pipeline.metrics.bleu import bleu, distinct, self_bleu


def words(text):
    return text.split()


GUIDE = words("It is a guide to action which ensures that the military always obeys the commands of the party")
GUIDES = [
    words("It is a guide to action that ensures that the military will forever heed Party commands"),
    words(
        "It is the guiding principle which guarantees the military forces always being under the command of the Party"
    ),
    words("It is the practical guide for the army always to heed the directions of the party"),
]
BOOK = words("he read the book because he was interested in world history")
BOOKS = [words("he was interested in world history because he read the book")]


def test_a_sentence_and_a_corpus_have_nltks_bleu():
    assert bleu([GUIDE], [GUIDES]) == pytest.approx(0.5045666840058485, abs=1e-12)
    assert bleu([GUIDE, BOOK], [GUIDES, BOOKS]) == pytest.approx(0.5920778868801042, abs=1e-12)


def test_counts_are_clipped_and_short_candidates_pay():
    """The paper's own example: the precision of `the` seven times is 2/7, so no pair is right, and the whole is 0."""
    assert bleu([["the", "the", "the", "the", "the", "the", "the"]], [[["the", "cat", "is", "on", "the", "mat"]]]) == 0
    assert bleu([BOOK], [[BOOK]]) == 1
    half = bleu([BOOK[:6]], [[BOOK]])
    assert half == pytest.approx(2.718281828459045 ** (1 - 11 / 6))


def test_alike_texts_are_told_from_different_ones():
    assert distinct([["a", "b"], ["a", "b"]], 1) == 0.5
    assert distinct([["a"]], 2) == 0
    assert self_bleu([BOOK, BOOK, BOOK]) == 1
    assert self_bleu([BOOK, GUIDE]) == 0
