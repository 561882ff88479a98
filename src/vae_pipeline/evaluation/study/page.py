"""The page of a study: first what to do, then the gains of all arms, what could have been seen, and how it was done."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from statistics import fmean

from vae_pipeline.evaluation.report.frame import framed
from vae_pipeline.evaluation.report.markup import MINUS, figure, listed, picture, table
from vae_pipeline.evaluation.study.findings import NONE, SYNTHETIC, OfSize
from vae_pipeline.evaluation.study.method import FIGURES, Facts, caveats, choosing, method
from vae_pipeline.metrics.paired_gains import PairedGain
from vae_pipeline.recipe.study import GENERATED


def page(facts: Facts, found: Sequence[OfSize], png: bytes) -> str:
    """The page as HTML."""
    named, chosen_on = FIGURES[facts.study.metric], choosing(facts.study)
    alt = f"The gain of {named} of each arm over none, by size, with intervals."
    caption = (
        f"Each dot is a repeat, each ring an arm to use; blue the {chosen_on} part, grey the test part. The lines are "
        "corrected intervals of the mean gain."
    )
    sections = {
        "Gains": figure(picture(png, alt), caption)
        + "".join(
            _gains(f"Gain of {named} on the {words} part, points", found, part)
            for part, words in (("valid", chosen_on), ("test", "test"))
        ),
        "What could have been seen": _power(found, chosen_on),
        "Figures": _figures(found, chosen_on),
        "How it was done": method(facts),
        "What it doesn't say": caveats(facts),
    }
    content = "\n".join(
        f'<section class="study">\n<h2>{title}</h2>\n{part}\n</section>' for title, part in sections.items()
    )
    head = f'<p class="summary">{escape(advice(found, named))}</p>'
    reasons = "".join(f"<li>{escape(line)}</li>" for line in reasons_of(found, named, chosen_on))
    return framed("Study of augmentation", facts.name, facts.about, f"{head}\n<ul>{reasons}</ul>\n{content}")


def advice(found: Sequence[OfSize], named: str) -> str:
    """Say what to do, in a sentence."""
    uses = [
        f"{each.verdict} with {each.size} labels ({_points(each.confirmation)} of {named} on the test part)"
        for each in found
        if each.verdict is not None and each.confirmation is not None
    ]
    rest = [each.size for each in found if each.verdict is None]
    if not uses:
        return f"Use none: no augmentation proved a gain of {named} with {listed(rest)} labels."
    without = f"; with {listed(rest)} labels use none" if rest else ""
    helped = any(each.verdict in GENERATED for each in found)
    vae = "" if helped else " Images of a VAE aren't among them."
    return f"Use {listed(uses)}{without}.{vae}"


def reasons_of(found: Sequence[OfSize], named: str, chosen_on: str = "validation") -> list[str]:
    """The reasons, a line for each size; `chosen_on` is what `choosing` names."""
    return [f"{each.size} labels: {_reason(each, named, chosen_on)}." for each in found]


def _reason(each: OfSize, named: str, chosen_on: str) -> str:
    best = max(each.valid, key=lambda arm: each.valid[arm].mean)
    if each.chosen is None:
        if each.valid[best].mean <= 0:
            return f"no arm gains on the {chosen_on} part; {best} loses least, {_points(each.valid[best])}"
        told = f"{_points(each.valid[best])} on the {chosen_on} part (p {each.valid[best].p:.2g}), which may be chance"
        return f"no arm is surely better than none; {best} comes nearest with {told}"
    gain, p = _points(each.valid[each.chosen]), each.valid[each.chosen].p
    chosen = f"{each.chosen} gains {gain} of {named} on the {chosen_on} part (p {p:.2g})"
    assert each.confirmation is not None  # of a chosen arm
    confirmed = "confirms it" if each.verdict else "doesn't confirm it, so the verdict is none"
    return f"{chosen}, and the test part, {_points(each.confirmation)}, {confirmed}"


def _points(gain: PairedGain | None) -> str:
    assert gain is not None
    return f"{_number(gain.mean)} points, from {_number(gain.low)} to {_number(gain.high)}"


def _number(share: float) -> str:
    points = round(100 * share, 2) + 0.0  # no -0.00
    return f"{points:+.{1 if abs(points) >= 1 else 2}f}".replace("-", MINUS)


def _table(caption: str, found: Sequence[OfSize], arms: Iterable[str], cell: Mapping[tuple[str, str], str]) -> str:
    header = ["arm", *(f"{each.size} labels" for each in found)]
    return table(caption, header, ([arm, *(cell.get((each.size, arm), "") for each in found)] for arm in arms))


def _gains(caption: str, found: Sequence[OfSize], part: str) -> str:
    cells = {}
    for each in found:
        for arm, gain in (each.valid if part == "valid" else each.test).items():
            text = f"{_number(gain.mean)} [{_number(gain.low)}, {_number(gain.high)}]"
            cells[each.size, arm] = f"<strong>{text}</strong>" if gain.sure else text
    return _table(caption, found, found[0].valid, cells)


def _power(found: Sequence[OfSize], chosen_on: str) -> str:
    cells = {(each.size, arm): _number(gain.detectable) for each in found for arm, gain in each.valid.items()}
    words = (
        f"<p>The least true gain that this study would have found on the {chosen_on} part with a probability of 80 %, "
        "were the true deviation of the differences the one that was observed, by a paired t test at the level of one "
        "of so many arms. A smaller gain may be there and was missed: more repeats find it.</p>"
    )
    return words + _table("Least gain that could have been seen, points", found, found[0].valid, cells)


def _figures(found: Sequence[OfSize], chosen_on: str) -> str:
    arms = dict.fromkeys(each.arm for of_size in found for each in of_size.outcomes)
    tables = []
    for metric, named in FIGURES.items():
        cells = {}
        for each in found:
            for arm in arms:
                means = [each.figures(arm, part, metric) for part in ("valid", "test")]
                if means[0]:
                    cells[each.size, arm] = " / ".join(f"{100 * fmean(values):.1f}" for values in means)
        tables.append(_table(f"Mean {named}, {chosen_on} / test, %", found, arms, cells))
    note = (
        f"<p>{NONE} is the training without augmentation. {SYNTHETIC} has seen nothing but new images of the VAE, and "
        "is tried on real ones (train on synthetic, test on real); it is no arm to choose.</p>"
    )
    return note + "".join(tables) + _remembered(found, chosen_on)


def _remembered(found: Sequence[OfSize], chosen_on: str) -> str:
    cells = {}
    for each in found:
        if each.nearer:
            mean, least, most = (100 * of(each.nearer) for of in (fmean, min, max))
            cells[each.size, SYNTHETIC] = f"{mean:.0f} ({least:.0f} to {most:.0f})"
    if not cells:
        return ""
    caption = "New images nearest to a labelled one, mean (least to most of the repeats), %"
    words = (
        "<p>The nearest image of each of 1,000 new images of the VAE was sought, in pixels, among labelled and as many "
        f"{chosen_on} images. 50 % lie nearest to a labelled one if they know nothing of single images. Before such "
        "images are given away, ask more of them: <code>vae-pipeline audit</code>.</p>"
    )
    return words + _table(caption, found, [SYNTHETIC], cells)
