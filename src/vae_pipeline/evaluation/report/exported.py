"""Export's addition to the page: how far the graphs are from the model, as parity.json has it."""

from collections.abc import Mapping
from html import escape
from typing import Any

from vae_pipeline.evaluation.report.markup import datum, table

# Each once in a page, for whatever a recipe says is escaped.
CONTENTS_END = "\n</ul>\n</nav>"
END = "</main>"


def with_parity(page: str, parity: Mapping[str, Any]) -> str:
    """The page with one more section at its end, and a link to it."""
    link = '\n<li><a href="#what-was-exported">What was exported</a></li>'
    content, end, rest = page.replace(CONTENTS_END, link + CONTENTS_END, 1).rpartition(END)
    section = f'<section id="what-was-exported">\n<h2>What was exported</h2>\n{_graphs(parity)}\n{_scores(parity)}\n'
    return f"{content}{section}</section>\n{end}{rest}"


def _graphs(parity: Mapping[str, Any]) -> str:
    by_graph: dict[str, list[Mapping[str, Any]]] = {}
    for row in parity["agreement"]:
        by_graph.setdefault(row["graph"], []).append(row)
    worst = [max(found, key=lambda row: float(row["relative"])) for found in by_graph.values()]
    rows = [
        [escape(row["graph"]), datum(row["relative"]), f"{escape(row['output'])}, batch of {row['batch']}"]
        for row in worst
    ]
    batches = ", ".join(map(str, sorted({row["batch"] for row in parity["agreement"]})))
    about = (
        f"Each graph was run by onnxruntime on real test examples, in batches of {batches}, beside the model. "
        "Differences are relative to 1 + |answer|, with values of the data in scaled units, and of a log-density to "
        "the number of its terms + |answer|, since these may cancel; the recipe tolerates "
        f"{datum(parity['tolerance'])}. All of them stand in the bundle's parity.json."
    )
    header = ("graph", "difference", "where it is largest")
    return f'{table("Graphs against the model", header, rows)}\n<p class="reading">{about}</p>'


def _scores(parity: Mapping[str, Any]) -> str:
    scores = parity["scores"]
    pairs = scores["examples"] * (scores["examples"] - 1) // 2
    rows = [
        ["Largest difference", f'{datum(scores["nats"])} <span class="unit">nats</span>'],
        ["Rank correlation", datum(scores["rank_correlation"])],
        ["Pairs in another order", f"{datum(scores['flips'])} of {pairs:,}"],
    ]
    return table(f"−ELBO of {scores['examples']} test examples, graph against model", ("figure", "value"), rows)
