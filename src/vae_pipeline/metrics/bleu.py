"""BLEU: how many n-grams, runs of one to four tokens, two texts have in common.

BLEU = min(1, exp(1 - r/c)) · exp(1/4 Σ_n log p_n), where p_n is the share of the candidates' n-grams that their
references have, each counted at most as often as there, c the candidates' length and r that of the nearest references.

Source: Papineni, Roukos, Ward and Zhu, BLEU: a Method for Automatic Evaluation of Machine Translation, 2002.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

ORDERS = 4
Text = Sequence[Hashable]


def bleu(candidates: Sequence[Text], references: Sequence[Sequence[Text]]) -> float:
    """BLEU of a corpus, from 0 to 1: counts are summed over all candidates, each with references of its own."""
    matches, possible = [0] * ORDERS, [0] * ORDERS
    length = wanted = 0
    for candidate, of in zip(candidates, references, strict=True):
        length += len(candidate)
        wanted += min((abs(len(each) - len(candidate)), len(each)) for each in of)[1]
        for order in range(ORDERS):
            found = _ngrams(candidate, order + 1)
            most: Counter[Text] = Counter()
            for each in of:
                most |= _ngrams(each, order + 1)
            matches[order] += (found & most).total()
            possible[order] += found.total()
    if not all(matches):
        return 0.0
    precision = sum(math.log(match / of) for match, of in zip(matches, possible, strict=True)) / ORDERS
    return math.exp(precision + min(0.0, 1 - wanted / length))


def distinct(texts: Sequence[Text], order: int) -> float:
    """The share of different ones among all n-grams of so many tokens (Li et al., 2016); 0 where there is none."""
    found = sum((_ngrams(text, order) for text in texts), Counter[Text]())
    return len(found) / found.total() if found else 0.0


def self_bleu(texts: Sequence[Text]) -> float:
    """The mean BLEU of each text with the others for references: high where they are alike (Zhu et al., 2018)."""
    others = [[*texts[:index], *texts[index + 1 :]] for index in range(len(texts))]
    return sum(bleu([text], [of]) for text, of in zip(texts, others, strict=True)) / len(texts)


def _ngrams(text: Text, order: int) -> "Counter[Text]":
    return Counter(tuple(text[start : start + order]) for start in range(len(text) - order + 1))
