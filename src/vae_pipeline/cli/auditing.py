"""The command that asks of synthetic files what they give away of the data that they stand for."""

from pathlib import Path
from typing import Annotated

import typer

from vae_pipeline.cli.options import MORE, Fit, Json, Key, Seed
from vae_pipeline.cli.output import console

auditing = typer.Typer()


@auditing.command(rich_help_panel=MORE)
def audit(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Synthetic images (pictures, .npy, .npz, folders or archives of them, what `augment` wrote) or rows "
            "(.csv, .parquet), by whatever made them.",
            metavar="FILES...",
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Folder that `prepare` filled: its training part may be copied, its test part not.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for a page with the nearest pairs, and copies.csv.")
    ] = None,
    max_membership: Annotated[
        float | None,
        typer.Option(help="End with exit code 1 if an AUROC of telling who was trained on is over this.", min=0, max=1),
    ] = None,
    max_copies: Annotated[
        float | None, typer.Option(help="The same for the share of copies; 0 allows none.", min=0, max=1)
    ] = None,
    max_near_copies: Annotated[
        float | None,
        typer.Option(
            help="The same for the share of images less than half as far from a training image as any test image.",
            min=0,
            max=1,
        ),
    ] = None,
    seed: Seed = 0,
    key: Key = None,
    resize: Fit = "none",
    as_json: Json = False,
) -> None:
    """Ask of synthetic files, without their model, whether they copy training data or tell who was trained on."""
    import json

    from vae_pipeline.evaluation.audit.found import verdict
    from vae_pipeline.kinds.spec import load_spec
    from vae_pipeline.kinds.words import words_of
    from vae_pipeline.stages.audit import NEAR, PAGE, Asked
    from vae_pipeline.stages.audit import audit as run
    from vae_pipeline.system.errors import GateError
    from vae_pipeline.system.settings import Settings

    bounds = {"membership_auc": max_membership, "copies": max_copies, NEAR: max_near_copies}
    most = {name: bound for name, bound in bounds.items() if bound is not None}
    terminal = console(stderr=as_json)
    found, broken = run(files, data, out, Asked(seed, key, resize, most), Settings.load(), terminal)
    if not as_json:
        for line in verdict(found, words_of(load_spec(data / "spec.json")).nouns):
            terminal.print(line)
        if out is not None:
            terminal.print(f"{found.figures['files']:,} audited -> {out / PAGE}")
    if broken:
        error = GateError("; ".join(broken.values()) + ("" if out is None else f"; the page is {out / PAGE}"))
        error.found = [found.figures]
        raise error
    if as_json:
        from vae_pipeline.cli.json_output import print_answer

        print_answer(1, out, [json.dumps(found.figures)])
