"""A model's provenance: its data, its recipe, and the digests of both."""

from html import escape

import yaml

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import table


def provenance(findings: Findings) -> str:
    """Tables of the data, the run and all digests, and the recipe."""
    spec, card = findings.spec, findings.card
    duplicates = card["duplicates"]
    seed = str(findings.recipe["seed"])
    if findings.seed != findings.recipe["seed"]:
        seed += f"; evaluated with {findings.seed}"
    rows = {
        "Examples": ", ".join(f"{count:,} {part}" for part, count in card["examples"].items()),
        "Observations": escape(findings.words.full),
        "Classes": ", ".join(map(escape, spec.classes)) or "none",
        "Duplicates": f"{duplicates['within_train']:,} within train; {duplicates['valid_in_train']:,} of valid and "
        f"{duplicates['test_in_train']:,} of test are also in train",
        "Left out": ", ".join(f"{count:,} × {escape(reason)}" for reason, count in card.get("dropped", {}).items())
        or "none",
        **({"Notes": "; ".join(map(escape, card["notes"]))} if card.get("notes") else {}),
        "Seed": seed,
        "Versions": ", ".join(f"{escape(name)} {escape(version)}" for name, version in findings.versions.items()),
    }
    digests = {**findings.digests, **card["origins"]}
    shown = ((escape(of), f"<code>{escape(digest)}</code>") for of, digest in digests.items())
    recipe = yaml.safe_dump(dict(findings.recipe), sort_keys=False, allow_unicode=True, width=88)
    return "\n".join([
        table("The data and the run", ("what", "value"), rows.items()),
        table("Digests", ("of", "digest"), shown),
        f"<details>\n<summary>The recipe, as it was run</summary>\n<pre>{escape(recipe)}</pre>\n</details>",
    ])  # fmt: skip
