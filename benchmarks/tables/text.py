"""The recurrent VAE of the recipe ptb, which isn't to collapse, beside a plain VAE and a language model.

Needs VAE_MIRROR or a network, and hours; what lies in .vae/text already is kept.

    vae      the recipe ptb: a batch-normalised posterior mean, and free bits
    plain    the same networks, a Gaussian posterior, beta annealed to 1: the usual text VAE
    lm       the same decoder without z: a recurrent language model

Each is prepared, trained and evaluated by the pipeline's own commands. Samples and paths are shown as they came.
"""

import json
import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.store import Kept, Store
from benchmarks.work import CLI, ROOT
from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.text.tokens import lengths
from vae_pipeline.metrics.parts import subset
from vae_pipeline.metrics.sentences import PATHS, STEPS, VARIED, homotopies, varied
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.training.trained import Trained

PAGE = ROOT / "docs" / "text.md"
SEED = 0
SAMPLES = 1000
ABOUT = {
    "vae": "the recipe `ptb`",
    "plain": "plain VAE: a Gaussian posterior, beta annealed",
    "lm": "language model: the same decoder without z",
}
FIGURES = (
    ("perplexity", "perplexity"),
    ("importance_bound", "importance bound, nats"),
    ("importance_samples", "K of that bound"),
    ("pareto_k_over_0.7", "sentences whose k̂ is over 0.7"),
    ("elbo", "ELBO, nats"),
    ("rate", "rate, nats"),
    ("mutual_information", "information, nats"),
    ("decoder_gain", "decoder gain, nats"),
    ("decoder_gain_share", "share of sentences likelier by their own z"),
    ("active_units", "active units of 32"),
    ("bleu", "BLEU of reconstructions"),
    ("token_accuracy", "tokens in their place"),
    ("exact_match", "exact matches"),
    ("distinct_1", "distinct-1 of samples"),
    ("distinct_2", "distinct-2"),
    ("self_bleu", "self-BLEU"),
    ("copied", "copied from training"),
)


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=ROOT / ".vae" / "text", help="folder of recipes, models, reports")


def measure(given: Namespace, store: Store) -> None:
    work = given.work
    work.mkdir(parents=True, exist_ok=True)
    for name, values in recipes().items():
        path = work / f"{name}.yaml"
        if not path.is_file():  # one that is there may have been made shorter
            path.write_text(yaml.safe_dump(values, sort_keys=False))
    run("prepare", work / "vae.yaml", work / "data")
    data = ["--data", work / "data"]
    for name in ABOUT:
        recipe, model = work / f"{name}.yaml", work / name
        run("train", recipe, model, *data)
        run("eval", recipe, work / f"{name}.report", *data, "--model", model)
    store.keep("models", compared(work))


def recipes() -> dict[str, Any]:
    """The recipe and its two controls."""
    text = (ROOT / "pipeline" / "ptb.yaml").read_text()
    vae, plain, lm = (yaml.safe_load(text) for _ in range(3))
    for control in (plain, lm):
        control["model"]["posterior"] = {"kind": "gaussian", "latents": 32}
        control["evaluate"]["waive"] = ["no_active_units", "ignored_latents"]  # which the controls are there to show
        control["rate_control"] = {"kind": "warm_up", "beta": 1.0, "share": 0.1}
    lm["model"]["decoder"]["latents"] = "cut"
    lm["evaluate"]["samples"] = 1  # its bound is exact
    return {"vae": vae, "plain": plain, "lm": lm}


def run(command: str, recipe: Path, out: Path, *more: object) -> None:
    if not out.is_dir():
        subprocess.run([*CLI, command, recipe, "--out", out, *map(str, more), "--seed", str(SEED)], check=True)


@torch.inference_mode()
def compared(work: Path) -> dict[str, dict[str, Any]]:
    """The figures of each model's report, with what needs two models."""
    prepared = Prepared.open(work / "data")
    spec = prepared.spec
    assert isinstance(spec, TextSpec)
    models = {name: Trained.load(work / name).model.eval() for name in ABOUT}
    found = {name: json.loads((work / f"{name}.report" / "metrics.json").read_text()) for name in ABOUT}
    ends = torch.from_numpy(subset(prepared.test, 2 * PATHS, SEED).x[:])
    for name, model in models.items():
        found[name]["samples_perplexity"] = perplexity(models["lm"], drawn(model))
        paths = homotopies(model, model.encode(ends).mean)
        found[name]["varied_paths"] = varied(paths, spec)
        found[name]["alarms_in_training"] = json.loads((work / name / "alarms.json").read_text())
        found[name]["recipe"] = yaml.safe_load((work / f"{name}.yaml").read_text())
    return found


def drawn(model: VAE) -> torch.Tensor:
    with seeded(derive(SEED, "samples")):
        return model.decode(model.draw(torch.randn(SAMPLES, model.noise))).sample().long()


def perplexity(lm: VAE, rows: torch.Tensor) -> float:
    """The perplexity of samples under the language model."""
    nats = -lm.decode(torch.zeros(len(rows), lm.latents)).log_prob(rows)
    return float((nats.sum() / int(lengths(rows.numpy()).sum())).exp())


def page(kept: Kept) -> str:
    found = kept["models"]["rows"]
    vae = found["vae"]
    sizes = ", ".join(f"{name} {each['recipe']['train']['epochs']}" for name, each in found.items())
    lines = [
        "# Text: a recurrent VAE that doesn't collapse",
        "",
        "Written by `make bench TABLE=text`. The recipe `ptb` on the Penn Treebank, and two",
        f"controls that the same code trained: {ABOUT['plain']}; {ABOUT['lm']}.",
        f"Epochs: {sizes}; one seed, {SEED}; one thread of {kept['models']['machine']}.",
        "",
        f"Bounds are of all {vae['test_examples']:,} test sentences, by their ELBO and its gap for",
        f"{vae['importance_examples']:,} of them: {vae['perplexity_tokens']:,} tokens with their ends, for all alike.",
        "The language model's is exact. Perplexity is exp(Σ NLL / Σ tokens). Information is of all test sentences, and",
        f"isn't seen beyond the log of their number, {vae['mutual_information_cap']:.2f}.",
        "Decoder gain is what another sentence's z costs the decoder, token by token: what z tells it beyond the words",
        "before; it is empty of reports made before it was measured.",
        "BLEU and the two figures after it are of greedy reconstructions from the posterior's mean of 1,000 test",
        "sentences; samples are 1,000, drawn token by token at temperature 1.",
        "",
        "| | " + " | ".join(ABOUT) + " |",
        "|---|" + "---:|" * len(ABOUT),
    ]
    for key, name in FIGURES:
        lines.append(f"| {name} | " + " | ".join(shown(each.get(key)) for each in found.values()) + " |")
    for key, name in (
        ("samples_perplexity", "perplexity of samples under the language model"),
        ("varied_paths", f"paths of {STEPS} steps with at least {VARIED} different sentences, of {PATHS}"),
    ):
        lines.append(f"| {name} | " + " | ".join(shown(each[key]) for each in found.values()) + " |")
    ratio, times = vae["perplexity"] / found["lm"]["perplexity"], vae["bleu"] / max(found["plain"]["bleu"], 1e-9)
    alarms = ", ".join(f"{each['name']} at epoch {each['epoch']}" for each in found["plain"]["alarms_in_training"])
    lines += [
        "",
        f"The perplexity of `vae` is {ratio:.4f} times the language model's; its BLEU {times:.1f} times the plain",
        f"VAE's. In training, the plain VAE raised: {alarms or 'no alarm'}; `vae`: "
        f"{', '.join(each['name'] for each in vae['alarms_in_training']) or 'no alarm'}.",
        "",
        f"## Ten samples of `vae`, as they came (seed {SEED})",
        "",
        *(f"1. {quoted(text)}" for text in vae["shown_samples"]),
        "",
        "## Three paths between test sentences, as they came",
        "",
        "Each from the posterior's mean of one to that of the next, in even steps, greedy.",
        "",
    ]
    for number, path in enumerate(vae["shown_paths"], 1):
        lines += [f"Path {number}:", "", *(f"- {quoted(text)}" for text in path), ""]
    lines += ["## Reconstructions, as they came", "", "| sentence | `vae` | `plain` |", "|---|---|---|"]
    for (text, again), (_, plainly) in zip(
        vae["shown_reconstructions"], found["plain"]["shown_reconstructions"], strict=True
    ):
        lines.append(f"| {quoted(text)} | {quoted(again)} | {quoted(plainly)} |")
    return "\n".join([*lines, ""])


def shown(value: float | None) -> str:
    return "" if value is None else f"{value}" if isinstance(value, int) else f"{value:.4g}"


def quoted(text: str) -> str:
    return f"`{text}`" if text else "(nothing)"
